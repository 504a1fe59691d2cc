//! Random storms: whatever comes in whatever order, the laws of money and of secrets hold.

use crate::{ALL, Desk, approved, attempt, declined};
use proptest::prelude::*;
use wire::{DeclineClass, Field, Outcome, PaymentState, Progress};

#[derive(Clone, Debug)]
enum Input {
    Secured,
    Unsecured,
    Keys(&'static str),
    KeyLost,
    Request(Field),
    Reset(Field),
    Authorize(u128),
    Cancel,
    Outcome(u128, Outcome),
    HangUp,
    Wait(u64),
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let field = || prop::sample::select(ALL);
    let outcome = prop::sample::select(vec![
        approved(),
        declined(DeclineClass::WrongCvv),
        declined(DeclineClass::ExpiredCard),
        declined(DeclineClass::Other),
        Outcome::Rejected,
        Outcome::Unknown,
        Outcome::Abandoned,
    ]);
    let keys = prop::sample::select(vec![
        "5555555555554444",
        "378282246310005",
        "4242424242424242*",
        "1230",
        "0131",
        "123",
        "1234*",
        "9",
        "*",
        "#",
        "A",
        "5555555555554444 1230 123",
    ]);
    let input = prop_oneof![
        3 => Just(Input::Secured),
        1 => Just(Input::Unsecured),
        12 => keys.prop_map(Input::Keys),
        1 => Just(Input::KeyLost),
        4 => field().prop_map(Input::Request),
        1 => field().prop_map(Input::Reset),
        6 => (1..12_u128).prop_map(Input::Authorize),
        1 => Just(Input::Cancel),
        6 => (1..12_u128, outcome).prop_map(|(number, outcome)| Input::Outcome(number, outcome)),
        1 => Just(Input::HangUp),
        3 => prop::sample::select(vec![50, 250, 9_000, 61_000, 121_000, 301_000]).prop_map(Input::Wait),
    ];
    prop::collection::vec(input, 1..60)
}

fn apply(desk: &mut Desk, input: &Input) {
    let now = desk.now;
    match input {
        Input::Secured => desk.payment.handle_secured(now),
        Input::Unsecured => desk.payment.handle_unsecured(now),
        Input::Keys(keys) => desk.keys(keys),
        Input::KeyLost => desk.payment.handle_key_lost(now),
        Input::Request(field) => drop(desk.payment.request_field(now, *field)),
        Input::Reset(field) => drop(desk.payment.reset_field(now, *field)),
        Input::Authorize(number) => drop(desk.payment.authorize(now, attempt(*number))),
        Input::Cancel => drop(desk.payment.cancel(now)),
        Input::Outcome(number, outcome) => desk.payment.handle_outcome(now, attempt(*number), outcome.clone()),
        Input::HangUp => desk.payment.handle_hang_up(now),
        Input::Wait(ms) => desk.wait(*ms),
    }
    desk.drain();
}

/// What the world knows without looking inside: which attempts were sent, and which of them have ended.
#[derive(Default)]
struct Oracle {
    pending: Option<u128>,
    authorized: usize,
    approved: bool,
}

impl Oracle {
    fn check(&mut self, desk: &Desk, input: &Input, sent_before: usize) {
        let sent = desk.sent.len() - sent_before;
        if let Input::Authorize(number) = input {
            if sent == 1 {
                assert!(self.pending.is_none() && !self.approved, "two attempts at once, or one after an approval");
                self.pending = Some(*number);
                self.authorized += 1;
            }
        } else {
            assert_eq!(sent, 0, "sent without authorize");
        }
        if let Input::Outcome(number, outcome) = input
            && self.pending == Some(*number)
            && matches!(outcome, Outcome::Approved { .. } | Outcome::Declined { .. } | Outcome::Abandoned)
        {
            self.pending = None;
            self.approved |= matches!(outcome, Outcome::Approved { .. });
        }
        if self.pending.is_some() && desk.payment.state() == PaymentState::NotSent {
            self.pending = None;
        }
        assert_eq!(
            self.pending.is_some(),
            matches!(desk.payment.state(), PaymentState::Authorizing | PaymentState::Unknown)
        );
        assert_eq!(self.approved, desk.payment.state() == PaymentState::Approved);
    }
}

fn secrets_only_where_allowed(desk: &Desk) {
    let allowed = match desk.payment.state() {
        PaymentState::Capturing | PaymentState::Ready | PaymentState::Authorizing => true,
        PaymentState::NotSent | PaymentState::Declined => desk.payment.poll_timeout().is_some(),
        PaymentState::Waiting | PaymentState::Approved | PaymentState::Unknown | PaymentState::Cancelled => false,
        PaymentState::Voided | PaymentState::Refunded => unreachable!("only the office says so"),
    };
    assert!(allowed || !desk.payment.holds_card(), "{:?}", desk.payment.state());
}

fn run(inputs: &[Input]) {
    let (mut desk, mut oracle) = (Desk::waiting(ALL), Oracle::default());
    let mut hung_up = false;
    for input in inputs {
        let sent = desk.sent.len();
        apply(&mut desk, input);
        // A proved non-execution after a hang-up ends as canceled, which the oracle cannot tell from the outside.
        if let Input::Outcome(number, Outcome::Rejected) = input
            && oracle.pending == Some(*number)
            && desk.payment.state() == PaymentState::Cancelled
        {
            oracle.pending = None;
        }
        oracle.check(&desk, input, sent);
        secrets_only_where_allowed(&desk);
        hung_up |= matches!(input, Input::HangUp);
        assert!(!hung_up || !desk.payment.holds_card(), "a card outlived the call");
        assert!(desk.payment.progress().attempts <= 5);
    }
    // With nothing but time, everything that is not in flight is wiped.
    desk.wait(600_000);
    assert!(desk.payment.state() == PaymentState::Authorizing || !desk.payment.holds_card());
}

/// Everything that is ever shown while this card is keyed and authorized.
fn shown(pan: &str, rhythm: &[u64], outcome: &Outcome) -> Vec<Progress> {
    let mut desk = Desk::secured(ALL);
    let mut shown = vec![desk.payment.progress()];
    let keys = format!("{pan}*1230123");
    for (key, ms) in keys.split("").filter(|key| !key.is_empty()).zip(rhythm.iter().cycle()) {
        desk.keys(key);
        desk.wait(*ms);
        shown.push(desk.payment.progress());
    }
    desk.wait(1_000);
    if desk.payment.authorize(desk.now, attempt(1)).is_ok() {
        desk.payment.handle_outcome(desk.now, attempt(1), outcome.clone());
    }
    shown.push(desk.payment.progress());
    shown
}

proptest! {
    #[test]
    fn no_storm_makes_two_attempts_or_leaves_a_card(inputs in inputs()) {
        run(&inputs);
    }

    /// Two Visas of 16 digits that end in 4242, and two Mastercards that end in 4444 and begin with 55 and 2223.
    #[test]
    fn cards_that_look_alike_cannot_be_told_apart(
        rhythm in prop::collection::vec(0..400_u64, 1..30),
        fault in prop::sample::select(vec![approved(), declined(DeclineClass::WrongCvv), Outcome::Rejected]),
    ) {
        for (one, two) in [("4242424242424242", "4111114111114242"), ("5555555555554444", "2223003122004444")] {
            prop_assert!(wire::luhn_valid(one.as_bytes()) && wire::luhn_valid(two.as_bytes()));
            prop_assert_eq!(shown(one, &rhythm, &fault), shown(two, &rhythm, &fault));
        }
    }
}
