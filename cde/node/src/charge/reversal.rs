//! Giving an approval back that a rule does not want: until it is, also after a restart.

use super::{Charger, FollowUp, UnderWay};
use crate::journal::{Account, Wanted};
use gateway::Kind;
use std::time::Duration;
use wire::{AttemptId, MoneyAlarm, Origin, Outcome, Refusal};

/// Between two tries: soon at first, then every ten minutes for as long as it takes.
const PAUSES_S: [u32; 8] = [1, 2, 5, 10, 30, 60, 120, 600];
/// Tests do not wait that long.
const SECOND: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(1) };
/// While an answer to a try before is awaited.
const WAIT: Duration = Duration::from_secs(1);
/// After so many tries somebody is told; they go on.
const TRIES_UNTIL_TOLD: usize = 6;

/// What came of one try to give an approval back.
enum Try {
    Done,
    /// There is one before it whose end is not known.
    Awaited,
    Failed,
}

impl Charger {
    /// Begins to give an approval back. The agent of a call that is still there is told of a decline when it is.
    pub(super) fn begin_reversal(&self, wanted: Wanted, then: Option<(UnderWay, Outcome)>) {
        let charger = self.clone();
        tokio::spawn(async move {
            charger.reverse(wanted).await;
            if let Some((attempt, outcome)) = then {
                charger.tell(&attempt, outcome, None).await;
            }
        });
    }

    async fn reverse(&self, wanted: Wanted) {
        let mut tries = 0;
        loop {
            let account = match self.journal.account(wanted.payment).await {
                // Given back, and perhaps paid again since.
                Ok(None) => return,
                Ok(Some(account)) if account.attempt != wanted.attempt || account.balance.is_voided() => return,
                Ok(Some(account)) => Some(account),
                Err(error) => {
                    tracing::error!(%error, "an approval that is to be given back could not be read; trying again");
                    None
                }
            };
            if let Some(account) = account {
                match self.give_back(&account, wanted, tries).await {
                    Try::Done => return,
                    Try::Awaited => {
                        tokio::time::sleep(WAIT).await;
                        continue;
                    }
                    Try::Failed => {}
                }
            }
            tries += 1;
            if tries == TRIES_UNTIL_TOLD {
                self.tell_not_reversed(wanted).await;
            }
            let last = PAUSES_S.len() - 1;
            let pause = PAUSES_S.get(tries.min(last)).copied().unwrap_or(600);
            tokio::time::sleep(SECOND.saturating_mul(pause)).await;
        }
    }

    /// One try: a void, and every other time a refund, for a gateway that has settled the money meanwhile.
    async fn give_back(&self, account: &Account, wanted: Wanted, tries: usize) -> Try {
        let refundable = account.balance.refundable();
        let voidable = account.balance.check(Kind::Void, account.approved, false).is_ok();
        let refund = refundable.minor > 0 && (!voidable || tries % 2 == 1);
        let follow_up = FollowUp {
            attempt: AttemptId(uuid::Uuid::now_v7()),
            payment: wanted.payment,
            kind: if refund { Kind::Refund } else { Kind::Void },
            amount: None,
            last: false,
            origin: Origin::System,
        };
        match self.begin_follow_up(&follow_up).await {
            Ok(Some((attempt, parcel))) => match self.carry(attempt, parcel).await {
                Outcome::Approved { .. } => Try::Done,
                _ => Try::Failed,
            },
            Ok(None) | Err(Refusal::OutcomePending) => Try::Awaited,
            Err(reason) => {
                tracing::warn!(payment = %wanted.payment, ?reason, "an approval could not be given back yet");
                Try::Failed
            }
        }
    }

    async fn tell_not_reversed(&self, wanted: Wanted) {
        tracing::error!(payment = %wanted.payment,
            "an approval that is to be given back could not be, and is tried again: look at the gateway");
        let Ok(Some(account)) = self.journal.account(wanted.payment).await else { return };
        let operation = gateway::Operation::direct(Kind::Void, wanted.attempt, Some(account.approved));
        let Account { call, extension, gateway, merchant, .. } = account;
        let attempt = UnderWay {
            operation,
            payment: wanted.payment,
            call,
            extension,
            gateway,
            merchant,
            keep: None,
            credential: None,
        };
        self.alarm(&attempt, MoneyAlarm::NotReversed);
    }
}
