//! Following an attempt whose outcome is unknown: when to ask the gateway again, and what its answer means.

use crate::adapter::Adapter;
use crate::answer::Answer;
use crate::http::{HttpRequest, Sent};
use crate::plan::{Plan, Step};
use crate::request::{Operation, Request, SentBetween};
use wire::MerchantId;

/// How soon an unknown outcome is asked for again: quickly at first, then every ten seconds.
const PAUSES_MS: [u64; 6] = [500, 1_000, 2_000, 3_000, 5_000, 10_000];

/// One attempt that is followed for as long as it takes. Wait for [`pause_ms`](Self::pause_ms), send what
/// [`ask`](Self::ask) builds, hand what came of it to [`hear`](Self::hear); and so on until that knows what became of it.
#[derive(Clone, Debug)]
pub struct Following {
    operation: Operation,
    merchant: MerchantId,
    locator: Option<String>,
    /// When the gateway's window began, Unix milliseconds.
    since_unix_ms: i64,
    asked: usize,
    window_over: bool,
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
        Self { operation, merchant, locator, since_unix_ms, asked: 0, window_over: false, plan: Plan::default() }
    }

    /// Lets the gateway's window begin later, where it is not known what was sent when.
    pub fn since(self, unix_ms: i64) -> Self {
        Self { since_unix_ms: self.since_unix_ms.max(unix_ms), ..self }
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
        let locator = self.locator.as_deref();
        if !adapter.caps().inquiry.possible(locator) {
            return None;
        }
        let settle_ms = i64::try_from(adapter.caps().settle_ms).unwrap_or(i64::MAX);
        self.window_over = now_unix_ms.saturating_sub(self.since_unix_ms) >= settle_ms;
        self.asked = self.asked.saturating_add(1);
        self.plan = Plan::default();
        let Operation { kind, attempt, .. } = self.operation;
        Some(adapter.build(&Request::Inquire { kind, attempt, merchant: &self.merchant, locator }))
    }

    /// What an answer brings.
    pub fn hear(&mut self, adapter: &dyn Adapter, sent: Sent) -> Heard {
        let answer = match adapter.step(&mut self.plan, self.operation.inquiry(self.window_over), sent) {
            Step::Next(request) => return Heard::Ask(request),
            Step::Done(answer) => answer,
        };
        if let (false, Some(locator)) = (answer.is_final(), answer.locator()) {
            self.locator = Some(locator.to_owned());
        }
        // That the inquiry itself was not executed says nothing of the charge.
        let is_known = answer.is_final() && answer != Answer::Rejected;
        if is_known { Heard::Known(answer) } else { Heard::Nothing }
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
    fn an_inquiry_that_failed_says_nothing_of_the_charge() {
        let (mut following, adapter) = following();
        following.ask(i64::MAX, &adapter);
        let refused = Sent::Response { status: 429, body: br#"{"error":{"code":"rate_limited"}}"#.to_vec() };
        for sent in [Sent::NotSent, Sent::Broken, refused] {
            assert_eq!(following.answer(&adapter, sent), None);
        }
    }
}
