//! Questions to one gateway: how many at a time, how often, and one answer for all who ask the same. After an outage thousands of
//! attempts read the same pages of one list, and a gateway answers so much a second and no more.
//!
//! # Invariants
//! - Whoever asks gets the answer to a request that was sent after they asked: an older one would prove nothing to them.
//! - An answer is shared by those only who ask with one credential.

use crate::clock;
use gateway::{HttpRequest, Lane, Method, Pace, Sent};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

/// Questions under way at a time: each takes a connection.
const ASKS_MAX: usize = 64;

/// A question that waits for its turn: by which credential, and what for.
type Question = (String, String);

/// Who hears the answer beside the one who sends it. There are no more than attempts that are open.
type Others = Vec<oneshot::Sender<Arc<Sent>>>;

/// The queues before one gateway.
pub(super) struct Questions {
    reads: Queue,
    searches: Queue,
    writes: Queue,
    connections: Semaphore,
    waiting: Mutex<BTreeMap<Question, Others>>,
}

/// Who stands in front waits for the pace; the others wait for them, in the order in which they came.
#[derive(Default)]
struct Queue {
    front: tokio::sync::Mutex<()>,
    pace: Mutex<Pace>,
}

impl Default for Questions {
    fn default() -> Self {
        let [reads, searches, writes] = [(); 3].map(|()| Queue::default());
        Self { reads, searches, writes, connections: Semaphore::new(ASKS_MAX), waiting: Mutex::default() }
    }
}

impl Questions {
    /// What comes of a request, sent in its turn. Of those that ask the same before it is sent, one sends it.
    pub(super) async fn put(
        &self,
        credential: &str,
        request: HttpRequest,
        send: impl AsyncFnOnce(HttpRequest) -> Sent,
    ) -> Sent {
        let lane = Lane::of(&request);
        if request.method != Method::Get {
            let _connection = self.turn(lane).await;
            return self.noted(lane, send(request).await);
        }
        let question = (credential.to_owned(), request.path.clone());
        if let Some(answer) = self.join(&question) {
            // Who was to send it may have been ended: then nothing is known, as of any answer that is lost.
            return answer.await.map_or(Sent::Broken, |sent| Sent::clone(&sent));
        }
        let asking = Asking { questions: self, question: Some(question) };
        let _connection = self.turn(lane).await;
        let others = asking.close();
        let sent = self.noted(lane, send(request).await);
        if !others.is_empty() {
            let shared = Arc::new(sent.clone());
            // One who does not wait any more does not hear it.
            others.into_iter().for_each(|other| drop(other.send(Arc::clone(&shared))));
        }
        sent
    }

    /// That even what waits in no queue was too much, counts for those who do.
    pub(super) fn noted(&self, lane: Lane, sent: Sent) -> Sent {
        self.queue(lane).pace.lock().unwrap_or_else(PoisonError::into_inner).heard(clock::now(), &sent);
        sent
    }

    fn queue(&self, lane: Lane) -> &Queue {
        match lane {
            Lane::Read => &self.reads,
            Lane::Search => &self.searches,
            Lane::Write => &self.writes,
        }
    }

    /// The answer for which another one waits already; none where this is the first who asks.
    fn join(&self, question: &Question) -> Option<oneshot::Receiver<Arc<Sent>>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(others) = waiting.get_mut(question) else {
            waiting.insert(question.clone(), Others::new());
            return None;
        };
        let (other, answer) = oneshot::channel();
        others.push(other);
        Some(answer)
    }

    /// Nobody joins a question any more.
    fn close(&self, question: &Question) -> Others {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(question).unwrap_or_default()
    }

    /// Waits until it is time to send; none where the process is ending.
    async fn turn(&self, lane: Lane) -> Option<SemaphorePermit<'_>> {
        let queue = self.queue(lane);
        let _front = queue.front.lock().await;
        let connection = self.connections.acquire().await.ok();
        loop {
            let wait = {
                let mut pace = queue.pace.lock().unwrap_or_else(PoisonError::into_inner);
                let now = clock::now();
                let wait = pace.wait(now);
                if wait.is_zero() {
                    pace.sent(now);
                    return connection;
                }
                wait
            };
            tokio::time::sleep(wait).await;
        }
    }
}

/// A question that others may join. It is closed when it is sent, and also where whoever was to send it is ended before that.
struct Asking<'a> {
    questions: &'a Questions,
    question: Option<Question>,
}

impl Asking<'_> {
    fn close(mut self) -> Others {
        self.question.take().map(|question| self.questions.close(&question)).unwrap_or_default()
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(question) = self.question.take() {
            drop(self.questions.close(&question));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway::{Adapter, Kind, Request, Sandbox};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;
    use wire::AttemptId;

    /// What became of this attempt?
    fn asking_for(attempt: u128) -> HttpRequest {
        let (attempt, merchant) = (AttemptId::from_random(attempt), "m".parse().unwrap());
        let sandbox = Sandbox::new(Sandbox::TEST_KEY.to_owned());
        sandbox.build(&Request::Inquire { kind: Kind::Authorize, attempt, merchant: &merchant, locator: None })
    }

    /// A gateway that counts what it is asked, and answers with the number of the request when it may.
    #[derive(Default)]
    struct Gateway {
        questions: Questions,
        asked: AtomicUsize,
        may_answer: Notify,
    }

    impl Gateway {
        async fn answers(&self) -> Sent {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            Sent::Response { status: 200, body: vec![u8::try_from(number).unwrap()] }
        }

        async fn put(&self, credential: &str, attempt: u128) -> Option<u8> {
            body(&self.questions.put(credential, asking_for(attempt), async |_| self.answers().await).await)
        }

        /// Is sent at once, and answered when it may be.
        async fn put_slow(&self, attempt: u128) -> Option<u8> {
            let send = async |_| {
                let answer = self.answers().await;
                self.may_answer.notified().await;
                answer
            };
            body(&self.questions.put("a", asking_for(attempt), send).await)
        }

        /// Whoever asks next has to wait.
        async fn is_asked_something_else(&self) {
            self.put("a", 1_000).await.unwrap();
        }
    }

    fn body(sent: &Sent) -> Option<u8> {
        let Sent::Response { body, .. } = sent else { return None };
        body.first().copied()
    }

    #[tokio::test]
    async fn who_asks_the_same_while_it_waits_shares_one_answer_and_no_other_credential_does() {
        let gateway = Gateway::default();
        gateway.is_asked_something_else().await;
        let (first, second, third, other) =
            tokio::join!(gateway.put("a", 1), gateway.put("a", 1), gateway.put("b", 1), gateway.put("a", 2));
        assert_eq!((first, second, third, other), (Some(1), Some(1), Some(2), Some(3)));
        assert_eq!(gateway.put("a", 1).await, Some(4), "who asks later asks anew");
    }

    #[tokio::test]
    async fn an_answer_is_for_nobody_who_asked_after_it_was_asked_for() {
        let gateway = Gateway::default();
        let later = async {
            while gateway.asked.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            let answer = gateway.put("a", 1).await;
            gateway.may_answer.notify_one();
            answer
        };
        assert_eq!(tokio::join!(gateway.put_slow(1), later), (Some(0), Some(1)));
    }

    #[tokio::test]
    async fn where_who_was_to_send_is_ended_the_others_know_nothing_and_ask_again() {
        let gateway = Arc::new(Gateway::default());
        gateway.is_asked_something_else().await;
        let leader = tokio::spawn({
            let gateway = Arc::clone(&gateway);
            async move { gateway.put("a", 1).await }
        });
        while gateway.questions.waiting.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let ends = async { leader.abort() };
        let (answer, ()) = tokio::join!(gateway.put("a", 1), ends);
        assert_eq!(answer, None);
        assert_eq!(gateway.put("a", 1).await, Some(1));
    }

    #[tokio::test]
    async fn what_is_too_much_slows_down_who_waits() {
        let gateway = Gateway::default();
        let too_much = Sent::Response { status: 429, body: Vec::new() };
        assert!(gateway.questions.noted(Lane::Write, too_much).is_too_much());
        let reads = gateway.questions.reads.pace.lock().unwrap().wait(clock::now());
        let writes = gateway.questions.writes.pace.lock().unwrap().wait(clock::now());
        assert!(reads.is_zero() && !writes.is_zero(), "what a gateway counts apart is slowed down apart");
    }
}
