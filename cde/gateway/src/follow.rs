//! Following an attempt whose outcome is unknown: when to ask the gateway again, and what its answer means.

use crate::adapter::Adapter;
use crate::answer::Answer;
use crate::http::{HttpRequest, Sent};
use crate::plan::{Fence, Plan, READ_UP_TO, Reading, Step};
use crate::request::{Operation, Request, SentBetween};
use wire::MerchantId;

/// How soon an unknown outcome is asked for again: quickly at first, then every ten seconds.
const PAUSES_MS: [u64; 6] = [500, 1_000, 2_000, 3_000, 5_000, 10_000];

/// For how many of a gateway's windows a fence is tried of which nothing is said.
const FENCE_WINDOWS: i64 = 10;

/// One attempt that is followed for as long as it takes. Wait for [`pause_ms`](Self::pause_ms), send what
/// [`ask`](Self::ask) builds, hand what came of it to [`hear`](Self::hear); and so on until that knows what became of it.
#[derive(Clone, Debug)]
pub struct Following {
    operation: Operation,
    merchant: MerchantId,
    locator: Option<String>,
    /// How far a list was read, where that is to go on.
    reading: Option<Reading>,
    /// When the gateway's window began, Unix milliseconds.
    since_unix_ms: i64,
    asked: usize,
    /// Can it prove anything that whoever is asked does not know the attempt?
    can_prove: bool,
    /// Has the gateway made sure that the attempt cannot be executed any more? Then there is no window to wait for.
    fence: Fence,
    /// Does it prove something that this inquiry finds nothing?
    settled: bool,
    plan: Plan,
}

/// What an answer to an inquiry brings.
pub enum Heard {
    /// This must be asked too.
    Ask(HttpRequest),
    /// What became of the attempt.
    Known(Answer),
    /// Nothing; it is asked again after a pause.
    Nothing,
}

impl Following {
    /// Follows an attempt. `locator` is the gateway's own name for it, as far as any answer gave one; the gateway's
    /// window begins when its last byte was sent.
    pub fn new(operation: Operation, merchant: MerchantId, locator: Option<String>, sent: SentBetween) -> Self {
        let operation = Operation { sent: Some(sent), ..operation };
        let since_unix_ms = sent.last_unix_ms;
        let (fence, plan) = (Fence::May, Plan::default());
        let (reading, asked, can_prove, settled) = (None, 0, true, false);
        Self { operation, merchant, locator, reading, since_unix_ms, asked, can_prove, fence, settled, plan }
    }

    /// Lets the gateway's window begin later, where it is not known what was sent when.
    pub fn since(self, unix_ms: i64) -> Self {
        Self { since_unix_ms: self.since_unix_ms.max(unix_ms), ..self }
    }

    /// Says whether the next [`ask`](Self::ask) goes to the very account that the attempt went to. One that may be another
    /// account may find the attempt, which nobody else's name is; that it has none is no proof, however late it is asked.
    pub fn can_prove(&mut self, can_prove: bool) {
        self.can_prove = can_prove;
    }

    /// Is the gateway's window over, so that it would know by now? While a fence was tried and nothing said of it, it is tried for
    /// longer before a clock decides.
    pub fn is_window_over(&self, now_unix_ms: i64, adapter: &dyn Adapter) -> bool {
        let settle_ms = i64::try_from(adapter.caps().settle_ms).unwrap_or(i64::MAX);
        let windows = if self.fence == Fence::Tried { FENCE_WINDOWS } else { 1 };
        now_unix_ms.saturating_sub(self.since_unix_ms) >= settle_ms.saturating_mul(windows)
    }

    /// How long to wait before the next [`ask`](Self::ask), in milliseconds.
    pub fn pause_ms(&self) -> u64 {
        let last = PAUSES_MS.len() - 1;
        PAUSES_MS.get(self.asked.min(last)).copied().unwrap_or_default()
    }

    /// The next inquiry; none where the gateway cannot be asked: then a webhook or people settle it. What counts for its
    /// answer is the time at which it was asked: a charge may appear while an answer that does not know it is still on
    /// its way.
    pub fn ask(&mut self, now_unix_ms: i64, adapter: &dyn Adapter) -> Option<HttpRequest> {
        // Another account's list is another list.
        let reading = self.reading.as_ref().filter(|_| self.can_prove);
        let locator = reading.map(|reading| reading.up_to.as_str()).or(self.locator.as_deref());
        if !adapter.caps().inquiry.possible(locator) {
            return None;
        }
        let is_final = self.fence == Fence::Stands || self.is_window_over(now_unix_ms, adapter);
        self.settled = self.can_prove && is_final && reading.is_none_or(|reading| reading.proves);
        self.asked = self.asked.saturating_add(1);
        self.plan = Plan::resuming(reading, if self.can_prove { self.fence } else { Fence::MayNot });
        let Operation { kind, attempt, .. } = self.operation;
        Some(adapter.build(&Request::Inquire { kind, attempt, merchant: &self.merchant, locator }))
    }

    /// What an answer brings.
    pub fn hear(&mut self, adapter: &dyn Adapter, sent: Sent) -> Heard {
        let step = adapter.step(&mut self.plan, self.operation.inquiry(self.settled), sent);
        self.note_fence();
        let answer = match step {
            Step::Next(request) => return Heard::Ask(request),
            Step::Done(answer) => answer,
        };
        if !answer.is_final() {
            self.note_place(answer.locator());
        }
        // That the inquiry itself was not executed says nothing of the charge.
        let is_known = answer.is_final() && answer != Answer::Rejected;
        if is_known { Heard::Known(answer) } else { Heard::Nothing }
    }

    fn note_fence(&mut self) {
        let fence = self.plan.fence();
        if !self.can_prove || fence == self.fence {
            return;
        }
        (self.fence, self.reading) = (fence, None);
        // What is asked from now on is final, or will find it, and is worth to be asked soon.
        if matches!(fence, Fence::Stands | Fence::TooLate | Fence::Used) {
            (self.settled, self.asked) = (fence == Fence::Stands, 0);
        }
    }

    /// Where the next inquiry goes on.
    fn note_place(&mut self, locator: Option<&str>) {
        match locator {
            Some(up_to) if up_to.starts_with(READ_UP_TO) => {
                // There is more to be read, and every reason to read it now.
                if self.reading.as_ref().is_none_or(|reading| reading.up_to != up_to) {
                    self.asked = 0;
                }
                self.reading = Some(Reading { up_to: up_to.to_owned(), proves: self.settled });
            }
            Some(name) => (self.locator, self.reading) = (Some(name.to_owned()), None),
            None if self.can_prove => self.reading = None,
            None => {}
        }
    }

    /// What became of the attempt, if this answer tells, at a gateway that is asked by one request.
    pub fn answer(&mut self, adapter: &dyn Adapter, sent: Sent) -> Option<Answer> {
        match self.hear(adapter, sent) {
            Heard::Known(answer) => Some(answer),
            Heard::Ask(_) | Heard::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Kind;
    use crate::sandbox::Sandbox;
    use wire::{AttemptId, Currency, Money};

    fn following() -> (Following, Sandbox) {
        let amount = Money { minor: 100, currency: Currency::GBP };
        let operation = Operation::direct(Kind::Authorize, AttemptId::from_random(1), Some(amount));
        let sent = SentBetween { first_unix_ms: 500, last_unix_ms: 1_000 };
        let following = Following::new(operation, "shop".parse().unwrap(), None, sent);
        (following, Sandbox::new(Sandbox::TEST_KEY.to_owned()))
    }

    fn not_found() -> Sent {
        Sent::Response { status: 404, body: br#"{"error":{"code":"no_such_charge"}}"#.to_vec() }
    }

    #[test]
    fn it_asks_quickly_at_first_and_never_gives_up() {
        let (mut following, adapter) = following();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(following.pause_ms());
            assert!(following.ask(1_000, &adapter).is_some());
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 3_000, 5_000, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn not_found_is_final_only_when_asked_after_the_gateways_window() {
        let (mut following, adapter) = following();
        let window_ms = i64::try_from(adapter.caps().settle_ms).unwrap();
        following.ask(1_000 + window_ms - 1, &adapter);
        assert_eq!(following.answer(&adapter, not_found()), None);
        following.ask(1_000 + window_ms, &adapter);
        assert_eq!(following.answer(&adapter, not_found()), Some(Answer::Abandoned));
        let mut restarted = self::following().0.since(9_000);
        restarted.ask(9_000 + window_ms - 1, &adapter);
        assert_eq!(restarted.answer(&adapter, not_found()), None);
        restarted.ask(9_000 + window_ms, &adapter);
        assert_eq!(restarted.answer(&adapter, not_found()), Some(Answer::Abandoned));
    }

    #[test]
    fn an_account_that_may_be_another_can_find_an_attempt_and_never_prove_that_there_is_none() {
        let (mut following, adapter) = following();
        following.can_prove(false);
        following.ask(i64::MAX, &adapter);
        assert_eq!(following.answer(&adapter, not_found()), None);
        let attempt = AttemptId::from_random(1);
        let body =
            format!(r#"{{"id":"ch_1","reference":"{attempt}","status":"approved","amount":100,"currency":"GBP"}}"#);
        let found = Sent::Response { status: 200, body: body.into_bytes() };
        assert!(matches!(following.answer(&adapter, found), Some(Answer::Approved(_))));
        following.can_prove(true);
        following.ask(i64::MAX, &adapter);
        assert_eq!(following.answer(&adapter, not_found()), Some(Answer::Abandoned));
    }

    #[test]
    fn an_inquiry_that_failed_says_nothing_of_the_charge() {
        let (mut following, adapter) = following();
        following.ask(i64::MAX, &adapter);
        let refused = Sent::Response { status: 429, body: br#"{"error":{"code":"rate_limited"}}"#.to_vec() };
        for sent in [Sent::NotSent, Sent::Broken, refused] {
            assert_eq!(following.answer(&adapter, sent), None);
        }
    }
}
