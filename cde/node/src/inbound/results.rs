//! One result an attempt, whoever asks for it how often.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use wire::{AttemptId, Outcome};

/// Results that are kept; callers ask again within a minute.
const KEPT_MAX: usize = 4_096;

/// Results, the newest.
#[derive(Default)]
pub(super) struct Results(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_attempt: BTreeMap<AttemptId, watch::Receiver<Outcome>>,
    order: VecDeque<AttemptId>,
}

impl Results {
    /// Begins the work if nobody has, and waits for its result; unknown where that takes longer. The work goes on,
    /// whoever waits.
    pub(super) async fn once(
        &self,
        attempt: AttemptId,
        most: Duration,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) -> Outcome {
        let mut result = self.begun(attempt, work);
        let known = tokio::time::timeout(most, result.wait_for(Outcome::is_known)).await;
        match known {
            Ok(Ok(outcome)) => outcome.clone(),
            // The work has ended without knowing, or goes on.
            Ok(Err(_)) | Err(_) => Outcome::Unknown,
        }
    }

    fn begun(
        &self,
        attempt: AttemptId,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) -> watch::Receiver<Outcome> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = kept.by_attempt.get(&attempt).filter(|result| is_worth_waiting_for(result)) {
            return result.clone();
        }
        let (tell, result) = watch::channel(Outcome::Unknown);
        if kept.by_attempt.insert(attempt, result.clone()).is_none() {
            kept.order.push_back(attempt);
        }
        if kept.order.len() > KEPT_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_attempt.remove(&oldest);
        }
        tokio::spawn(async move {
            tell.send_replace(work.await);
        });
        result
    }
}

/// Not work that has ended without knowing: the outcome may have been learned since.
fn is_worth_waiting_for(result: &watch::Receiver<Outcome>) -> bool {
    result.has_changed().is_ok() || result.borrow().is_known()
}
