//! Asking a gateway what became of an attempt, for as long as it takes, and by which credential.
//!
//! # Invariants
//! - That a gateway does not know an attempt is a proof only where it was asked by the credential that has sent it: by
//!   another one it may be another account, whose books say nothing of ours. Then people are told, and two of them may say.
//! - What finds the attempt is believed whoever was asked: nobody else's charge has its name.
//! - Of an attempt whose gateway cannot be asked at all people are told: at once where it is not in the file any more, and
//!   after a while where it has no credential. It is asked all the same as soon as it can be.

use super::{Charger, UnderWay};
use crate::clock;
use crate::terminal::{Login, Terminal};
use gateway::{Following, SentBetween};
use std::time::Duration;
use wire::{AttemptId, Outcome};

/// How long a gateway may be without the credential that the office gives, before people are told of what it cannot be asked for.
/// Who has just moved a key to the office gives it within minutes.
const CREDENTIAL_MS_MAX: i64 = 15 * 60 * 1000;
/// Then between two looks at whether people have said, or there is one: the first, and the longest.
const LOOK: Duration = Duration::from_secs(10);
const LOOK_MAX: Duration = Duration::from_secs(60);

const GONE: &str = "an attempt's gateway is no longer in cde.toml: two people must find out at the gateway and say, or it is put there \
    again, and is asked after a restart";
const NO_CREDENTIAL: &str = "an attempt's gateway has no credential, and cannot be asked for it: give it in the office, or two people must \
    find out at the gateway and say";
const OTHER_CREDENTIAL: &str = "this attempt was sent with another credential than the gateway has now, which does not know it: two people \
    must find out in the account of that time and say. It is asked for all the same";

impl Charger {
    /// Asks the gateway until it answers. Unknown only where it cannot be asked. `own` is what this process has sent it with:
    /// as long as it lives it asks by that, whatever has been given since.
    pub(super) async fn settle(
        &self,
        attempt: UnderWay,
        locator: Option<String>,
        sent: SentBetween,
        own: Option<Login>,
    ) -> Outcome {
        let id = attempt.operation.attempt;
        let Some(terminal) = self.terminals.get(&attempt.gateway) else {
            self.tell_people(&attempt, GONE);
            return Outcome::Unknown;
        };
        // After a restart as well: when the last request was sent, if it was, is not in the journal.
        let following = Following::new(attempt.operation, attempt.merchant.clone(), locator, sent);
        let mut following = following.since(clock::unix_ms());
        let (mut round, mut is_told, began_unix_ms, mut look) = (0_usize, false, clock::unix_ms(), LOOK);
        loop {
            tokio::time::sleep(Duration::from_millis(following.pause_ms())).await;
            let is_replaced = terminal.is_other(attempt.credential.as_deref());
            if (is_replaced || is_told) && self.is_settled(id).await {
                return self.standing(id).await;
            }
            // It is asked for as soon as it has a credential again.
            let Some(login) = asks(terminal, own.as_ref(), round) else {
                if clock::unix_ms().saturating_sub(began_unix_ms) >= CREDENTIAL_MS_MAX {
                    is_told = true;
                    self.tell_people(&attempt, NO_CREDENTIAL);
                    tokio::time::sleep(look).await;
                    look = look.saturating_mul(2).min(LOOK_MAX);
                }
                continue;
            };
            round = round.wrapping_add(1);
            let adapter = login.adapter.as_ref();
            following.can_prove(attempt.credential.as_ref().is_none_or(|sent_by| *sent_by == login.credential));
            let Some(request) = following.ask(clock::unix_ms(), adapter) else {
                return self.wait_for_word(&attempt).await;
            };
            if let Some(answer) = terminal.ask(&login, &mut following, request).await {
                // Many may learn at once from one answer. It is never closed.
                let _turn = self.writes.acquire().await;
                return self.end(&attempt, &answer).await;
            }
            if is_replaced && following.is_window_over(clock::unix_ms(), adapter) {
                self.tell_people(&attempt, OTHER_CREDENTIAL);
            }
        }
    }

    /// Has somebody else settled it meanwhile: people, or a webhook?
    async fn is_settled(&self, attempt: AttemptId) -> bool {
        matches!(self.journal.find(attempt).await, Ok(Some(noted)) if !noted.is_open)
    }
}

/// Who is asked. Where another credential has been given since, both by turns: the one that sent it may have been revoked, and
/// the new one be of the same account.
fn asks(terminal: &Terminal, own: Option<&Login>, round: usize) -> Option<Login> {
    let now = terminal.login();
    match own {
        Some(own) if round.is_multiple_of(2) || now.is_none() => Some(own.clone()),
        _ => now,
    }
}
