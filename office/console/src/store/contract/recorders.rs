//! Recorders elsewhere.

use super::Place;
use crate::{
    recorders::{Answer, Word},
    store::recorders::{Asked, Due, ROWS_MAX, Recorders, Standing},
};
use wire::{CallId, CallNames, HookTrouble};

const DESKTOPS: &str = "desktops";

fn call(number: u128) -> CallId {
    CallId::from_random(number)
}

fn customers(name: &str) -> CallNames {
    CallNames { customer: name.parse().ok(), ..CallNames::default() }
}

/// This recorder is to pause for this agent.
async fn wants(store: &impl Recorders, now_ms: i64, number: u128, extension: &str, round: (u32, &CallNames)) {
    wants_of(store, DESKTOPS, (now_ms, number, extension), round).await;
}

async fn wants_of(
    store: &impl Recorders,
    recorder: &str,
    (now_ms, number, extension): (i64, u128, &str),
    (round, names): (u32, &CallNames),
) {
    let extension = extension.parse().unwrap();
    let asked = Asked { call: call(number), extension: &extension, names, round };
    store.recorders_pause(now_ms, asked, &[recorder]).await.unwrap();
}

async fn opens(store: &impl Recorders, now_ms: i64, number: u128) {
    store.recorders_resume(now_ms, &call(number).to_string(), false).await.unwrap();
}

/// What is due, with whose it is.
async fn due(store: &impl Recorders, now_ms: i64) -> Vec<Due> {
    store.recorders_due(now_ms, &[]).await.unwrap()
}

fn words(due: &[Due]) -> Vec<(Word, &str)> {
    due.iter().map(|due| (due.event.word, due.key.extension.as_str())).collect()
}

/// All that is due is said, and done.
async fn done(store: &impl Recorders, now_ms: i64) -> Vec<Due> {
    let all = due(store, now_ms).await;
    for due in &all {
        assert!(store.recorder_begins(due, &[]).await.unwrap());
        match due.event.word {
            Word::Pause => store.recorder_paused(now_ms, due, Answer::Done).await.unwrap(),
            Word::Resume => store.recorder_resumed(now_ms, due, "done").await.unwrap(),
        }
    }
    all
}

pub(super) async fn it_is_said_once_and_a_repetition_is_the_same(place: &impl Place<Store: Recorders>) {
    let (store, names) = (place.open().await, CallNames::default());
    wants(&store, 1, 1, "1001", (1, &names)).await;
    let first = due(&store, 1).await;
    wants(&store, 5, 1, "1001", (1, &names)).await;
    assert_eq!(due(&place.open().await, 9).await[0].event, first[0].event, "it was asked for before");
    let extension = "1001".parse().unwrap();
    let asked = Asked { call: call(1), extension: &extension, names: &names, round: 1 };
    assert_eq!(store.recorders_stand(asked).await.unwrap(), Standing::Waiting);
    done(&store, 9).await;
    assert!(due(&store, 9).await.is_empty());
    assert_eq!(store.recorders_stand(asked).await.unwrap(), Standing::Paused);
    opens(&store, 10, 1).await;
    let resume = due(&store, 10).await;
    assert!(!store.recorder_begins(&first[0], &[]).await.unwrap(), "it is not wanted any more");
    store.recorder_not_resumed(11, &resume[0], (20, false), HookTrouble::TimedOut).await.unwrap();
    assert!(due(&store, 19).await.is_empty());
    assert_eq!(due(&store, 20).await[0].event, resume[0].event);
    assert_eq!(store.recorder_figures().await.unwrap().resuming, 1);
    done(&store, 20).await;
    assert_eq!(store.recorder_figures().await.unwrap().resuming, 0);
}

/// What broke: a call that was transferred away was opened, and the recorder of the agent before was told to resume while that agent took
/// the next card.
pub(super) async fn none_resumes_what_another_call_may_want_paused(place: &impl Place<Store: Recorders>) {
    let (store, none) = (place.open().await, CallNames::default());
    wants(&store, 1, 1, "1001", (1, &none)).await;
    wants(&store, 2, 1, "1002", (2, &none)).await;
    wants(&store, 3, 2, "1001", (1, &none)).await;
    done(&store, 3).await;
    opens(&store, 4, 1).await;
    let resumes = due(&store, 4).await;
    assert_eq!(words(&resumes), [(Word::Resume, "1002")], "that of 1001 has another call");
    wants(&store, 5, 2, "1002", (2, &none)).await;
    assert!(!store.recorder_begins(&resumes[0], &[]).await.unwrap(), "nor is one begun that was due before");
    done(&store, 5).await;
    opens(&store, 6, 2).await;
    assert_eq!(done(&store, 6).await.len(), 4, "all of them when no line is masked");

    for (one, other, is_held) in [("a", "a", true), ("a", "b", false)] {
        wants(&store, 7, 3, "1003", (1, &customers(one))).await;
        wants(&store, 7, 4, "1004", (1, &customers(other))).await;
        done(&store, 7).await;
        opens(&store, 8, 3).await;
        assert_eq!(due(&store, 8).await.is_empty(), is_held, "the customer's call is one: {one} {other}");
        opens(&store, 9, 4).await;
        done(&store, 9).await;
    }
}

pub(super) async fn who_is_not_told_which_recording_is_meant_resumes_when_nobody_wants_a_pause(
    place: &impl Place<Store: Recorders>,
) {
    let (store, none) = (place.open().await, CallNames::default());
    wants(&store, 1, 1, "1001", (1, &none)).await;
    wants(&store, 1, 2, "1002", (1, &none)).await;
    done(&store, 1).await;
    opens(&store, 2, 1).await;
    assert_eq!(due(&store, 2).await.len(), 1);
    assert!(store.recorders_due(2, &[DESKTOPS]).await.unwrap().is_empty());
    assert_eq!(store.recorders_due(2, &["another"]).await.unwrap().len(), 1);
    assert!(!store.recorder_begins(&due(&store, 2).await[0], &[DESKTOPS]).await.unwrap());
    opens(&store, 3, 2).await;
    assert_eq!(store.recorders_due(3, &[DESKTOPS]).await.unwrap().len(), 2);
}

/// What broke: a row was forgotten when its recorder had resumed, and the next pause of the call began at the time of a clock that was
/// put back.
pub(super) async fn what_a_recorder_is_told_of_a_call_is_in_order_whatever_the_clock_says(
    place: &impl Place<Store: Recorders>,
) {
    let (store, none) = (place.open().await, CallNames::default());
    let mut said = Vec::new();
    for (round, now_ms) in [(1, 5_000), (2, 100), (3, 50)] {
        wants(&store, now_ms, 1, "1001", (round, &none)).await;
        said.extend(done(&store, now_ms).await);
        wants(&store, now_ms, 1, "1002", (round, &none)).await;
        said.extend(done(&store, now_ms).await);
        opens(&store, now_ms, 1).await;
        said.extend(done(&store, now_ms).await);
    }
    let mut sequence: Vec<i64> = said.iter().map(|due| due.event.sequence).collect();
    assert_eq!((sequence.len(), sequence[0]), (12, 5_000));
    let in_groups = sequence.chunks(4).map(|group| (group.iter().min(), group.iter().max()));
    assert!(in_groups.is_sorted_by(|before, next| before.1 < next.0), "{sequence:?}");
    sequence.sort_unstable();
    sequence.dedup();
    assert_eq!(sequence.len(), 12, "no two have one place");
}

pub(super) async fn of_a_call_that_is_over_nothing_is_kept(place: &impl Place<Store: Recorders>) {
    let (store, none) = (place.open().await, CallNames::default());
    for (number, ends_first) in [(1, true), (2, false)] {
        let id = call(number).to_string();
        wants(&store, 1, number, "1001", (1, &none)).await;
        done(&store, 1).await;
        store.recorders_resume(2, &id, ends_first).await.unwrap();
        done(&store, 2).await;
        let is_kept = store.recorders_resuming().await.unwrap() == [id.clone()];
        assert_eq!(is_kept, !ends_first, "as long as the call its place in the order");
        store.recorders_ended(&id).await.unwrap();
        assert!(store.recorders_resuming().await.unwrap().is_empty());
        wants(&store, 1, number, "1001", (1, &none)).await;
        assert_eq!(due(&store, 1).await[0].event.sequence, 1, "nothing is known of it");
        store.recorders_resume(2, &id, true).await.unwrap();
    }
}

pub(super) async fn pauses_are_handed_out_before_resumes(place: &impl Place<Store: Recorders>) {
    let (store, none) = (place.open().await, CallNames::default());
    let rows = u128::try_from(ROWS_MAX).unwrap();
    for number in 0..rows {
        wants(&store, 1, number, &format!("2{number:03}"), (1, &none)).await;
    }
    done(&store, 1).await;
    for number in 0..rows {
        opens(&store, 2, number).await;
    }
    wants(&store, 3, rows, "1001", (1, &none)).await;
    let due = due(&store, 3).await;
    assert_eq!((due.len(), words(&due)[0]), (ROWS_MAX.try_into().unwrap(), (Word::Pause, "1001")));
}

/// What broke: more pauses than a page has, of a recorder that was dead, kept every resume of the others off the page.
pub(super) async fn pauses_of_a_dead_recorder_keep_no_resume_from_the_page(place: &impl Place<Store: Recorders>) {
    let (store, none) = (place.open().await, CallNames::default());
    wants(&store, 1, 9_000, "1001", (1, &none)).await;
    done(&store, 1).await;
    opens(&store, 2, 9_000).await;
    let rows = u128::try_from(ROWS_MAX).unwrap();
    for number in 0..=rows {
        wants_of(&store, "dead", (1, number, &format!("2{number:03}")), (1, &none)).await;
    }
    let due = due(&store, 3).await;
    assert_eq!(words(&due)[..2], [(Word::Pause, "2000"), (Word::Resume, "1001")]);
}
