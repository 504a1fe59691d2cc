use crate::{ALL, Desk, MASTERCARD, TODAY, approved, attempt, declined, order, start};
use payment::{Payment, Rules};
use wire::{
    Currency, DeclineClass, Field, FieldStatus, Money, Outcome, PaymentOrder, PaymentState, Refusal, RejectReason,
    Store,
};

#[test]
fn nothing_is_sent_before_the_agent_says_so() {
    let mut desk = Desk::secured(ALL);
    assert_eq!(desk.payment.authorize(desk.now, attempt(1)), Err(Refusal::FieldsMissing));
    desk.keys("5555555555554444 1230 123");
    desk.wait(60_000);
    desk.drain();
    assert!(desk.sent.is_empty());
    desk.payment.authorize(desk.now, attempt(1)).unwrap();
    desk.drain();
    assert_eq!(desk.sent, [attempt(1)]);
}

#[test]
fn a_request_is_built_only_between_authorize_and_outcome() {
    let mut desk = Desk::ready();
    assert!(desk.payment.sending(attempt(1)).is_none());
    desk.payment.authorize(desk.now, attempt(1)).unwrap();
    let sending = desk.payment.sending(attempt(1)).unwrap();
    assert!(sending.card.pan.expose(|digits| digits == MASTERCARD.as_bytes()) && sending.amount.minor == 4200);
    assert!(desk.payment.sending(attempt(2)).is_none());
    desk.payment.handle_outcome(desk.now, attempt(1), approved());
    assert!(desk.payment.sending(attempt(1)).is_none());
}

#[test]
fn a_second_attempt_is_refused_while_one_is_in_flight_or_unknown() {
    let mut desk = Desk::in_flight();
    desk.drain();
    assert_eq!(desk.payment.authorize(desk.now, attempt(1)), Ok(()), "the same command is done already");
    assert_eq!(desk.payment.authorize(desk.now, attempt(2)), Err(Refusal::OutcomePending));
    desk.payment.handle_outcome(desk.now, attempt(1), Outcome::Unknown);
    assert_eq!(desk.payment.authorize(desk.now, attempt(2)), Err(Refusal::OutcomePending));
    assert_eq!(desk.payment.cancel(desk.now), Err(Refusal::OutcomePending));
    assert_eq!(desk.payment.request_field(desk.now, Field::Pan), Err(Refusal::OutcomePending));
    assert!(!desk.payment.holds_card());
    desk.drain();
    assert_eq!(desk.sent, [attempt(1)]);
}

#[test]
fn an_approval_wipes_and_ends_the_payment() {
    let mut desk = Desk::ended(approved());
    assert!(!desk.payment.holds_card());
    assert_eq!(desk.payment.progress().state, PaymentState::Approved);
    assert_eq!(desk.payment.authorize(desk.now, attempt(2)), Err(Refusal::AlreadyApproved));
    assert_eq!(desk.payment.cancel(desk.now), Err(Refusal::AlreadyApproved));
    desk.payment.handle_outcome(desk.now, attempt(1), declined(DeclineClass::Other));
    assert_eq!(desk.payment.state(), PaymentState::Approved);
}

#[test]
fn an_unknown_is_settled_only_by_the_gateways_word_on_the_same_attempt() {
    let mut desk = Desk::ended(Outcome::Unknown);
    for (number, outcome) in [(2, approved()), (1, Outcome::Rejected), (1, Outcome::Unknown)] {
        desk.payment.handle_outcome(desk.now, attempt(number), outcome);
        assert_eq!(desk.payment.state(), PaymentState::Unknown);
    }
    desk.wait(86_400_000);
    desk.payment.handle_outcome(desk.now, attempt(1), approved());
    assert_eq!(desk.payment.state(), PaymentState::Approved);
}

#[test]
fn an_abandoned_attempt_leaves_no_card_and_another_may_be_keyed() {
    let mut desk = Desk::ended(Outcome::Unknown);
    desk.payment.handle_outcome(desk.now, attempt(1), Outcome::Abandoned);
    assert_eq!(desk.payment.authorize(desk.now, attempt(2)), Err(Refusal::CardGone));
    desk.payment.request_field(desk.now, Field::Pan).unwrap();
    desk.keys("5555555555554444 1230 123");
    assert_eq!(desk.payment.authorize(desk.now, attempt(2)), Ok(()));
}

#[test]
fn a_card_proved_not_sent_may_be_sent_again_for_two_minutes_in_all() {
    let mut desk = Desk::ended(Outcome::Rejected);
    assert_eq!(desk.payment.state(), PaymentState::NotSent);
    assert_eq!(desk.payment.authorize(desk.now, attempt(1)), Err(Refusal::WrongState), "an id is used once");
    desk.wait(100_000);
    desk.payment.authorize(desk.now, attempt(2)).unwrap();
    assert!(desk.payment.sending(attempt(2)).unwrap().card.cvv.is_some());
    desk.payment.handle_outcome(desk.now, attempt(2), Outcome::Rejected);
    desk.wait(19_999);
    assert!(desk.payment.holds_card());
    desk.wait(1);
    assert!(!desk.payment.holds_card());
    assert_eq!(desk.payment.authorize(desk.now, attempt(3)), Err(Refusal::CardGone));
}

#[test]
fn a_wrong_code_is_asked_alone_while_the_rest_is_kept() {
    let mut desk = Desk::ended(declined(DeclineClass::WrongCvv));
    assert_eq!(desk.payment.state(), PaymentState::Declined);
    assert_eq!(desk.field(Field::Cvv), (FieldStatus::Bad, 0, Some(RejectReason::BankRefused)));
    assert_eq!(desk.field(Field::Pan).0, FieldStatus::Ok);
    desk.payment.request_field(desk.now, Field::Cvv).unwrap();
    desk.keys("321");
    desk.payment.authorize(desk.now, attempt(2)).unwrap();
    let sending = desk.payment.sending(attempt(2)).unwrap();
    assert!(sending.card.cvv.as_ref().unwrap().expose(|digits| digits == b"321"));
}

#[test]
fn after_a_wrong_code_the_date_may_be_asked_first() {
    let mut desk = Desk::ended(declined(DeclineClass::WrongCvv));
    desk.payment.request_field(desk.now, Field::Expiry).unwrap();
    desk.keys("0131");
    assert_eq!(desk.payment.state(), PaymentState::Capturing, "the code is missing");
    desk.keys("321");
    desk.payment.authorize(desk.now, attempt(2)).unwrap();
    assert_eq!(desk.payment.progress().last4.map(String::from), Some("4444".to_owned()), "the number was kept");
}

#[test]
fn an_expired_card_is_asked_for_its_date_and_its_code() {
    let mut desk = Desk::ended(declined(DeclineClass::ExpiredCard));
    desk.payment.request_field(desk.now, Field::Expiry).unwrap();
    desk.keys("0131 123");
    assert_eq!(desk.payment.state(), PaymentState::Ready);
}

#[test]
fn what_a_decline_left_is_wiped_after_a_minute_asked_for_or_not() {
    let mut idle = Desk::ended(declined(DeclineClass::WrongCvv));
    idle.wait(60_000);
    assert!(!idle.payment.holds_card());
    assert_eq!(idle.payment.request_field(idle.now, Field::Cvv), Err(Refusal::CardGone));
    let mut asked = Desk::ended(declined(DeclineClass::WrongCvv));
    asked.wait(50_000);
    asked.payment.request_field(asked.now, Field::Cvv).unwrap();
    asked.wait(10_000);
    assert!(!asked.payment.holds_card());
}

#[test]
fn any_other_decline_wipes_all_and_another_card_may_be_keyed() {
    for class in [DeclineClass::InsufficientFunds, DeclineClass::LostOrStolen, DeclineClass::BankDown] {
        let mut desk = Desk::ended(declined(class));
        assert!(!desk.payment.holds_card());
        assert_eq!(desk.payment.progress().last4.unwrap().to_string(), "4444", "the agent reads which card it was");
        desk.payment.request_field(desk.now, Field::Pan).unwrap();
        assert_eq!(desk.payment.progress().last4, None);
        desk.keys("378282246310005 1230 1234");
        assert_eq!(desk.payment.authorize(desk.now, attempt(2)), Ok(()));
        assert_eq!(desk.payment.progress().attempts, 2);
    }
}

#[test]
fn after_five_attempts_the_payment_can_only_be_canceled() {
    let mut desk = Desk::ended(declined(DeclineClass::Other));
    for number in 2..=5 {
        desk.payment.request_field(desk.now, Field::Pan).unwrap();
        desk.keys("5555555555554444 1230 123");
        desk.payment.authorize(desk.now, attempt(number)).unwrap();
        desk.payment.handle_outcome(desk.now, attempt(number), declined(DeclineClass::WrongCvv));
    }
    assert!(!desk.payment.holds_card());
    assert_eq!(desk.payment.request_field(desk.now, Field::Pan), Err(Refusal::WrongState));
    assert_eq!(desk.payment.cancel(desk.now), Ok(()));
}

#[test]
fn cancel_wipes_and_is_done_twice_without_harm() {
    let mut desk = Desk::ready();
    assert_eq!((desk.payment.cancel(desk.now), desk.payment.cancel(desk.now)), (Ok(()), Ok(())));
    assert!(!desk.payment.holds_card());
    assert_eq!((desk.payment.progress().state, desk.payment.progress().last4), (PaymentState::Cancelled, None));
    assert_eq!(desk.payment.authorize(desk.now, attempt(1)), Err(Refusal::WrongState));
}

#[test]
fn a_line_that_leaves_secured_wipes_and_cancels() {
    for mut desk in [Desk::ready(), Desk::ended(Outcome::Rejected), Desk::ended(declined(DeclineClass::WrongCvv))] {
        desk.payment.handle_unsecured(desk.now);
        assert_eq!((desk.payment.state(), desk.payment.holds_card()), (PaymentState::Cancelled, false));
    }
}

#[test]
fn an_attempt_in_flight_survives_the_lines_release_but_its_card_does_not() {
    for outcome in [declined(DeclineClass::WrongCvv), Outcome::Rejected] {
        let mut desk = Desk::in_flight();
        desk.payment.handle_unsecured(desk.now);
        assert!(desk.payment.sending(attempt(1)).is_some());
        desk.payment.handle_secured(desk.now);
        desk.payment.handle_outcome(desk.now, attempt(1), outcome);
        assert!(!desk.payment.holds_card());
    }
}

#[test]
fn a_hang_up_wipes_all_and_the_outcome_is_still_followed() {
    let mut desk = Desk::in_flight();
    desk.payment.handle_hang_up(desk.now);
    assert!(!desk.payment.holds_card() && desk.payment.sending(attempt(1)).is_none());
    assert_eq!(desk.payment.state(), PaymentState::Authorizing);
    desk.payment.handle_outcome(desk.now, attempt(1), Outcome::Unknown);
    desk.payment.handle_outcome(desk.now, attempt(1), approved());
    assert_eq!(desk.payment.progress().outcome, Some(approved()));
    let mut early = Desk::ready();
    early.payment.handle_hang_up(early.now);
    assert_eq!((early.payment.state(), early.payment.holds_card()), (PaymentState::Cancelled, false));
}

#[test]
fn after_a_hang_up_nothing_can_be_sent_or_asked_again() {
    for outcome in [Outcome::Rejected, Outcome::Abandoned] {
        let mut desk = Desk::in_flight();
        desk.payment.handle_hang_up(desk.now);
        desk.payment.handle_outcome(desk.now, attempt(1), outcome.clone());
        assert_eq!(desk.payment.progress().state, PaymentState::Cancelled);
        assert_eq!(desk.payment.progress().outcome, Some(outcome));
    }
    let mut declined = Desk::ended(declined(DeclineClass::WrongCvv));
    declined.payment.handle_hang_up(declined.now);
    assert!(!declined.payment.holds_card());
    assert_eq!(declined.payment.state(), PaymentState::Declined, "the outcome stays true");
    assert_eq!(declined.payment.request_field(declined.now, Field::Cvv), Err(Refusal::CardGone));
    assert_eq!(declined.payment.request_field(declined.now, Field::Pan), Err(Refusal::WrongState));
}

#[test]
fn another_card_is_asked_only_while_the_line_is_secured() {
    let mut desk = Desk::in_flight();
    desk.payment.handle_unsecured(desk.now);
    desk.payment.handle_outcome(desk.now, attempt(1), declined(DeclineClass::Other));
    assert_eq!(desk.payment.request_field(desk.now, Field::Pan), Err(Refusal::WrongState));
    desk.payment.handle_secured(desk.now);
    assert_eq!(desk.payment.request_field(desk.now, Field::Pan), Ok(()));
}

#[test]
fn a_decline_for_a_code_that_was_never_asked_wipes_all() {
    let mut desk = Desk::secured(&[Field::Pan, Field::Expiry]);
    desk.keys("5555555555554444 1230");
    desk.payment.authorize(desk.now, attempt(1)).unwrap();
    desk.payment.handle_outcome(desk.now, attempt(1), declined(DeclineClass::WrongCvv));
    assert!(!desk.payment.holds_card());
}

#[test]
fn how_long_a_security_code_lived_is_told_when_it_is_gone() {
    let mut desk = Desk::ready();
    desk.wait(3_000);
    desk.drain();
    assert_eq!(desk.codes_lived_ms, [], "it is still held");
    desk.payment.authorize(desk.now, attempt(1)).unwrap();
    desk.wait(700);
    desk.drain();
    assert_eq!(desk.codes_lived_ms, [], "it is at the gateway");
    desk.payment.handle_outcome(desk.now, attempt(1), approved());
    desk.drain();
    assert_eq!(desk.codes_lived_ms, [3_700]);
    let mut hung_up = Desk::secured(ALL);
    hung_up.keys("5555555555554444 1230 12");
    hung_up.wait(50);
    hung_up.payment.handle_hang_up(hung_up.now);
    hung_up.drain();
    assert_eq!(hung_up.codes_lived_ms, [50], "half a code too");
}

#[test]
fn what_became_of_the_card_is_shown_with_the_outcome_and_belongs_to_its_attempt() {
    let mut desk = Desk::in_flight();
    desk.payment.handle_kept(desk.now, attempt(9), wire::Keeping::Kept);
    desk.payment.handle_outcome(desk.now, attempt(1), approved());
    assert_eq!(desk.payment.progress().kept, None, "of another attempt");
    let mut desk = Desk::in_flight();
    desk.payment.handle_kept(desk.now, attempt(1), wire::Keeping::NotKept);
    assert_eq!(desk.payment.progress().state, PaymentState::Authorizing);
    desk.payment.handle_outcome(desk.now, attempt(1), approved());
    let progress = desk.payment.progress();
    assert_eq!((progress.state, progress.kept), (PaymentState::Approved, Some(wire::Keeping::NotKept)));
}

#[test]
fn a_card_is_only_kept_for_nothing_and_nothing_else_is_free() {
    let of = |store, minor| {
        let amount = Money { minor, currency: Currency::GBP };
        let order = PaymentOrder { store, amount, ..order(ALL) };
        Payment::new(start(), order, Rules::default(), TODAY).err()
    };
    assert_eq!(of(Store::Only, 0), None);
    assert_eq!(of(Store::Only, 1), Some(Refusal::BadAmount));
    assert_eq!([of(Store::None, 0), of(Store::Token, 0)], [Some(Refusal::BadAmount); 2]);
}
