//! What is to be sent for one attempt, and where it may go instead.

use super::keep::CardCopy;
use crate::terminal::Login;
use gateway::routing::FAILOVER_MS_MAX;
use gateway::{Answer, HttpRequest, Plan};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// The gateways that one attempt may go to after the first.
pub(super) const SPARES_MAX: usize = 3;

/// An operation's requests at one gateway, not sent yet. They hold the card in wiped memory.
pub(crate) struct Leg {
    pub(super) gateway: String,
    /// What it was built with, and is sent and asked for by.
    pub(super) login: Login,
    pub(super) request: HttpRequest,
    pub(super) plan: Plan,
}

/// An operation's requests at the gateway that it goes to first, and at those that stand in for it: all are built while
/// the card is there.
pub(crate) struct Parcel {
    /// None where only the vault is to have the card.
    pub(super) first: Option<Leg>,
    spares: VecDeque<Leg>,
    until: Instant,
    copy: Option<CardCopy>,
}

impl Parcel {
    pub(super) fn new(first: Option<Leg>, spares: impl IntoIterator<Item = Leg>) -> Self {
        let spares = spares.into_iter().take(SPARES_MAX).collect();
        Self { first, spares, until: Instant::now() + Duration::from_millis(FAILOVER_MS_MAX), copy: None }
    }

    /// With what the vault may have after an approval.
    pub(super) fn with_copy(self, copy: Option<CardCopy>) -> Self {
        Self { copy, ..self }
    }

    /// By which credential it goes to the first gateway.
    pub(crate) fn credential(&self) -> Option<String> {
        self.first.as_ref().map(|leg| leg.login.credential.clone())
    }

    /// Its first requests, what is left, and what the vault may have.
    pub(super) fn open(self) -> (Option<Leg>, Rest, Option<CardCopy>) {
        (self.first, Rest { spares: self.spares, until: self.until }, self.copy)
    }
}

/// Where an attempt may still go.
pub(super) struct Rest {
    spares: VecDeque<Leg>,
    until: Instant,
}

impl Rest {
    /// The next gateway, only after one that proved that it did nothing; everything else wipes what is left.
    pub(super) fn after(&mut self, answer: &Answer) -> Option<Leg> {
        if *answer != Answer::Rejected || Instant::now() >= self.until {
            self.spares.clear();
        }
        self.spares.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway::{Adapter, Kind, Request, Sandbox};

    fn leg(name: &str) -> Leg {
        let merchant = "m".parse().unwrap();
        let attempt = wire::AttemptId::from_random(1);
        let asked = Request::Inquire { kind: Kind::Authorize, attempt, merchant: &merchant, locator: None };
        let adapter = Sandbox::new(String::new());
        let request = adapter.build(&asked);
        let login = Login { adapter: std::sync::Arc::new(adapter), credential: name.to_owned() };
        Leg { gateway: name.to_owned(), login, request, plan: Plan::default() }
    }

    fn rest() -> Rest {
        let (first, rest, _) = Parcel::new(Some(leg("a")), [leg("b"), leg("c")]).open();
        assert_eq!(first.unwrap().gateway, "a");
        rest
    }

    #[tokio::test(start_paused = true)]
    async fn another_gateway_is_asked_only_after_a_proof_and_while_the_card_may_be_kept() {
        let mut proved = rest();
        assert_eq!(proved.after(&Answer::Rejected).map(|leg| leg.gateway).as_deref(), Some("b"));
        assert!(proved.after(&Answer::UNKNOWN).is_none());
        assert!(proved.after(&Answer::Rejected).is_none(), "the card is gone");
        for answer in [Answer::UNKNOWN, Answer::ActionRequired, Answer::Abandoned] {
            assert!(rest().after(&answer).is_none());
        }
        let mut late = rest();
        tokio::time::advance(Duration::from_millis(FAILOVER_MS_MAX)).await;
        assert!(late.after(&Answer::Rejected).is_none());
    }
}
