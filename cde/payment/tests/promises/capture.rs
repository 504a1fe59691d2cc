use crate::{ALL, Desk, MASTERCARD, TODAY, VISA, order, start};
use payment::{Output, Payment, Rules};
use wire::{Brand, Field, FieldStatus, Money, PaymentState, Refusal, RejectReason};

#[test]
fn an_order_without_number_or_expiry_or_with_a_field_twice_is_refused() {
    let refused = |fields: &[Field]| Payment::new(start(), order(fields), Rules::default(), TODAY).err();
    for fields in [&[][..], &[Field::Pan], &[Field::Expiry, Field::Cvv], &[Field::Pan, Field::Expiry, Field::Pan]] {
        assert_eq!(refused(fields), Some(Refusal::UnknownField));
    }
    assert_eq!(refused(&[Field::Expiry, Field::Pan]), None);
    let mut order = order(ALL);
    order.amount = Money { minor: 0, ..order.amount };
    assert_eq!(Payment::new(start(), order, Rules::default(), TODAY).err(), Some(Refusal::BadAmount));
}

#[test]
fn keys_before_secured_are_ignored() {
    let mut desk = Desk::waiting(ALL);
    desk.keys("5555");
    assert_eq!(desk.payment.state(), PaymentState::Waiting);
    assert!(!desk.payment.holds_card());
}

#[test]
fn a_caller_who_types_ahead_fills_all_fields() {
    let mut desk = Desk::secured(ALL);
    desk.keys("5555555555554444 1230 123");
    assert_eq!(desk.payment.state(), PaymentState::Ready);
    assert_eq!(desk.field(Field::Pan), (FieldStatus::Ok, 16, None));
    let progress = desk.payment.progress();
    assert_eq!((progress.brand, progress.pan_length_expected), (Some(Brand::Mastercard), Some(16)));
    assert_eq!(progress.last4.unwrap().to_string(), "4444");
}

#[test]
fn amex_ends_at_fifteen_and_wants_four_digits_of_code() {
    let mut desk = Desk::secured(ALL);
    desk.keys("378282246310005 1230 123");
    assert_eq!(desk.field(Field::Cvv), (FieldStatus::Live, 3, None));
    desk.keys("4");
    assert_eq!(desk.payment.state(), PaymentState::Ready);
}

#[test]
fn a_brand_of_many_lengths_waits_for_an_end_key_or_the_timer() {
    for end in ["*", "#"] {
        let mut desk = Desk::secured(ALL);
        desk.keys(VISA);
        assert_eq!(desk.payment.live_field(), Some(Field::Pan));
        desk.keys(end);
        assert_eq!(desk.payment.live_field(), Some(Field::Expiry));
    }
    let mut desk = Desk::secured(ALL);
    desk.keys(VISA);
    desk.wait(7_999);
    assert_eq!(desk.payment.live_field(), Some(Field::Pan));
    desk.wait(1);
    assert_eq!(desk.payment.live_field(), Some(Field::Expiry));
}

#[test]
fn an_end_key_out_of_habit_does_no_harm() {
    let mut desk = Desk::secured(ALL);
    desk.keys("*#5555555555554444*#1230*#123*#");
    assert_eq!(desk.payment.state(), PaymentState::Ready);
}

#[test]
fn pound_erases_the_last_digit_of_an_incomplete_field() {
    let mut desk = Desk::secured(ALL);
    desk.keys("5559#555555555 44");
    assert_eq!(desk.field(Field::Pan), (FieldStatus::Live, 14, None));
    desk.keys("44");
    assert_eq!(desk.field(Field::Pan).0, FieldStatus::Ok);
}

#[test]
fn letters_mean_nothing() {
    let mut desk = Desk::secured(ALL);
    desk.keys("55A55B5555C55554444D");
    assert_eq!(desk.field(Field::Pan).0, FieldStatus::Ok);
}

#[test]
fn every_mistake_is_told_and_the_field_asked_again() {
    for (before, keys, field, reason) in [
        ("", "5555555555554443", Field::Pan, RejectReason::CheckDigit),
        ("", "4242*", Field::Pan, RejectReason::Length),
        ("", "9999999*", Field::Pan, RejectReason::UnknownBrand),
        ("", "42424242424242424242", Field::Pan, RejectReason::Length),
        (MASTERCARD, "1330", Field::Expiry, RejectReason::Month),
        (MASTERCARD, "1026", Field::Expiry, RejectReason::Expired),
        (MASTERCARD, "1299", Field::Expiry, RejectReason::TooFar),
        (MASTERCARD, "12*", Field::Expiry, RejectReason::Length),
        ("55555555555544441230", "12*", Field::Cvv, RejectReason::Length),
    ] {
        let mut desk = Desk::secured(ALL);
        desk.keys(before);
        desk.keys(keys);
        assert_eq!(desk.field(field), (FieldStatus::Live, 0, Some(reason)), "{reason:?}");
        desk.keys("1");
        assert_eq!(desk.field(field), (FieldStatus::Live, 1, None), "{reason:?}");
    }
}

#[test]
fn after_five_mistakes_only_the_agent_can_ask_again() {
    let mut desk = Desk::secured(ALL);
    for _ in 0..5 {
        desk.keys("5555555555554443");
    }
    assert_eq!(desk.field(Field::Pan), (FieldStatus::Bad, 0, Some(RejectReason::TooManyTries)));
    desk.keys(MASTERCARD);
    assert_eq!((desk.payment.live_field(), desk.payment.holds_card()), (None, false));
    desk.payment.request_field(desk.now, Field::Pan).unwrap();
    desk.keys("5555555555554443 5555555555554444");
    assert_eq!(desk.payment.live_field(), Some(Field::Expiry));
}

#[test]
fn a_slow_caller_keeps_what_was_keyed() {
    let mut desk = Desk::secured(ALL);
    desk.wait(20_000);
    assert_eq!(desk.field(Field::Pan), (FieldStatus::Live, 0, Some(RejectReason::TooSlow)));
    desk.keys("5555");
    assert_eq!(desk.field(Field::Pan), (FieldStatus::Live, 4, None));
    desk.wait(8_000);
    assert_eq!(desk.field(Field::Pan), (FieldStatus::Live, 4, Some(RejectReason::TooSlow)));
    desk.keys("555555554444");
    assert_eq!(desk.field(Field::Pan).0, FieldStatus::Ok);
}

#[test]
fn a_pause_after_a_whole_but_wrong_number_is_its_end() {
    let mut desk = Desk::secured(ALL);
    desk.keys("4242424242424241");
    desk.wait(8_000);
    assert_eq!(desk.field(Field::Pan), (FieldStatus::Live, 0, Some(RejectReason::CheckDigit)));
}

#[test]
fn a_pause_where_the_brand_still_allows_more_digits_keeps_what_was_keyed() {
    let mut desk = Desk::secured(ALL);
    desk.keys("6771798021001");
    desk.wait(8_000);
    assert_eq!(desk.field(Field::Pan), (FieldStatus::Live, 13, Some(RejectReason::TooSlow)));
}

#[test]
fn a_field_refused_too_often_is_not_asked_by_itself_when_another_ends() {
    let mut desk = Desk::secured(ALL);
    desk.keys(&"9*".repeat(5));
    desk.payment.request_field(desk.now, Field::Expiry).unwrap();
    desk.keys("1230");
    assert_eq!(desk.payment.live_field(), Some(Field::Cvv));
    desk.keys("123*");
    assert_eq!((desk.payment.live_field(), desk.payment.state()), (None, PaymentState::Capturing));
    assert_eq!(desk.field(Field::Pan).2, Some(RejectReason::TooManyTries));
}

#[test]
fn a_lost_key_asks_the_live_field_again_without_blaming_the_caller() {
    let mut desk = Desk::secured(ALL);
    for _ in 0..10 {
        desk.keys("555");
        desk.payment.handle_key_lost(desk.now);
    }
    assert_eq!(desk.field(Field::Pan), (FieldStatus::Live, 0, Some(RejectReason::KeyLost)));
}

#[test]
fn a_code_keyed_before_the_number_is_checked_when_the_brand_is_known() {
    let mut desk = Desk::secured(&[Field::Cvv, Field::Pan, Field::Expiry]);
    desk.keys("123*378282246310005");
    assert_eq!(desk.field(Field::Cvv), (FieldStatus::Live, 0, Some(RejectReason::Length)));
    desk.keys("1234 1230");
    assert_eq!(desk.payment.state(), PaymentState::Ready);
}

#[test]
fn the_agent_asks_any_field_in_any_order_and_the_valid_ones_stay() {
    let mut desk = Desk::secured(ALL);
    desk.payment.request_field(desk.now, Field::Cvv).unwrap();
    desk.keys("123*");
    assert_eq!(desk.payment.live_field(), Some(Field::Pan));
    desk.keys("5555555555554444 1230");
    assert_eq!(desk.payment.state(), PaymentState::Ready);
    desk.payment.request_field(desk.now, Field::Expiry).unwrap();
    assert_eq!((desk.payment.state(), desk.payment.live_field()), (PaymentState::Capturing, Some(Field::Expiry)));
    desk.keys("0131");
    assert_eq!(desk.payment.state(), PaymentState::Ready);
}

#[test]
fn reset_clears_a_field_and_leaves_the_live_one() {
    let mut desk = Desk::secured(ALL);
    desk.keys("5555555555554444 12");
    desk.payment.reset_field(desk.now, Field::Pan).unwrap();
    assert_eq!((desk.field(Field::Pan).0, desk.field(Field::Expiry).1), (FieldStatus::Wait, 2));
    assert_eq!(desk.payment.progress().last4, None);
    desk.payment.reset_field(desk.now, Field::Expiry).unwrap();
    assert_eq!(desk.field(Field::Expiry), (FieldStatus::Live, 0, None));
    let mut short = Desk::secured(&[Field::Pan, Field::Expiry]);
    assert_eq!(short.payment.reset_field(short.now, Field::Cvv), Err(Refusal::UnknownField));
}

#[test]
fn keys_show_only_on_the_grid() {
    let mut desk = Desk::secured(ALL);
    desk.drain();
    desk.keys("5");
    assert_eq!(desk.payment.poll_output(), None);
    assert_eq!(desk.payment.progress().fields[0].digits, 0);
    desk.wait(149);
    assert_eq!(desk.payment.progress().fields[0].digits, 0);
    desk.wait(1);
    assert_eq!(desk.payment.progress().fields[0].digits, 1);
    desk.payment.handle_timeout(desk.now);
    assert_ne!(desk.payment.poll_output(), Some(Output::Changed), "shown once");
}

#[test]
fn a_card_that_nobody_authorizes_is_wiped() {
    let mut desk = Desk::ready();
    desk.wait(299_000);
    assert!(desk.payment.holds_card());
    desk.wait(1_000);
    assert!(!desk.payment.holds_card());
    assert_eq!(desk.payment.authorize(desk.now, crate::attempt(1)), Err(Refusal::CardGone));
    desk.payment.request_field(desk.now, Field::Pan).unwrap();
    desk.keys("5555555555554444 1230 123");
    assert_eq!(desk.payment.state(), PaymentState::Ready);
}

#[test]
fn an_agent_who_clears_another_field_again_and_again_sees_keys_on_the_grid_only() {
    let mut desk = Desk::secured(ALL);
    let digits = |desk: &Desk| desk.payment.progress().fields[0].digits;
    desk.keys("4");
    desk.payment.reset_field(desk.now, Field::Cvv).unwrap();
    assert_eq!(digits(&desk), 0, "shown off the grid");
    desk.wait(payment::GRID_MS);
    assert_eq!(digits(&desk), 1);
}
