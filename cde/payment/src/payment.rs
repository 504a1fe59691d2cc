//! The machine of one payment, from order to last outcome.

use crate::authorization::{Authorization, Sending, after_decline, settles};
use crate::capture::{Capture, fields_valid};
use crate::grid;
use crate::output::Output;
use crate::rules::Rules;
use card::{Card, Key, YearMonth};
use std::time::{Duration, Instant};
use wire::{
    AttemptId, DeclineClass, Field, Keeping, Outcome, PaymentId, PaymentOrder, PaymentState, Progress, Refusal, Store,
};

/// Where the payment stands, with what it owns there.
enum Stage {
    /// Waits for the line.
    ExpectSecured,
    /// Waits for keys, or, all fields being valid, for the agent.
    Capturing,
    /// Waits for the outcome.
    ExpectOutcome(Authorization),
    /// Proved not executed; the card may be kept for another attempt.
    NotSent(Option<Card>),
    /// Declined; the capture may hold all of the card but the refused field.
    Declined(Option<Field>),
    /// Waits for the gateway's later word.
    ExpectSettlement(AttemptId),
    Approved,
    Cancelled,
}

/// One payment on a call.
///
/// Drive it with `handle_*` and the agent's commands, drain [`poll_output`](Self::poll_output), wait for
/// [`poll_timeout`](Self::poll_timeout).
pub struct Payment {
    order: PaymentOrder,
    rules: Rules,
    stage: Stage,
    capture: Capture,
    secured: bool,
    hung_up: bool,
    /// Every attempt ever made; an id is never used twice.
    attempts: Vec<AttemptId>,
    outcome: Option<Outcome>,
    /// What became of the card that was to be kept.
    kept: Option<Keeping>,
    /// What is left of a card after an outcome goes at this time.
    keep_until: Option<Instant>,
    /// What was keyed and not used goes at this time.
    idle_until: Option<Instant>,
    /// The card was wiped because its time was up, and no field has been asked since.
    card_gone: bool,
    /// When the last key of a security code was pressed; none while nothing of one is held.
    code_keyed_at: Option<Instant>,
    /// The time of the newest input.
    now: Instant,
    /// The grid counts from here: from the order, then from the line's securing, as the beeps do.
    grid_from: Instant,
    shown: Progress,
    show_at: Option<Instant>,
    changed: bool,
    send: Option<AttemptId>,
}

impl Payment {
    /// Takes an order. It asks nothing before the line is secured.
    ///
    /// Refused: an amount that is not payable, or, where the card is only to be kept, one that is not zero; fields that are empty, twice there, or without card number and expiry;
    /// no locked memory for another card (`Busy`).
    pub fn new(now: Instant, order: PaymentOrder, rules: Rules, today: YearMonth) -> Result<Self, Refusal> {
        let takes_none = order.store == Store::Only;
        if takes_none != (order.amount.minor == 0) || !(takes_none || order.amount.payable()) {
            return Err(Refusal::BadAmount);
        }
        if !fields_valid(&order.fields) {
            return Err(Refusal::UnknownField);
        }
        let capture = Capture::new(&order.fields, rules, today).map_err(|_| Refusal::Busy)?;
        let shown = Progress {
            payment: order.payment,
            amount: order.amount,
            state: PaymentState::Waiting,
            fields: capture.progress(),
            brand: None,
            last4: None,
            pan_length_expected: None,
            outcome: None,
            attempts: 0,
            kept: None,
        };
        Ok(Self {
            order,
            rules,
            stage: Stage::ExpectSecured,
            capture,
            secured: false,
            hung_up: false,
            attempts: Vec::new(),
            outcome: None,
            kept: None,
            keep_until: None,
            idle_until: None,
            card_gone: false,
            code_keyed_at: None,
            now,
            grid_from: now,
            shown,
            show_at: None,
            changed: true,
            send: None,
        })
    }

    /// Which payment.
    pub fn id(&self) -> PaymentId {
        self.order.payment
    }

    /// The line is secured, as the media plane has proved: keys are taken from now on.
    pub fn handle_secured(&mut self, now: Instant) {
        self.handle_timeout(now);
        if !self.secured {
            self.grid_from = now;
        }
        self.secured = !self.hung_up;
        if self.secured && matches!(self.stage, Stage::ExpectSecured) {
            self.stage = Stage::Capturing;
            self.capture.ask_next(now);
        }
        self.show();
    }

    /// The line has left `secured`: what was keyed is wiped. A payment that is not at the gateway is canceled; an
    /// attempt in flight goes on, but nothing of its card is kept after it.
    pub fn handle_unsecured(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.secured = false;
        match &mut self.stage {
            Stage::Capturing | Stage::NotSent(_) | Stage::Declined(_) => self.cancel_now(),
            Stage::ExpectOutcome(authorization) => authorization.keep = false,
            Stage::ExpectSecured | Stage::ExpectSettlement(_) | Stage::Approved | Stage::Cancelled => {}
        }
        self.show();
    }

    /// A key of the caller. Ignored unless a field is live. The owner gives it away: it is wiped on return.
    #[expect(clippy::needless_pass_by_value, reason = "a key is consumed, so that it cannot be used twice")]
    pub fn handle_key(&mut self, now: Instant, key: Key) {
        self.handle_timeout(now);
        if matches!(self.stage, Stage::Capturing) {
            if self.capture.live() == Some(Field::Cvv) {
                self.code_keyed_at = Some(now);
            }
            self.capture.handle_key(now, &key);
            self.rearm_idle(now);
            self.show_on_grid(now);
        }
    }

    /// A key may have been lost on the way: the live field is cleared and asked again.
    pub fn handle_key_lost(&mut self, now: Instant) {
        self.handle_timeout(now);
        if matches!(self.stage, Stage::Capturing) {
            self.capture.handle_key_lost(now);
            self.rearm_idle(now);
            self.show_on_grid(now);
        }
    }

    /// Clears a field and makes it live; other valid fields stay valid. After a decline: the card number begins another
    /// card; where the bank refused the code or the date, the other fields may be asked while the number is kept.
    pub fn request_field(&mut self, now: Instant, field: Field) -> Result<(), Refusal> {
        self.handle_timeout(now);
        self.check_field(field)?;
        match &self.stage {
            Stage::Capturing => {}
            Stage::Declined(Some(_)) if field != Field::Pan => {}
            Stage::Declined(_) | Stage::NotSent(_) if field == Field::Pan => self.begin_another_card()?,
            Stage::Declined(None) | Stage::NotSent(None) => return Err(Refusal::CardGone),
            _ => return Err(Refusal::WrongState),
        }
        self.stage = Stage::Capturing;
        self.card_gone = false;
        self.touch_field(now, field, Capture::request);
        Ok(())
    }

    /// Clears a field without changing which one is live.
    pub fn reset_field(&mut self, now: Instant, field: Field) -> Result<(), Refusal> {
        self.handle_timeout(now);
        self.check_field(field)?;
        if !matches!(self.stage, Stage::Capturing) {
            return Err(Refusal::WrongState);
        }
        self.touch_field(now, field, Capture::reset);
        Ok(())
    }

    /// Moves the card into an attempt, which is to be sent. The same attempt again, while it is in flight, is done
    /// already; an id that was used before is refused.
    pub fn authorize(&mut self, now: Instant, attempt: AttemptId) -> Result<(), Refusal> {
        self.handle_timeout(now);
        match &self.stage {
            Stage::ExpectOutcome(authorization) if authorization.attempt == attempt => return Ok(()),
            Stage::ExpectOutcome(_) | Stage::ExpectSettlement(_) => return Err(Refusal::OutcomePending),
            Stage::Approved => return Err(Refusal::AlreadyApproved),
            Stage::ExpectSecured | Stage::Cancelled => return Err(Refusal::WrongState),
            Stage::Capturing | Stage::NotSent(_) | Stage::Declined(_) => {}
        }
        if self.attempts_spent() || self.attempts.contains(&attempt) {
            return Err(Refusal::WrongState);
        }
        let (card, keep_until) = self.take_card()?;
        self.stage = Stage::ExpectOutcome(Authorization { attempt, card: Some(card), keep: true, keep_until });
        (self.keep_until, self.idle_until) = (None, None);
        self.attempts.push(attempt);
        self.outcome = None;
        self.send = Some(attempt);
        self.show();
        Ok(())
    }

    /// Stops the payment and wipes what was keyed. Refused while money may be moving, or has moved.
    pub fn cancel(&mut self, now: Instant) -> Result<(), Refusal> {
        self.handle_timeout(now);
        match self.stage {
            Stage::ExpectOutcome(_) | Stage::ExpectSettlement(_) => return Err(Refusal::OutcomePending),
            Stage::Approved => return Err(Refusal::AlreadyApproved),
            _ => self.cancel_now(),
        }
        self.show();
        Ok(())
    }

    /// The outcome of an attempt; for one that is `Unknown`, what the gateway said later. Anything about another
    /// attempt, and anything that comes twice, is ignored.
    pub fn handle_outcome(&mut self, now: Instant, attempt: AttemptId, outcome: Outcome) {
        self.handle_timeout(now);
        match std::mem::replace(&mut self.stage, Stage::Cancelled) {
            Stage::ExpectOutcome(authorization) if authorization.attempt == attempt => {
                self.stage = self.end_attempt(now, authorization, &outcome);
                self.outcome = Some(outcome);
            }
            Stage::ExpectSettlement(unknown) if unknown == attempt && settles(&outcome) => {
                let authorization = Authorization { attempt, card: None, keep: false, keep_until: None };
                self.stage = self.end_attempt(now, authorization, &outcome);
                self.outcome = Some(outcome);
            }
            other => self.stage = other,
        }
        self.show();
    }

    /// What became of the card that was to be kept. It comes before the outcome of its attempt, so that the agent is told of
    /// both at once.
    pub fn handle_kept(&mut self, now: Instant, attempt: AttemptId, kept: Keeping) {
        self.handle_timeout(now);
        if self.attempts.last() == Some(&attempt) {
            self.kept = Some(kept);
        }
    }

    /// The caller has hung up: everything is wiped. An outcome that is in flight is still followed.
    pub fn handle_hang_up(&mut self, now: Instant) {
        self.handle_timeout(now);
        (self.secured, self.hung_up) = (false, true);
        match &mut self.stage {
            Stage::ExpectSecured | Stage::Capturing | Stage::NotSent(_) => self.cancel_now(),
            Stage::ExpectOutcome(authorization) => (authorization.card, authorization.keep) = (None, false),
            Stage::Declined(refused) => {
                *refused = None;
                self.capture.wipe();
                self.keep_until = None;
            }
            Stage::ExpectSettlement(_) | Stage::Approved | Stage::Cancelled => {}
        }
        self.show();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if matches!(self.stage, Stage::Capturing) {
            self.capture.handle_timeout(now);
        }
        if self.wipe_at().is_some_and(|at| at <= now) {
            self.expire();
        }
        if self.show_at.is_some_and(|at| at <= now) {
            self.show();
        } else {
            self.show_on_grid(now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.capture.poll_timeout(), self.wipe_at(), self.show_at].into_iter().flatten().min()
    }

    /// What to do next; drained after every input.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(attempt) = self.send.take() {
            return Some(Output::Send { attempt });
        }
        if !self.holds_code()
            && let Some(keyed_at) = self.code_keyed_at.take()
        {
            return Some(Output::CodeWiped { lived: self.now.saturating_duration_since(keyed_at) });
        }
        std::mem::take(&mut self.changed).then_some(Output::Changed)
    }

    /// The payment as it may be shown: what keys caused appears on the grid, everything else at once.
    pub fn progress(&self) -> Progress {
        self.shown.clone()
    }

    /// Where the payment stands right now. For decisions; what is shown is [`progress`](Self::progress).
    pub fn state(&self) -> PaymentState {
        match self.stage {
            Stage::ExpectSecured => PaymentState::Waiting,
            Stage::Capturing if self.capture.complete() => PaymentState::Ready,
            Stage::Capturing => PaymentState::Capturing,
            Stage::ExpectOutcome(_) => PaymentState::Authorizing,
            Stage::NotSent(_) => PaymentState::NotSent,
            Stage::Declined(_) => PaymentState::Declined,
            Stage::ExpectSettlement(_) => PaymentState::Unknown,
            Stage::Approved => PaymentState::Approved,
            Stage::Cancelled => PaymentState::Cancelled,
        }
    }

    /// The field that is being keyed right now. For the masking policy; never shown.
    pub fn live_field(&self) -> Option<Field> {
        self.capture.live()
    }

    /// Is anything of a card held?
    pub fn holds_card(&self) -> bool {
        let kept = match &self.stage {
            Stage::ExpectOutcome(authorization) => authorization.card.is_some(),
            Stage::NotSent(card) => card.is_some(),
            _ => false,
        };
        kept || self.capture.holds_digits()
    }

    fn holds_code(&self) -> bool {
        let kept = match &self.stage {
            Stage::ExpectOutcome(Authorization { card, .. }) | Stage::NotSent(card) => card.as_ref(),
            _ => None,
        };
        kept.is_some_and(|card| card.cvv.is_some()) || self.capture.holds_code()
    }

    /// What to build the attempt's request from: only between `authorize` and its outcome.
    pub fn sending(&self, attempt: AttemptId) -> Option<Sending<'_>> {
        let Stage::ExpectOutcome(authorization) = &self.stage else { return None };
        let card = authorization.card.as_ref().filter(|_| authorization.attempt == attempt)?;
        Some(Sending { card, amount: self.order.amount, merchant: &self.order.merchant, order: &self.order })
    }

    fn attempts_spent(&self) -> bool {
        self.attempts.len() >= usize::from(self.rules.attempts_max)
    }

    fn check_field(&self, field: Field) -> Result<(), Refusal> {
        match self.stage {
            Stage::ExpectOutcome(_) | Stage::ExpectSettlement(_) => Err(Refusal::OutcomePending),
            Stage::Approved => Err(Refusal::AlreadyApproved),
            _ if !self.capture.has(field) => Err(Refusal::UnknownField),
            _ => Ok(()),
        }
    }

    fn begin_another_card(&mut self) -> Result<(), Refusal> {
        if !self.secured || self.attempts_spent() {
            return Err(Refusal::WrongState);
        }
        self.capture.wipe();
        self.keep_until = None;
        Ok(())
    }

    fn touch_field(&mut self, now: Instant, field: Field, change: impl FnOnce(&mut Capture, Instant, Field)) {
        if field == Field::Pan {
            // Another number is on its way: the old card's time does not bind it.
            self.keep_until = None;
        }
        change(&mut self.capture, now, field);
        self.rearm_idle(now);
        // What keys have caused waits for the grid all the same, or an agent who asks again and again would see when
        // they come.
        if self.show_at.is_none() {
            self.show();
        }
    }

    fn take_card(&mut self) -> Result<(Card, Option<Instant>), Refusal> {
        match &mut self.stage {
            Stage::NotSent(card) => card.take().map(|card| (card, self.keep_until)).ok_or(Refusal::CardGone),
            Stage::Capturing if self.card_gone => Err(Refusal::CardGone),
            Stage::Capturing => self.capture.take_card().map(|card| (card, None)).ok_or(Refusal::FieldsMissing),
            Stage::Declined(Some(_)) => Err(Refusal::FieldsMissing),
            _ => Err(Refusal::CardGone),
        }
    }

    /// Where an attempt's outcome leads. Whatever is not moved out of the authorization here is wiped.
    fn end_attempt(&mut self, now: Instant, authorization: Authorization, outcome: &Outcome) -> Stage {
        match outcome {
            Outcome::Approved { .. } => {
                self.capture.wipe_digits();
                Stage::Approved
            }
            Outcome::Unknown => Stage::ExpectSettlement(authorization.attempt),
            Outcome::Declined { class, .. } => Stage::Declined(self.end_declined(now, authorization, *class)),
            Outcome::Rejected | Outcome::Abandoned if self.hung_up => {
                self.capture.wipe();
                Stage::Cancelled
            }
            Outcome::Rejected => Stage::NotSent(self.end_rejected(now, authorization)),
            Outcome::Abandoned => {
                self.capture.wipe();
                Stage::NotSent(None)
            }
        }
    }

    fn end_declined(&mut self, now: Instant, authorization: Authorization, class: DeclineClass) -> Option<Field> {
        let keep = authorization.keep && !self.attempts_spent();
        let Some(remains) = authorization.card.filter(|_| keep).and_then(|card| after_decline(card, class)) else {
            self.capture.wipe();
            return None;
        };
        let refused = remains.refused;
        self.capture.restore(remains);
        self.keep_until = Some(now + Duration::from_millis(self.rules.declined_keep_ms));
        Some(refused)
    }

    fn end_rejected(&mut self, now: Instant, authorization: Authorization) -> Option<Card> {
        let keep = Duration::from_millis(self.rules.rejected_keep_ms);
        let until = authorization.keep_until.unwrap_or(now + keep);
        let usable = authorization.keep && until > now && !self.attempts_spent();
        let card = authorization.card.filter(|_| usable);
        match &card {
            Some(_) => self.keep_until = Some(until),
            None => self.capture.wipe(),
        }
        card
    }

    fn cancel_now(&mut self) {
        self.stage = Stage::Cancelled;
        self.capture.wipe();
        self.capture.forget_shown();
        (self.keep_until, self.idle_until) = (None, None);
    }

    fn wipe_at(&self) -> Option<Instant> {
        [self.keep_until, self.idle_until].into_iter().flatten().min()
    }

    /// What is held has been held long enough.
    fn expire(&mut self) {
        (self.keep_until, self.idle_until) = (None, None);
        match &mut self.stage {
            Stage::Capturing => {
                self.capture.expire();
                self.card_gone = true;
            }
            Stage::NotSent(card) => {
                *card = None;
                self.capture.wipe();
            }
            Stage::Declined(refused) => {
                *refused = None;
                self.capture.wipe();
            }
            _ => {}
        }
    }

    fn rearm_idle(&mut self, now: Instant) {
        let held = self.capture.holds_digits();
        self.idle_until = held.then(|| now + Duration::from_millis(self.rules.ready_ms_max));
    }

    fn snapshot(&self) -> Progress {
        Progress {
            payment: self.order.payment,
            amount: self.order.amount,
            state: self.state(),
            fields: self.capture.progress(),
            brand: self.capture.brand(),
            last4: self.capture.last4(),
            pan_length_expected: self.capture.pan_length_expected(),
            outcome: self.outcome.clone(),
            attempts: u8::try_from(self.attempts.len()).unwrap_or(u8::MAX),
            kept: self.kept,
        }
    }

    fn show(&mut self) {
        self.show_at = None;
        let snapshot = self.snapshot();
        self.changed |= snapshot != self.shown;
        self.shown = snapshot;
    }

    fn show_on_grid(&mut self, now: Instant) {
        if self.show_at.is_none() && self.snapshot() != self.shown {
            self.show_at = Some(grid::next(self.grid_from, now));
        }
    }
}
