//! What every store of the office keeps, said of its rooms alone. An implementation is given to [`keeps_every_promise`] and to
//! [`chance`], which plays it against the model.

mod access;
mod cards;
mod chance;
mod jobs;
pub(super) mod journal;
mod payments;
mod recorders;
mod reports;
mod requests;

use super::{
    alarms::Alarms,
    api_keys::ApiKeys,
    audit::{Audit, Entry},
    bounced_orders::BouncedOrders,
    finance::Finance,
    idempotency::Idempotency,
    journal::Journal,
    manual::Manual,
    model::Model,
    parts::Parts,
    payments::Payments,
    reconciliations::Reconciliations,
    recorders::Recorders,
    recurring::Recurring,
    sessions::Sessions,
    sqlite::{Sqlite, tests::Folder},
    users::{Role, User, UserRow, Users},
};
use crate::rights::Rights;

/// By how many looks at a call its caller stays longer each time.
const LOOKS: u32 = 20;

/// The rooms that the contract speaks of.
pub(super) trait Rooms: ApiKeys + Audit + Idempotency + Sessions + Users {}
impl<S: ApiKeys + Audit + Idempotency + Sessions + Users> Rooms for S {}

/// The rooms in which money is, as far as there is a model of them, besides.
pub(super) trait Modeled:
    Rooms + Alarms + BouncedOrders + Finance + Journal + Manual + Parts + Payments
{
}
impl<S: Rooms + Alarms + BouncedOrders + Finance + Journal + Manual + Parts + Payments> Modeled for S {}

/// All rooms in which money is.
pub(super) trait MoneyRooms: Modeled + Reconciliations + Recurring {}
impl<S: Modeled + Reconciliations + Recurring> MoneyRooms for S {}

/// Where a store with them is kept.
pub(super) trait MoneyPlace: Place<Store: MoneyRooms> {}
impl<P: Place<Store: MoneyRooms>> MoneyPlace for P {}

/// Where a store is kept. Each handle is as good as another process's.
pub(super) trait Place {
    type Store: Rooms;

    async fn open(&self) -> Self::Store;
}

/// In memory: every handle is the same.
struct Memory(Model);

impl Place for Memory {
    type Store = Model;

    async fn open(&self) -> Model {
        self.0.clone()
    }
}

impl Place for Folder {
    type Store = Sqlite;

    async fn open(&self) -> Sqlite {
        Sqlite::open(&self.0.join("office.db")).await.unwrap()
    }
}

/// Each promise in a place of its own.
async fn keeps_every_promise<P: Place>(fresh: impl Fn() -> P) {
    access::a_user_is_one(&fresh()).await;
    access::guesses_at_once_are_all_counted(&fresh()).await;
    access::a_success_forgives_the_failures_before_it(&fresh()).await;
    access::a_session_ends_when_idle_and_when_old(&fresh()).await;
    access::a_user_has_a_bounded_number_of_sessions(&fresh()).await;
    access::a_link_works_once_and_not_after_ten_minutes(&fresh()).await;
    access::a_revoked_key_is_known_and_never_good_again(&fresh()).await;
    access::use_is_written_down_to_the_minute_and_looking_is_none(&fresh()).await;
    access::the_audit_trail_is_told_in_order_and_in_bounds(&fresh()).await;
    access::a_session_that_is_begun_in_vain_ends_no_other(&fresh()).await;
    requests::a_key_is_done_once_and_keeps_its_seed(&fresh()).await;
    requests::of_two_at_once_both_have_one_seed(&fresh()).await;
    requests::a_request_whose_caller_goes_away_has_one_seed(&fresh()).await;
}

/// Each promise about money in places of its own.
async fn keeps_every_promise_of_money<P: MoneyPlace>(fresh: impl Fn() -> P) {
    let fresh = &fresh;
    journal::what_is_to_be_paid_follows_the_call_to_another_agent_and_what_is_paid_does_not(fresh).await;
    journal::the_attempts_together_make_the_state(fresh).await;
    journal::a_record_counts_once_and_a_gap_is_refused(fresh).await;
    journal::a_group_is_stored_up_to_the_record_that_can_not_be(fresh).await;
    journal::a_new_journal_begins_at_nothing_and_the_same_one_goes_on(fresh).await;
    journal::what_the_gateway_may_have_done_is_never_hidden(fresh).await;
    journal::once_caught_up_the_payments_of_gone_calls_are_settled(fresh).await;
    journal::a_reservation_that_only_the_records_tell_of_is_one(fresh).await;
    journal::a_payment_waits_for_people_until_the_end_of_each_attempt_is_known(fresh).await;
    journal::a_group_whose_caller_goes_away_is_stored_wholly_or_not_at_all(fresh).await;
    journal::what_two_store_at_once_counts_once(fresh).await;
    payments::an_order_is_stored_once_and_taken_back_only_while_nobody_was_asked(fresh).await;
    payments::pages_show_each_payment_once_and_the_newest_first(fresh).await;
    payments::what_is_open_counts_as_paid_and_what_was_approved_in_part_counts_so(fresh).await;
    payments::a_payment_looks_like_another_only_if_that_one_may_have_taken_money(fresh).await;
    payments::an_alarm_is_seen_once_with_its_row(fresh).await;
    payments::what_an_order_takes_the_place_of_is_replaced_whichever_is_stored_first(fresh).await;
    payments::an_attempt_is_settled_by_two_people_who_have_found_the_same(fresh).await;
    cards::a_card_that_a_gateway_does_not_delete_is_gone_by_the_word_of_two(fresh).await;
    cards::what_two_say_of_a_card_is_not_taken_back_while_the_card_side_is_told_and_is_when_it_refuses(fresh).await;
    cards::a_card_that_is_gone_leaves_nothing_to_do_and_its_alarm_who_has_looked(fresh).await;
    payments::what_is_keyed_is_marked_once_and_goes_back_with_the_money(fresh).await;
    payments::what_is_to_be_looked_at_waits_until_somebody_has(fresh).await;
    reports::a_report_is_taken_in_once_and_its_lines_are_its_sources(fresh).await;
    reports::a_report_that_is_taken_back_takes_nothing_of_others(fresh).await;
    reports::nothing_of_a_report_counts_before_all_of_it_is_here(fresh).await;
    jobs::what_is_due_is_handed_out_once_and_in_one_hand(fresh).await;
    jobs::a_lease_that_has_run_out_writes_nothing_and_the_next_asks_for_the_same(fresh).await;
    jobs::whoever_goes_away_the_same_attempt_is_asked_for(fresh).await;
}

/// Each promise about recorders elsewhere.
async fn keeps_every_promise_of_recorders<P: Place<Store: Recorders>>(fresh: impl Fn() -> P) {
    recorders::it_is_said_once_and_a_repetition_is_the_same(&fresh()).await;
    recorders::none_resumes_what_another_call_may_want_paused(&fresh()).await;
    recorders::who_is_not_told_which_recording_is_meant_resumes_when_nobody_wants_a_pause(&fresh()).await;
    recorders::what_a_recorder_is_told_of_a_call_is_in_order_whatever_the_clock_says(&fresh()).await;
    recorders::of_a_call_that_is_over_nothing_is_kept(&fresh()).await;
    recorders::pauses_are_handed_out_before_resumes(&fresh()).await;
    recorders::pauses_of_a_dead_recorder_keep_no_resume_from_the_page(&fresh()).await;
}

/// A user of this e-mail and no extension; their id.
async fn user(store: &impl Users, email: &str) -> i64 {
    insert(store, email, None).await.unwrap();
    known(store, email).await.id
}

async fn insert(store: &impl Users, email: &str, extension: Option<&str>) -> Result<(), super::StoreError> {
    let extension = extension.map(|text| text.parse().unwrap());
    let (extension, rights) = (extension.as_ref(), &Rights::default());
    let row = UserRow { email, name: "Amy", role: Role::Agent, extension, rights, password_hash: "x" };
    store.user_insert(0, &row).await
}

async fn known(store: &impl Users, email: &str) -> User {
    store.user_by_email(email).await.unwrap().unwrap()
}

/// A call whose caller goes away after a while, the next time a little later. True: it was answered before. When this returns
/// it is done, or never will be, because another call that writes has been.
async fn abandoned<T>(store: &impl Audit, turn: u32, call: impl Future<Output = T>) -> bool {
    let leave = async {
        for _ in 0..turn * LOOKS {
            tokio::task::yield_now().await;
        }
    };
    let was_answered = tokio::select! {
        biased;
        _ = call => true,
        () = leave => false,
    };
    store.audit(&Entry::system(0, "abandoned", "ok", "-")).await.unwrap();
    was_answered
}

#[tokio::test]
async fn sqlite_keeps_every_promise() {
    keeps_every_promise(Folder::new).await;
}

#[tokio::test]
async fn sqlite_keeps_every_promise_of_money() {
    keeps_every_promise_of_money(Folder::new).await;
}

#[tokio::test]
async fn sqlite_keeps_every_promise_of_recorders() {
    keeps_every_promise_of_recorders(Folder::new).await;
}

#[tokio::test]
async fn the_model_keeps_every_promise() {
    keeps_every_promise(|| Memory(Model::default())).await;
}
