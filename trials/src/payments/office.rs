//! The office's end of the door: it takes records, remembers them as a database would, and acknowledges them, sometimes too
//! late or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use wire::{AttemptId, AttemptKind, FromCde, FromOffice, JournalId, MerchantId, Money, Outcome, PaymentId, RecordBody};

/// Every so many records the connection is thrown away before what came is acknowledged.
const THROWN_AWAY_EVERY: u64 = 977;
const PING: Duration = Duration::from_secs(1);

/// An attempt as the office knows it.
pub(super) struct Known {
    pub(super) kind: AttemptKind,
    pub(super) payment: PaymentId,
    pub(super) merchant: MerchantId,
    pub(super) amount: Money,
    /// None: the office has heard nothing but that it was sent.
    pub(super) outcome: Option<Outcome>,
}

impl Known {
    pub(super) fn is_settled(&self) -> bool {
        self.outcome.as_ref().is_some_and(Outcome::is_known)
    }
}

#[derive(Default)]
pub(super) struct Heard {
    pub(super) attempts: BTreeMap<AttemptId, Known>,
    /// What records may never do.
    pub(super) findings: Vec<String>,
    journal: Option<JournalId>,
    newest: u64,
    newest_outcome: Option<Instant>,
    thrown_away: u64,
}

#[derive(Clone)]
pub(super) struct Office(Arc<Mutex<Heard>>);

impl Office {
    /// Goes on until the trial ends.
    pub(super) fn begin(door: PathBuf) -> Self {
        let office = Self(Arc::default());
        let own = office.clone();
        tokio::spawn(async move {
            loop {
                // The process is killed: it ends as often as it begins.
                let _ = own.converse(&door).await;
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        });
        office
    }

    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn newest_outcome(&self) -> Option<Instant> {
        self.heard().newest_outcome
    }

    /// Waits until every attempt has an outcome, but not for ever: who judges finds those that have none.
    pub(super) async fn wait_until_settled(&self, until: Instant) {
        while Instant::now() < until && self.heard().attempts.values().any(|known| !known.is_settled()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn converse(&self, door: &Path) -> anyhow::Result<()> {
        let (reading, mut writing) = UnixStream::connect(door).await?.into_split();
        let (mut lines, mut line, mut heard, mut said) = (BufReader::new(reading), Vec::new(), 0, 0);
        let (journal, acknowledged) = {
            let heard = self.heard();
            (heard.journal, heard.newest)
        };
        let mut say = async |words: FromOffice| {
            said += 1;
            anyhow::Ok(writing.write_all(&wire::encode(said, &words)?).await?)
        };
        say(FromOffice::Hello { journal, acknowledged }).await?;
        let mut ping = tokio::time::interval(PING);
        loop {
            tokio::select! {
                _ = ping.tick() => say(FromOffice::Ping).await?,
                // What was read of a line stays in it when a ping comes between.
                read = lines.read_until(b'\n', &mut line) => {
                    anyhow::ensure!(read? > 0, "it is gone");
                    heard += 1;
                    let words = wire::decode(heard, &line)?;
                    line.clear();
                    match words {
                        FromCde::Hello { journal, .. } => self.heard().greeted(journal),
                        FromCde::Record(record) => {
                            let number = record.number;
                            self.heard().record(record);
                            anyhow::ensure!(!number.is_multiple_of(THROWN_AWAY_EVERY) || !self.throws_away(), "thrown away");
                            say(FromOffice::Ack { number }).await?;
                        }
                        FromCde::Event(_) | FromCde::CaughtUp | FromCde::Ping => {}
                    }
                }
            }
        }
    }

    /// Every other time.
    fn throws_away(&self) -> bool {
        let mut heard = self.heard();
        heard.thrown_away += 1;
        !heard.thrown_away.is_multiple_of(2)
    }
}

impl Heard {
    fn greeted(&mut self, journal: JournalId) {
        if self.journal.is_some_and(|known| known != journal) {
            self.findings.push("the journal has another id".to_owned());
        }
        self.journal = Some(journal);
    }

    fn record(&mut self, record: wire::Record) {
        if record.number <= self.newest {
            return;
        }
        if record.number != self.newest + 1 {
            self.findings.push(format!("record {} comes after {}", record.number, self.newest));
        }
        self.newest = record.number;
        match record.body {
            RecordBody::AttemptSent(wire::AttemptSent { attempt, kind, payment, merchant, amount, .. }) => {
                let known = Known { kind, payment, merchant, amount, outcome: None };
                if self.attempts.insert(attempt, known).is_some() {
                    self.findings.push(format!("attempt {attempt} was sent twice"));
                }
            }
            RecordBody::AttemptEnded { attempt, outcome, .. } => self.ended(attempt, outcome),
            RecordBody::Audit(_) | RecordBody::Advised { .. } => {}
            RecordBody::CardKept { .. }
            | RecordBody::CardNotKept { .. }
            | RecordBody::CardForgetting { .. }
            | RecordBody::CardForgotten { .. } => {
                self.findings.push("a card was kept, or not, and nobody has asked for it".to_owned());
            }
            RecordBody::AttemptToldAgain(_) | RecordBody::OfficeRestored(_) => {
                self.findings.push("this office has forgotten nothing, and is told that it has".to_owned());
            }
        }
    }

    fn ended(&mut self, attempt: AttemptId, outcome: Outcome) {
        let Some(known) = self.attempts.get_mut(&attempt) else {
            return self.findings.push(format!("attempt {attempt} ended and was never sent"));
        };
        if known.is_settled() {
            self.findings.push(format!("attempt {attempt} has ended twice: {:?} and {outcome:?}", known.outcome));
        }
        if outcome.is_known() {
            self.newest_outcome = Some(Instant::now());
        }
        known.outcome = Some(outcome);
    }
}
