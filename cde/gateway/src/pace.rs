//! How often a gateway is asked: ever more often while it answers, and half as often as soon as it says that this is too much. Each
//! kind of request has a pace of its own, since gateways count them apart (docs.stripe.com/rate-limits).

use crate::http::{HttpRequest, Method, Sent};
use std::time::{Duration, Instant};

/// Requests a second, in thousandths, at first, at least and at most.
const START: u64 = 50_000;
const LEAST: u64 = 1_000;
const MOST: u64 = 400_000;
/// What an answer adds: before any was too much twice as many are asked within a second, after that within seven.
const FIRST_STEP: u64 = 1_000;
const STEP: u64 = 100;
/// Gateways count by the second: after one answer of too much nothing more is asked for so long, and the others of the same
/// second say nothing new.
const TOO_MUCH: Duration = Duration::from_millis(500);
const SAME: Duration = Duration::from_secs(1);

/// What a gateway counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// It reads.
    Read,
    /// It lets everything be searched, which costs the gateway more.
    Search,
    /// It changes something.
    Write,
}

impl Lane {
    /// Of a request.
    pub fn of(request: &HttpRequest) -> Self {
        let path = request.path.split('?').next().unwrap_or_default();
        match request.method {
            Method::Get if path.ends_with("/search") => Self::Search,
            Method::Get => Self::Read,
            Method::Post | Method::Delete => Self::Write,
        }
    }
}

/// The pace of one lane of one gateway.
#[derive(Debug)]
pub struct Pace {
    rate: u64,
    next: Option<Instant>,
    slowed: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rate: START, next: None, slowed: None }
    }
}

impl Pace {
    /// How long to wait until the next may be sent; zero where it may be now.
    pub fn wait(&self, now: Instant) -> Duration {
        self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }

    /// One is sent.
    pub fn sent(&mut self, now: Instant) {
        let between = Duration::from_micros(1_000_000_000_u64.checked_div(self.rate).unwrap_or(u64::MAX));
        // Whoever was late, as every timer is, catches up, but not with what nobody wanted to ask.
        let due = self.next.map_or(now, |next| next.max(now.checked_sub(between).unwrap_or(now)));
        self.next = due.checked_add(between);
    }

    /// What came of one.
    pub fn heard(&mut self, now: Instant, sent: &Sent) {
        match sent {
            sent if sent.is_too_much() => self.slow_down(now),
            Sent::Response { .. } => {
                let step = if self.slowed.is_some() { STEP } else { FIRST_STEP };
                self.rate = self.rate.saturating_add(step).min(MOST);
            }
            // It says nothing of how much is too much.
            Sent::NotSent | Sent::Broken => {}
        }
    }

    fn slow_down(&mut self, now: Instant) {
        // What payments are refused in the meantime must not put off those who wait for ever.
        if self.slowed.is_some_and(|at| now.saturating_duration_since(at) < SAME) {
            return;
        }
        self.slowed = Some(now);
        self.rate = (self.rate / 2).max(LEAST);
        self.next = now.checked_add(TOO_MUCH);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an arbitrary beginning of virtual time")]
mod tests {
    use super::*;
    use crate::http::Body;

    fn response(status: u16) -> Sent {
        Sent::Response { status, body: Vec::new() }
    }

    /// How many are answered in each of so many seconds, by a gateway that answers so many a second.
    fn answered(seconds: usize, most: u32) -> Vec<(u32, u32)> {
        let (begin, mut pace) = (Instant::now(), Pace::default());
        let mut counts = vec![(0, 0); seconds];
        let mut now = begin;
        loop {
            now += pace.wait(now).max(Duration::from_micros(1));
            let second = usize::try_from((now - begin).as_secs()).unwrap();
            let Some((good, refused)) = counts.get_mut(second) else { return counts };
            pace.sent(now);
            let is_over = *good >= most;
            *(if is_over { refused } else { good }) += 1;
            pace.heard(now, &response(if is_over { 429 } else { 200 }));
        }
    }

    #[test]
    fn it_finds_what_a_gateway_answers_and_is_seldom_refused() {
        for most in [5, 25, 100, 300] {
            let counts = answered(120, most);
            let settled = &counts[60..];
            let good: u32 = settled.iter().map(|(good, _)| good).sum();
            let refused: u32 = settled.iter().map(|(_, refused)| refused).sum();
            assert!(good >= most * 60 / 2, "{good} answered of {} that {most} a second allow", most * 60);
            assert!(refused * 10 <= good, "{refused} refused beside {good} at {most} a second");
        }
    }

    #[test]
    fn without_a_refusal_it_grows_to_its_most_and_no_further() {
        let counts = answered(10, u32::MAX);
        assert!((60..=100).contains(&counts[0].0), "{:?}", counts[0]);
        assert!((395..=405).contains(&counts[4].0) && (395..=405).contains(&counts[9].0), "{counts:?}");
    }

    #[test]
    fn refusals_of_one_second_count_once_and_what_broke_counts_for_nothing() {
        let (now, mut pace) = (Instant::now(), Pace::default());
        (0..40).for_each(|n| pace.heard(now + Duration::from_millis(n), &response(429)));
        assert_eq!(pace.rate, START / 2);
        [Sent::Broken, Sent::NotSent].iter().for_each(|sent| pace.heard(now, sent));
        assert_eq!(pace.rate, START / 2);
        pace.heard(now + SAME, &response(429));
        assert_eq!(pace.rate, START / 4);
        assert_eq!(pace.wait(now + SAME), TOO_MUCH);
    }

    /// Each refusal put off the next question, so that two a second kept everybody waiting for ever.
    #[test]
    fn refusals_of_others_put_nobody_off_for_ever() {
        let (begin, mut pace) = (Instant::now(), Pace::default());
        let mut sent = 0;
        for tenth in 0..600 {
            let now = begin + Duration::from_millis(100 * tenth);
            pace.heard(now, &response(429));
            if pace.wait(now).is_zero() {
                pace.sent(now);
                sent += 1;
            }
        }
        assert!(sent >= 30, "{sent} in a minute");
    }

    #[test]
    fn a_search_is_told_by_its_path() {
        let lane = |method, path: &str| {
            let path = path.to_owned();
            Lane::of(&HttpRequest { method, path, headers: Vec::new(), body: Body::empty(), summary: String::new() })
        };
        assert_eq!(lane(Method::Get, "/v1/payment_intents/search?query=a"), Lane::Search);
        assert_eq!(lane(Method::Get, "/v1/payment_intents?after=/search"), Lane::Read);
        assert_eq!(lane(Method::Post, "/v1/payment_intents"), Lane::Write);
    }
}
