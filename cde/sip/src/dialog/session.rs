//! Session timers (RFC 4028): what is asked for, what is agreed, and which headers say so.

use std::time::Duration;

use crate::message::{Headers, Name, Params, number, writer::Writer};

/// The interval that we ask for.
const SECONDS_ASKED: u32 = 1800;
/// No interval is shorter (RFC 4028 §4).
const SECONDS_MIN: u32 = 90;
/// A peer's interval, or what it demands at least, is followed up to a day.
const SECONDS_MAX: u32 = 86_400;
/// So long before the end the session is given up, or after two thirds of it (RFC 4028 §10).
const LAST_SECONDS: u32 = 32;

/// The interval of a session, and whether it is we who refresh it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    seconds: u32,
    we_refresh: bool,
}

/// The session timer of one dialog.
pub(crate) struct SessionTimer {
    asked: u32,
    /// What a 422 has told us to ask for at least.
    min: u32,
    agreed: Option<Interval>,
    /// What the peer's open INVITE is answered with.
    proposed: Option<Interval>,
}

impl SessionTimer {
    pub(crate) fn new() -> Self {
        Self { asked: SECONDS_ASKED, min: SECONDS_MIN, agreed: None, proposed: None }
    }

    /// What an INVITE or UPDATE of ours says (RFC 4028 §7.1, §7.4).
    pub(crate) fn ask(&self) -> Vec<u8> {
        let mut writer = Writer::fragment();
        let value = match self.agreed {
            Some(Interval { seconds, we_refresh }) => {
                let refresher = if we_refresh { "uac" } else { "uas" };
                format!("{};refresher={refresher}", seconds.max(self.min))
            }
            None => self.asked.max(self.min).to_string(),
        };
        writer.header("Session-Expires", value.as_bytes());
        if self.min > SECONDS_MIN {
            writer.header("Min-SE", self.min.to_string().as_bytes());
        }
        writer.into_bytes()
    }

    /// Takes the 2xx to our INVITE or UPDATE: without Session-Expires the session has no end (RFC 4028 §7.2).
    pub(crate) fn answered(&mut self, headers: &Headers) {
        self.agreed = expires(headers).map(|(seconds, refresher)| Interval {
            seconds: seconds.max(SECONDS_MIN),
            we_refresh: refresher != Some(Refresher::Uas),
        });
    }

    /// Takes the peer's INVITE or UPDATE; what we answer follows from it (RFC 4028 §9, table 2).
    pub(crate) fn propose(&mut self, headers: &Headers) {
        let supports = is_listed(headers, Name::Supported) || is_listed(headers, Name::Require);
        let (seconds, refresher) = match expires(headers) {
            Some((seconds, refresher)) => (seconds, refresher),
            None if supports => (SECONDS_ASKED.max(min(headers)), None),
            None => {
                self.proposed = None;
                return;
            }
        };
        // A peer that knows nothing of timers cannot refresh; one that does was asked to by its own choice or by ours.
        let we_refresh = !supports || refresher == Some(Refresher::Uas);
        self.proposed = Some(Interval { seconds: seconds.max(SECONDS_MIN), we_refresh });
    }

    /// What our 2xx says; from now on it holds.
    pub(crate) fn accept(&mut self) -> Vec<u8> {
        self.agreed = self.proposed.take();
        let mut writer = Writer::fragment();
        if let Some(Interval { seconds, we_refresh }) = self.agreed {
            let refresher = if we_refresh { "uas" } else { "uac" };
            writer.header("Session-Expires", format!("{seconds};refresher={refresher}").as_bytes());
            if !we_refresh {
                writer.header("Require", b"timer");
            }
        }
        writer.into_bytes()
    }

    /// Takes what a 422 demands; false if that is no more than what was asked, or beyond all measure.
    pub(crate) fn raise(&mut self, headers: &Headers) -> bool {
        let (demanded, asked) = (min(headers), self.agreed.map_or(self.asked, |agreed| agreed.seconds).max(self.min));
        let is_more = demanded > asked && demanded <= SECONDS_MAX;
        if is_more {
            self.min = demanded;
        }
        is_more
    }

    /// When to refresh, if it is we who do, and when the session is over (RFC 4028 §10).
    pub(crate) fn deadlines(&self) -> (Option<Duration>, Option<Duration>) {
        let Some(Interval { seconds, we_refresh }) = self.agreed else { return (None, None) };
        let end = Duration::from_secs((seconds - LAST_SECONDS.min(seconds / 3)).into());
        (we_refresh.then(|| Duration::from_secs((seconds / 2).into())), Some(end))
    }
}

/// What a too short interval is refused with: the shortest that is taken. A peer that does not know timers would not
/// understand (RFC 4028 §9).
pub(crate) fn refusal(headers: &Headers) -> Option<String> {
    let is_short = expires(headers).is_some_and(|(seconds, _)| seconds < SECONDS_MIN);
    (is_short && is_listed(headers, Name::Supported)).then(|| SECONDS_MIN.to_string())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Refresher {
    Uac,
    Uas,
}

fn expires(headers: &Headers) -> Option<(u32, Option<Refresher>)> {
    let value = headers.first(Name::SessionExpires)?;
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    let (digits, params) = value.split_at_checked(end)?;
    let params = Params::parse(params).filter(|_| end > 0)?;
    let refresher = params.text("refresher").and_then(|text| match text {
        _ if text.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
        _ if text.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
        _ => None,
    });
    // What no number holds is longer than a day.
    Some((number(digits).unwrap_or(SECONDS_MAX).min(SECONDS_MAX), refresher))
}

fn min(headers: &Headers) -> u32 {
    let value = headers.first(Name::MinSe).unwrap_or_default();
    value.split(|byte| !byte.is_ascii_digit()).next().and_then(number).unwrap_or(0)
}

fn is_listed(headers: &Headers, name: Name) -> bool {
    headers.list(name).iter().any(|tag| tag.eq_ignore_ascii_case(b"timer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        lines.iter().for_each(|(label, value)| headers.push(label.as_bytes(), value.as_bytes()));
        headers
    }

    fn answer(lines: &[(&str, &str)]) -> String {
        let mut timer = SessionTimer::new();
        timer.propose(&headers(lines));
        String::from_utf8(timer.accept()).unwrap().replace("\r\n", "|")
    }

    #[test]
    fn the_refresher_is_chosen_as_table_2_has_it() {
        let supported = ("Supported", "100rel, timer");
        for (lines, wanted) in [
            (&[][..], ""),
            (&[supported], "Session-Expires: 1800;refresher=uac|Require: timer|"),
            (&[supported, ("Session-Expires", "600")], "Session-Expires: 600;refresher=uac|Require: timer|"),
            (&[supported, ("x", "600;refresher=UAS")], "Session-Expires: 600;refresher=uas|"),
            (&[supported, ("x", "600 ; refresher=uac")], "Session-Expires: 600;refresher=uac|Require: timer|"),
            (&[("Session-Expires", "600")], "Session-Expires: 600;refresher=uas|"),
            (&[supported, ("Min-SE", "3600")], "Session-Expires: 3600;refresher=uac|Require: timer|"),
        ] {
            assert_eq!(answer(lines), wanted, "{lines:?}");
        }
    }

    #[test]
    fn only_who_knows_timers_is_told_that_its_interval_is_short() {
        assert_eq!(refusal(&headers(&[("Supported", "timer"), ("x", "89")])), Some("90".to_owned()));
        assert_eq!(refusal(&headers(&[("Supported", "timer"), ("x", "90")])), None);
        assert_eq!(refusal(&headers(&[("x", "30")])), None);
        assert_eq!(answer(&[("x", "30")]), "Session-Expires: 90;refresher=uas|");
    }

    #[test]
    fn a_422_is_followed_upwards_and_within_measure() {
        let mut timer = SessionTimer::new();
        assert!(!timer.raise(&headers(&[("Min-SE", "1800")])), "no more than we asked for: it would be refused again");
        assert!(!timer.raise(&headers(&[("Min-SE", "4294967295")])) && !timer.raise(&headers(&[])));
        assert!(timer.raise(&headers(&[("Min-SE", "3600")])));
        assert_eq!(timer.ask(), b"Session-Expires: 3600\r\nMin-SE: 3600\r\n");
    }

    #[test]
    fn who_refreshes_does_so_at_half_time_and_both_give_up_before_the_end() {
        let deadlines = |value: &str| {
            let mut timer = SessionTimer::new();
            timer.answered(&headers(&[("x", value)]));
            let (refresh, end) = timer.deadlines();
            (refresh.map(|at| at.as_secs()), end.map(|at| at.as_secs()))
        };
        assert_eq!(deadlines("1800;refresher=uac"), (Some(900), Some(1768)));
        assert_eq!(deadlines("90;refresher=uas"), (None, Some(60)));
        assert_eq!(deadlines("99999999999999"), (Some(43_200), Some(86_368)));
        assert_eq!((deadlines("x"), deadlines("")), ((None, None), (None, None)));
        assert_eq!(SessionTimer::new().deadlines(), (None, None));
    }
}
