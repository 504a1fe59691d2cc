//! What breaks, when: by the thousand from a seed, or the next few by name.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::Deserialize;
use std::collections::VecDeque;

/// The longest delay; it stays below the adapter's settle window, after which an unknown charge counts as abandoned.
pub const DELAY_MS_MAX: u64 = 30_000;
/// The most faults that may be ordered by name.
pub const NEXT_MAX: usize = 1_000;

/// What the shell is to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Deliver it.
    Normal,
    /// Close the connection without an answer; nothing was charged.
    DropBeforeCommit,
    /// Close the connection without an answer; the charge stands.
    DropAfterCommit,
    /// Deliver it after so many milliseconds; until then the charge is being worked on.
    Delay(u64),
    /// Close the connection in the middle of the body; the charge stands.
    Truncate,
}

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No fault: lets a request through between others.
    None,
    /// The connection closes before anything was charged.
    DropBefore,
    /// The connection closes after the charge.
    DropAfter,
    /// The answer is late.
    Delay,
    /// Status 500 after the charge.
    #[serde(rename = "error_500_after")]
    Error500After,
    /// Status 503 with code `not_executed`: documented to have charged nothing.
    NotExecuted,
    /// The connection closes in the middle of the answer.
    Truncate,
}

/// How often each fault falls, of a thousand charges.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PerMille {
    drop_before: u32,
    drop_after: u32,
    delay: u32,
    error_500_after: u32,
    not_executed: u32,
    truncate: u32,
}

impl PerMille {
    fn table(&self) -> [(u32, Fault); 6] {
        [
            (self.drop_before, Fault::DropBefore),
            (self.drop_after, Fault::DropAfter),
            (self.delay, Fault::Delay),
            (self.error_500_after, Fault::Error500After),
            (self.not_executed, Fault::NotExecuted),
            (self.truncate, Fault::Truncate),
        ]
    }
}

/// What becomes of what the bank says unasked, of a thousand.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Webhooks {
    /// Never sent.
    lost: u32,
    /// Sent two to four times.
    duplicate: u32,
    /// Held back, so that later ones overtake it; copies of a duplicate are too.
    late: u32,
    /// For how long at most.
    late_ms: u64,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { lost: 0, duplicate: 0, late: 0, late_ms: 2_000 }
    }
}

/// What becomes of questions in Stripe's words, of a thousand.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Reads {
    /// Not answered.
    lost: u32,
}

/// How many requests in Stripe's words are answered a second; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Questions.
    pub reads: u32,
    /// Of those: searches.
    pub searches: u32,
    /// Everything else.
    pub writes: u32,
}

/// The body of `POST /v1/faults`. It replaces everything that was ordered before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Order {
    seed: u64,
    per_mille: PerMille,
    delay_ms: u64,
    next: VecDeque<Fault>,
    webhooks: Webhooks,
    reads: Reads,
    limits: Limits,
    /// False: the bank is one that has no idempotency keys, and executes whatever it is sent.
    idempotency: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            seed: 0,
            per_mille: PerMille::default(),
            delay_ms: 1_000,
            next: VecDeque::new(),
            webhooks: Webhooks::default(),
            reads: Reads::default(),
            limits: Limits::default(),
            idempotency: true,
        }
    }
}

/// The faults to come.
pub struct Faults {
    order: Order,
    random: ChaCha8Rng,
    /// Of webhooks, so that they change nothing for the rest.
    other_random: ChaCha8Rng,
    /// Of questions, as well.
    read_random: ChaCha8Rng,
}

/// An order of faults that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an order of faults: expected {{seed?, per_mille?, delay_ms?, next?, webhooks?, reads?, limits?, idempotency?}}, at most 1,000 per \
     mille in all, {DELAY_MS_MAX} ms and {NEXT_MAX} named faults"
)]
pub struct OrderError;

impl Faults {
    /// None.
    pub fn none() -> Self {
        Self::of(Order::default())
    }

    fn of(order: Order) -> Self {
        let seed = order.seed;
        let [random, other_random, read_random] =
            [seed, !seed, seed.rotate_left(32) ^ 1].map(ChaCha8Rng::seed_from_u64);
        Self { order, random, other_random, read_random }
    }

    /// From the body of `POST /v1/faults`.
    pub fn parse(body: &[u8]) -> Result<Self, OrderError> {
        let order: Order = serde_json::from_slice(body).map_err(|_| OrderError)?;
        let all = order.per_mille.table().iter().try_fold(0_u32, |sum, (share, _)| sum.checked_add(*share));
        let hooks = order.webhooks;
        let sensible = all.is_some_and(|all| all <= 1_000)
            && [hooks.lost, hooks.duplicate, hooks.late, order.reads.lost].into_iter().all(|share| share <= 1_000)
            && order.delay_ms <= DELAY_MS_MAX
            && hooks.late_ms <= DELAY_MS_MAX;
        if !sensible || order.next.len() > NEXT_MAX {
            return Err(OrderError);
        }
        Ok(Self::of(order))
    }

    /// The fault of the next charge.
    pub fn draw(&mut self) -> Fault {
        if let Some(fault) = self.order.next.pop_front() {
            return fault;
        }
        let mut rest = self.random.next_u32() % 1_000;
        for (share, fault) in self.order.per_mille.table() {
            match rest.checked_sub(share) {
                None => return fault,
                Some(left) => rest = left,
            }
        }
        Fault::None
    }

    /// When a webhook is sent, in milliseconds from now: never, once, or more often.
    pub fn webhook(&mut self) -> Vec<u64> {
        let Webhooks { lost, duplicate, late, late_ms } = self.order.webhooks;
        let mut falls = |share: u32| self.other_random.next_u32() % 1_000 < share;
        let (is_lost, is_repeated, is_late) = (falls(lost), falls(duplicate), falls(late));
        let mut some_time = || self.other_random.next_u64() % late_ms.saturating_add(1);
        match (is_lost, is_repeated) {
            (true, _) => Vec::new(),
            (false, false) => vec![if is_late { some_time() } else { 0 }],
            (false, true) => {
                let mut all = vec![if is_late { some_time() } else { 0 }, some_time()];
                for _ in 0..some_time() % 3 {
                    all.push(some_time());
                }
                all
            }
        }
    }

    /// Is the answer to this question lost?
    pub fn loses_read(&mut self) -> bool {
        self.read_random.next_u32() % 1_000 < self.order.reads.lost
    }

    /// How much is answered.
    pub fn limits(&self) -> Limits {
        self.order.limits
    }

    /// Does the bank know an idempotency key again?
    pub fn idempotency(&self) -> bool {
        self.order.idempotency
    }

    /// How late a late answer is.
    pub fn delay_ms(&self) -> u64 {
        self.order.delay_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_breaks_the_same_charges() {
        let draw = |seed| {
            let order = format!(r#"{{"seed":{seed},"per_mille":{{"drop_after":200,"truncate":100}}}}"#);
            let mut faults = Faults::parse(order.as_bytes()).expect("an order");
            (0..2_000).map(|_| faults.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let share = |fault| draw(7).iter().filter(|drawn| **drawn == fault).count();
        assert!((300..500).contains(&share(Fault::DropAfter)) && (120..280).contains(&share(Fault::Truncate)));
        assert_eq!(share(Fault::Delay), 0);
    }

    #[test]
    fn webhooks_are_lost_repeated_and_held_back_and_nothing_else_changes_by_it() {
        let order = |more: &str| {
            let order = format!(r#"{{"seed":7,"per_mille":{{"truncate":300}}{more}}}"#);
            Faults::parse(order.as_bytes()).expect("an order")
        };
        let mut plain = order("");
        let mut wild = order(r#","webhooks":{"lost":200,"duplicate":300,"late":300,"late_ms":500}"#);
        let (mut lost, mut repeated, mut late) = (0, 0, 0);
        for _ in 0..1_000 {
            assert_eq!(plain.webhook(), [0]);
            let sent = wild.webhook();
            assert!(sent.len() <= 4 && sent.iter().all(|delay| *delay <= 500));
            lost += usize::from(sent.is_empty());
            repeated += usize::from(sent.len() > 1);
            late += usize::from(sent.first().is_some_and(|delay| *delay > 0));
            assert_eq!(plain.draw(), wild.draw());
        }
        assert!((150..250).contains(&lost) && (190..290).contains(&repeated) && (190..290).contains(&late));
    }

    #[test]
    fn questions_are_lost_and_nothing_else_changes_by_it() {
        let order = |reads: &str| {
            let order = format!(r#"{{"seed":7,"per_mille":{{"truncate":300}},"reads":{{"lost":{reads}}}}}"#);
            Faults::parse(order.as_bytes()).expect("an order")
        };
        let (mut plain, mut wild) = (order("0"), order("200"));
        let lost = (0..1_000).filter(|_| {
            assert_eq!((plain.draw(), plain.webhook()), (wild.draw(), wild.webhook()));
            assert!(!plain.loses_read());
            wild.loses_read()
        });
        assert!((150..250).contains(&lost.count()));
    }

    #[test]
    fn named_faults_come_first_and_in_order() {
        let mut faults = Faults::parse(br#"{"next":["truncate","none","error_500_after"]}"#).expect("an order");
        let drawn: Vec<_> = (0..4).map(|_| faults.draw()).collect();
        assert_eq!(drawn, [Fault::Truncate, Fault::None, Fault::Error500After, Fault::None]);
    }

    #[test]
    fn orders_that_make_no_sense_are_refused() {
        for order in [
            r#"{"per_mille":{"delay":600,"truncate":401}}"#,
            r#"{"per_mille":{"delay":4294967295,"truncate":2}}"#,
            r#"{"delay_ms":30001}"#,
            r#"{"often":1}"#,
            r#"{"reads":{"lost":1001}}"#,
            r#"{"limits":{"reads":-1}}"#,
            "",
        ] {
            assert!(Faults::parse(order.as_bytes()).is_err(), "{order}");
        }
    }
}
