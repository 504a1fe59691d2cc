//! What callers and agents do: mostly what they should, and now and then anything else.

use crate::dice::Dice;
use lab::acquirer::verdict::TEST_CARDS;
use std::time::{Duration, Instant};
use wire::{
    Action, Brand, CallSnapshot, Currency, Field, FieldStatus, LineState, Money, PaymentId, PaymentOrder, PaymentState,
    Progress, Store,
};

/// The digit of a card number at which slips happen: behind what decides the brand, also when a key before it got lost.
const SLIP_AT: usize = 10;
/// One of these many slips is wrong by another digit in the twin.
const DIGITS: u8 = 10;

/// A caller in one call.
pub(crate) struct Caller {
    number: &'static str,
    /// Of a thousand fields.
    slips: u64,
    types_ahead: bool,
    pub(crate) hangs_up_at: Instant,
    /// What was keyed last, and when the last key of it was pressed.
    keyed: Option<(PaymentId, Field)>,
    pub(crate) busy_until: Instant,
}

impl Caller {
    pub(crate) fn new(now: Instant, dice: &mut Dice, patience: Duration) -> Self {
        let hasty = dice.per_mille(80);
        Self {
            number: card(dice),
            slips: if dice.per_mille(500) { 0 } else { 300 },
            types_ahead: dice.per_mille(100),
            hangs_up_at: now + if hasty { dice.ms(500, 40_000) } else { patience + dice.ms(20_000, 50_000) },
            keyed: None,
            busy_until: now,
        }
    }

    /// Every number that this caller may key.
    pub(crate) fn number(&self) -> &'static str {
        self.number
    }

    /// What the caller keys now, having heard the agent ask for a field.
    pub(crate) fn keys(&mut self, now: Instant, dice: &mut Dice, twin: bool, payment: &Progress) -> Option<String> {
        let live = payment.fields.iter().find(|field| field.status == FieldStatus::Live)?;
        if now < self.busy_until || live.digits > 0 {
            return None;
        }
        let again = self.keyed == Some((payment.payment, live.field));
        self.keyed = Some((payment.payment, live.field));
        if again && live.field == Field::Pan && dice.per_mille(300) {
            self.number = card(dice);
        }
        if self.types_ahead && !again && live.field == Field::Pan {
            let fields = payment.fields.iter().map(|field| self.field(dice, twin, field.field));
            return Some(fields.collect());
        }
        Some(self.field(dice, twin, live.field))
    }

    fn field(&self, dice: &mut Dice, twin: bool, field: Field) -> String {
        let slip = if dice.per_mille(self.slips) { dice.below(4) } else { u64::MAX };
        let shift = if twin { 2 } else { 1 };
        match field {
            Field::Pan => self.pan(slip, shift),
            Field::Expiry => match slip {
                0 => "1335".to_owned(),
                1 => "0120".to_owned(),
                2 => "12*".to_owned(),
                3 => "1#1235".to_owned(),
                _ => "1235".to_owned(),
            },
            Field::Cvv => {
                // A code that ends up as a card number, because keys before it got lost, must not look like a brand.
                let code = if twin { "1010" } else { "0101" };
                let length = Brand::of(self.number.as_bytes()).map_or(3, |brand| brand.facts().cvv_length);
                match (slip, code.get(..length).unwrap_or(code)) {
                    (0, code) => format!("{}*", code.get(..2).unwrap_or(code)),
                    (1, code) => format!("{}#{code}", code.get(..1).unwrap_or(code)),
                    (_, code) => code.to_owned(),
                }
            }
        }
    }

    fn pan(&self, slip: u64, shift: u8) -> String {
        let (number, slipped) = (self.number, slipped(self.number, shift));
        let (before, rest) = number.split_at_checked(SLIP_AT).unwrap_or((number, ""));
        let wrong = slipped.get(..=SLIP_AT).unwrap_or(number);
        match slip {
            0 => format!("{slipped}*"),
            1 => format!("{wrong}#{rest}*"),
            2 => format!("{before}*"),
            3 => before.to_owned(),
            _ => format!("{number}*"),
        }
    }
}

/// The number with one digit wrong, which the check digit always shows.
fn slipped(number: &str, shift: u8) -> String {
    let wrong = |digit: u8| b'0' + (digit - b'0' + shift) % DIGITS;
    let digits = number.bytes().enumerate().map(|(at, digit)| if at == SLIP_AT { wrong(digit) } else { digit });
    digits.map(char::from).collect()
}

fn card(dice: &mut Dice) -> &'static str {
    // Every second one is a card that is approved.
    let index =
        if dice.per_mille(500) { dice.below(4) } else { dice.below(u64::try_from(TEST_CARDS.len()).unwrap_or(1)) };
    usize::try_from(index).ok().and_then(|index| TEST_CARDS.get(index)).map_or("", |(number, _)| number)
}

/// What an agent does next.
pub(crate) enum Move {
    Command(Action),
    Hold(bool),
    HangUp,
}

/// An agent in one call.
pub(crate) struct Agent {
    payment_first: bool,
    fields: Vec<Field>,
    /// Of a thousand moves: does something else than the sensible thing.
    odd: u64,
    holds: bool,
    payments_left: u32,
    tries_left: u32,
    started: bool,
    secured: bool,
    gives_up_at: Instant,
}

impl Agent {
    pub(crate) fn new(now: Instant, dice: &mut Dice, patience: Duration) -> Self {
        let orders: [&[Field]; 4] = [
            &[Field::Pan, Field::Expiry, Field::Cvv],
            &[Field::Pan, Field::Expiry, Field::Cvv],
            &[Field::Cvv, Field::Pan, Field::Expiry],
            &[Field::Expiry, Field::Pan],
        ];
        Self {
            payment_first: dice.per_mille(500),
            fields: dice.pick(&orders).map(|fields| fields.to_vec()).unwrap_or_default(),
            odd: if dice.per_mille(600) { 0 } else { 60 },
            holds: dice.per_mille(100),
            payments_left: if dice.per_mille(150) { 2 } else { 1 },
            tries_left: 4,
            started: false,
            secured: false,
            gives_up_at: now + patience / 3 + dice.ms(0, u64::try_from(patience.as_millis()).unwrap_or(0) * 2 / 3),
        }
    }

    /// Looks at the screen and decides.
    pub(crate) fn decide(&mut self, now: Instant, dice: &mut Dice, call: &CallSnapshot) -> Option<Move> {
        if now >= self.gives_up_at {
            return Some(Move::HangUp);
        }
        if call.way == wire::WayIn::Bounced {
            // Whoever has a caller back says good-bye.
            let is_there = call.state == wire::CallState::Talking;
            return (is_there && dice.per_mille(300)).then_some(Move::HangUp);
        }
        match call.state {
            wire::CallState::Awaited | wire::CallState::SelfService | wire::CallState::Ringing => return None,
            wire::CallState::Held => return Some(Move::Hold(false)),
            wire::CallState::Talking => {}
        }
        if std::mem::take(&mut self.holds) {
            return Some(Move::Hold(true));
        }
        if dice.per_mille(self.odd) {
            return Some(self.odd_move(dice, call));
        }
        self.sensible(dice, call)
    }

    fn sensible(&mut self, dice: &mut Dice, call: &CallSnapshot) -> Option<Move> {
        let secure_now = !self.secured && (self.started || !self.payment_first);
        if secure_now && call.line == LineState::Open {
            self.secured = true;
            return Some(Move::Command(Action::Secure));
        }
        if !self.started {
            self.started = true;
            return Some(Move::Command(Action::StartPayment(self.order(dice))));
        }
        let payment = call.payment.as_ref()?;
        let id = payment.payment;
        let ask = |field| Some(Move::Command(Action::RequestField { payment: id, field }));
        let bad = payment.fields.iter().find(|field| field.status == FieldStatus::Bad).map(|field| field.field);
        match payment.state {
            PaymentState::Ready => Some(Move::Command(Action::Authorize { payment: id })),
            PaymentState::Capturing => bad.and_then(ask),
            PaymentState::Declined if self.try_again() => ask(bad.unwrap_or(Field::Pan)),
            PaymentState::NotSent if self.try_again() => {
                let again = Action::Authorize { payment: id };
                if dice.per_mille(500) { Some(Move::Command(again)) } else { ask(Field::Pan) }
            }
            PaymentState::Declined | PaymentState::NotSent => Some(Move::Command(Action::Cancel { payment: id })),
            PaymentState::Approved | PaymentState::Cancelled | PaymentState::Voided | PaymentState::Refunded => {
                self.after(call)
            }
            PaymentState::Waiting if call.line == LineState::Open => Some(Move::Command(Action::Secure)),
            PaymentState::Waiting | PaymentState::Authorizing | PaymentState::Unknown => None,
        }
    }

    fn try_again(&mut self) -> bool {
        let left = self.tries_left > 0;
        self.tries_left = self.tries_left.saturating_sub(1);
        left
    }

    /// The payment is over: the line opens, and the call goes on or ends.
    fn after(&mut self, call: &CallSnapshot) -> Option<Move> {
        match call.line {
            LineState::Secured | LineState::Fault => Some(Move::Command(Action::Release)),
            // No world has conferences.
            LineState::Securing | LineState::Releasing | LineState::Conference => None,
            LineState::Open => {
                self.payments_left = self.payments_left.saturating_sub(1);
                if self.payments_left == 0 {
                    return Some(Move::HangUp);
                }
                (self.started, self.secured) = (false, false);
                None
            }
        }
    }

    /// A button that nobody should press now.
    fn odd_move(&self, dice: &mut Dice, call: &CallSnapshot) -> Move {
        let payment = call.payment.as_ref().map_or(PaymentId::from_random(1), |payment| payment.payment);
        let field = dice.pick(&[Field::Pan, Field::Expiry, Field::Cvv]).copied().unwrap_or(Field::Pan);
        Move::Command(match dice.below(8) {
            0 => Action::Release,
            1 => Action::Secure,
            2 | 3 => Action::Authorize { payment },
            4 => Action::Cancel { payment },
            5 => Action::RequestField { payment, field },
            6 => Action::ResetField { payment, field },
            _ => Action::StartPayment(self.order(dice)),
        })
    }

    fn order(&self, dice: &mut Dice) -> PaymentOrder {
        // Now and then an amount that the bank answers with a code of its own.
        let minor = if dice.per_mille(50) { 900_001 + dice.below(99) } else { 100 + dice.below(100_000) };
        PaymentOrder {
            payment: PaymentId::from_random(dice.bits()),
            amount: Money { minor: i64::try_from(minor).unwrap_or(1), currency: Currency::GBP },
            merchant: "main".parse().unwrap_or_else(|_| unreachable!("a plain name")),
            fields: self.fields.clone(),
            store: Store::None,
            purpose: None,
            capture: wire::CaptureTime::Now,
            avs: None,
            partial: false,
        }
    }
}

/// Looks at a screen or thinks about what to say, this long.
pub(crate) fn pause(dice: &mut Dice) -> Duration {
    dice.ms(250, 900)
}
