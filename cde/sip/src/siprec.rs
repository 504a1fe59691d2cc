//! What a recording session is opened with (RFC 7866): its streams, labeled, and who speaks in them (RFC 7865).

use crate::{
    message::{Body, Uri},
    offer_answer::LocalMedia,
    sdp::{self, Carried, Origin, base64},
};

/// It stands in nothing that we write, as what others have named is never at the beginning of a line.
const BOUNDARY: &str = "recording-session-parts";
const SECONDS_A_DAY: i64 = 86_400;

/// One of two who speak with each other, each in a stream of their own.
pub struct Participant {
    /// Names this one, by chance.
    pub id: [u8; 16],
    /// Names the stream, by chance.
    pub stream: [u8; 16],
    /// Who it is.
    pub address: Uri,
}

/// Who speaks in a recording session, from when on. The first one's stream has the label 1, the second one's 2.
pub struct Metadata {
    /// Names the call that is recorded.
    pub session: [u8; 16],
    /// Since when, in Unix milliseconds.
    pub since_unix_ms: i64,
    /// Both.
    pub participants: [Participant; 2],
}

/// A stream that a recorder is offered.
pub struct Offered<'a> {
    /// Where it comes from, and what it is.
    pub media: &'a LocalMedia,
    /// How it is carried.
    pub carried: Carried<'a>,
}

/// The offer of both streams.
#[must_use]
pub fn offer(origin: Origin, streams: [Offered<'_>; 2]) -> Body {
    let [first, second] = streams.map(|offered| (offered.media, offered.carried));
    sdp::write_labeled(origin, [("1", first), ("2", second)])
}

impl Metadata {
    /// As the recorder is told: all of it at once.
    #[must_use]
    pub fn write(&self) -> Body {
        let (session, since) = (base64(&self.session), date_time(self.since_unix_ms));
        let [first, second] = &self.participants;
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<recording xmlns=\"urn:ietf:params:xml:ns:recording:1\">\r\n\
             <datamode>complete</datamode>\r\n<session session_id=\"{0}\"/>\r\n",
            *session
        );
        for one in [first, second] {
            let (id, address) = (base64(&one.id), escaped(one.address.as_str()));
            text += &format!("<participant participant_id=\"{}\"><nameID aor=\"{address}\"/></participant>\r\n", *id);
        }
        for (label, one) in [(1, first), (2, second)] {
            let (id, session) = (base64(&one.stream), session.as_str());
            let label = format!("<label>{label}</label>");
            text += &format!("<stream stream_id=\"{}\" session_id=\"{session}\">{label}</stream>\r\n", *id);
        }
        let time = format!("<associate-time>{since}</associate-time>");
        let of_session = format!("session_id=\"{}\"", *session);
        text += &format!("<sessionrecordingassoc {of_session}>{time}</sessionrecordingassoc>\r\n");
        for (one, other) in [(first, second), (second, first)] {
            let (id, sends, hears) = (base64(&one.id), base64(&one.stream), base64(&other.stream));
            let of_one = format!("participant_id=\"{}\"", *id);
            text += &format!("<participantsessionassoc {of_one} {of_session}>{time}</participantsessionassoc>\r\n");
            let streams = format!("<send>{}</send><recv>{}</recv>{time}", *sends, *hears);
            text += &format!("<participantstreamassoc {of_one}>{streams}</participantstreamassoc>\r\n");
        }
        text.push_str("</recording>\r\n");
        Body::from(text.into_bytes())
    }
}

/// The offer and the metadata as one body, with its type (RFC 7866 §9.1).
pub(crate) fn join(offer: &Body, metadata: &Body) -> (String, Body) {
    let sdp = format!("--{BOUNDARY}\r\nContent-Type: application/sdp\r\n\r\n");
    let about = format!(
        "\r\n--{BOUNDARY}\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n"
    );
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    let parts = [sdp.as_bytes(), offer.as_bytes(), about.as_bytes(), metadata.as_bytes(), end.as_bytes()];
    (format!("multipart/mixed;boundary={BOUNDARY}"), Body::from(parts.concat()))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// UTC (RFC 3339). Years are counted from March on, so that a leap day is the last of its year.
fn date_time(unix_ms: i64) -> String {
    const DAYS_TO_1970_FROM_0000_MARCH: i64 = 719_468;
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let seconds = unix_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(SECONDS_A_DAY), seconds.rem_euclid(SECONDS_A_DAY));
    let days = days + DAYS_TO_1970_FROM_0000_MARCH;
    let (era, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(date_time(seconds * 1000), text);
        }
    }

    #[test]
    fn a_name_cannot_become_markup() {
        let participant =
            |id, address: &str| Participant { id: [id; 16], stream: [id + 1; 16], address: address.parse().unwrap() };
        let metadata = Metadata {
            session: [0; 16],
            since_unix_ms: 0,
            participants: [participant(1, "sip:a&b@192.0.2.1"), participant(3, "sip:1001@192.0.2.1")],
        };
        let text = String::from_utf8(metadata.write().as_bytes().to_vec()).unwrap();
        assert!(text.contains("aor=\"sip:a&amp;b@192.0.2.1\""), "{text}");
        assert_eq!(text.matches("<send>").count(), 2);
        assert!(text.contains("<stream stream_id=\"AgICAgICAgICAgICAgICAg==\""), "{text}");
    }
}
