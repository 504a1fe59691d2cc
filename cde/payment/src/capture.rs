//! Keys to fields: which field is live, when it ends, why it is refused.

use crate::authorization::Remains;
use crate::rules::Rules;
use card::cvv::{CvvError, lengths};
use card::expiry::ExpiryError;
use card::pan::PanError;
use card::{Card, Cvv, Digit, Exhausted, Expiry, Key, Keyed, Pan, YearMonth};
use std::time::Instant;
use wire::brand::PREFIX_LENGTH_MAX;
use wire::{Brand, Field, FieldProgress, FieldStatus, Last4, RejectReason};

/// One field of the order.
struct Entry {
    field: Field,
    status: FieldStatus,
    /// Digits of a field that is not live; the live one's are counted where they are.
    digits: usize,
    reason: Option<RejectReason>,
    tries: u8,
}

impl Entry {
    fn set(&mut self, status: FieldStatus, digits: usize, reason: Option<RejectReason>) {
        (self.status, self.digits, self.reason) = (status, digits, reason);
    }

    /// May it become live without the agent's request?
    fn askable(&self) -> bool {
        self.status != FieldStatus::Ok && self.reason != Some(RejectReason::TooManyTries)
    }
}

/// The fields of one payment. At most one is live; only its digits are in `keyed`.
pub(crate) struct Capture {
    rules: Rules,
    today: YearMonth,
    entries: Vec<Entry>,
    live: Option<Field>,
    keyed: Keyed,
    pan: Option<Pan>,
    expiry: Option<Expiry>,
    cvv: Option<Cvv>,
    /// Brand and last four of the number last accepted; they outlive the number, until another one is asked for.
    shown: Option<(Brand, Last4)>,
    key_due: Option<Instant>,
}

impl Capture {
    pub(crate) fn new(order: &[Field], rules: Rules, today: YearMonth) -> Result<Self, Exhausted> {
        let entry =
            |field: &Field| Entry { field: *field, status: FieldStatus::Wait, digits: 0, reason: None, tries: 0 };
        Ok(Self {
            rules,
            today,
            entries: order.iter().map(entry).collect(),
            live: None,
            keyed: Keyed::new()?,
            pan: None,
            expiry: None,
            cvv: None,
            shown: None,
            key_due: None,
        })
    }

    pub(crate) fn handle_key(&mut self, now: Instant, key: &Key) {
        let Some(field) = self.live else { return };
        match key {
            Key::Digit(digit) => self.handle_digit(now, field, digit),
            Key::Star if !self.keyed.is_empty() => {
                if let Err(reason) = self.try_accept(now, field) {
                    self.refuse(now, field, reason);
                }
            }
            Key::Pound if !self.keyed.is_empty() => {
                if self.try_accept(now, field).is_err() {
                    self.keyed.erase();
                    self.touch(now, field);
                }
            }
            // People press the end key out of habit where the field has ended by itself.
            Key::Star | Key::Pound | Key::Letter => {}
        }
    }

    /// A key was lost on the way: what was keyed of the field cannot be trusted.
    pub(crate) fn handle_key_lost(&mut self, now: Instant) {
        if let Some(field) = self.live {
            self.ask_again(now, field, RejectReason::KeyLost);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let (Some(field), Some(due)) = (self.live, self.key_due) else { return };
        if due > now {
            return;
        }
        // Nothing changes when it fires again, so it waits for the next key.
        self.key_due = None;
        if self.keyed.is_empty() {
            self.mark_slow(field);
            return;
        }
        match self.try_accept(now, field) {
            Ok(()) => {}
            Err(reason) if self.no_longer_possible(field) => self.refuse(now, field, reason),
            Err(_) => self.mark_slow(field),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.live.and(self.key_due)
    }

    /// Clears the field and makes it the live one, with all its tries.
    pub(crate) fn request(&mut self, now: Instant, field: Field) {
        self.clear(field);
        self.ask(now, field);
    }

    /// Asks the first field of the order that is not valid.
    pub(crate) fn ask_next(&mut self, now: Instant) {
        let next = self.entries.iter().find(|entry| entry.askable()).map(|entry| entry.field);
        match next {
            Some(field) => self.ask(now, field),
            None => self.leave_live(),
        }
    }

    /// Clears a field; the live one stays live.
    pub(crate) fn reset(&mut self, now: Instant, field: Field) {
        let live = self.live == Some(field);
        self.clear(field);
        if live {
            self.ask(now, field);
        }
    }

    pub(crate) fn has(&self, field: Field) -> bool {
        self.entries.iter().any(|entry| entry.field == field)
    }

    pub(crate) fn live(&self) -> Option<Field> {
        self.live
    }

    pub(crate) fn complete(&self) -> bool {
        self.entries.iter().all(|entry| entry.status == FieldStatus::Ok)
    }

    /// Is any digit held?
    pub(crate) fn holds_digits(&self) -> bool {
        !self.keyed.is_empty() || self.pan.is_some() || self.expiry.is_some() || self.cvv.is_some()
    }

    /// Moves the card out; what may be shown of it stays.
    pub(crate) fn take_card(&mut self) -> Option<Card> {
        if !self.complete() {
            return None;
        }
        self.leave_live();
        match (self.pan.take(), self.expiry.take()) {
            (Some(pan), Some(expiry)) => Some(Card { pan, expiry, cvv: self.cvv.take() }),
            _ => None,
        }
    }

    /// Takes back what a decline left. Nothing is live until the agent asks.
    pub(crate) fn restore(&mut self, remains: Remains) {
        self.pan = Some(remains.pan);
        let keeps_expiry = remains.expiry.is_some();
        self.expiry = remains.expiry;
        for entry in &mut self.entries {
            let kept = entry.field == Field::Pan || (entry.field == Field::Expiry && keeps_expiry);
            if entry.field == remains.refused {
                entry.set(FieldStatus::Bad, 0, Some(RejectReason::BankRefused));
            } else if !kept {
                entry.set(FieldStatus::Wait, 0, None);
            }
        }
    }

    /// Wipes every digit; fields wait. Brand and last four stay, as the outcome they belong to does.
    pub(crate) fn wipe(&mut self) {
        self.wipe_digits();
        self.set_all(FieldStatus::Wait, None);
    }

    /// Wipes every digit because it was kept long enough; the fields say so.
    pub(crate) fn expire(&mut self) {
        self.wipe_digits();
        self.shown = None;
        self.set_all(FieldStatus::Bad, Some(RejectReason::TooSlow));
    }

    /// Wipes every digit that is held; what the fields show stays, as it does after an approval.
    pub(crate) fn wipe_digits(&mut self) {
        (self.pan, self.expiry, self.cvv) = (None, None, None);
        self.keyed.clear();
        self.live = None;
        self.key_due = None;
    }

    /// Is anything of a security code held?
    pub(crate) fn holds_code(&self) -> bool {
        self.cvv.is_some() || (self.live == Some(Field::Cvv) && !self.keyed.is_empty())
    }

    pub(crate) fn forget_shown(&mut self) {
        self.shown = None;
    }

    pub(crate) fn progress(&self) -> Vec<FieldProgress> {
        let progress = |entry: &Entry| FieldProgress {
            field: entry.field,
            status: entry.status,
            digits: u8::try_from(self.digits(entry)).unwrap_or(u8::MAX),
            reason: entry.reason,
        };
        self.entries.iter().map(progress).collect()
    }

    /// Known from the digit on that decides every brand. Shown as soon as it is known, it would tell cards of one brand
    /// apart: some of them are known by their first digit, others only by their fourth.
    pub(crate) fn brand(&self) -> Option<Brand> {
        match self.shown {
            Some((brand, _)) => Some(brand),
            None if self.live == Some(Field::Pan) && self.keyed.len() >= PREFIX_LENGTH_MAX => self.keyed.brand(),
            None => None,
        }
    }

    pub(crate) fn last4(&self) -> Option<Last4> {
        self.shown.map(|(_, last4)| last4)
    }

    /// The shortest length of the brand that the digits so far leave possible.
    pub(crate) fn pan_length_expected(&self) -> Option<u8> {
        let lengths = self.brand()?.facts().lengths;
        let digits = self.entries.iter().find(|entry| entry.field == Field::Pan).map_or(0, |entry| self.digits(entry));
        let length = lengths.iter().find(|length| **length >= digits).or(lengths.last())?;
        u8::try_from(*length).ok()
    }

    fn digits(&self, entry: &Entry) -> usize {
        if entry.status == FieldStatus::Live { self.keyed.len() } else { entry.digits }
    }

    fn handle_digit(&mut self, now: Instant, field: Field, digit: &Digit) {
        if !self.keyed.push(digit) || self.keyed.len() > self.length_max(field) {
            self.refuse(now, field, RejectReason::Length);
            return;
        }
        self.touch(now, field);
        if self.length_only(field) == Some(self.keyed.len())
            && let Err(reason) = self.try_accept(now, field)
        {
            self.refuse(now, field, reason);
        }
    }

    /// A key came: the field is being keyed, and the reason of the last refusal has been read.
    fn touch(&mut self, now: Instant, field: Field) {
        self.key_due =
            Some(now + if self.keyed.is_empty() { self.rules.first_digit() } else { self.rules.inter_digit() });
        self.entry(field, |entry| entry.reason = None);
    }

    fn length_max(&self, field: Field) -> usize {
        match field {
            Field::Pan => wire::brand::PAN_LENGTH_MAX,
            Field::Expiry => Expiry::LENGTH,
            Field::Cvv => *lengths(self.pan_brand()).end(),
        }
    }

    /// The only length that the field may have, where there is only one: it then ends by itself.
    fn length_only(&self, field: Field) -> Option<usize> {
        match field {
            Field::Pan => match self.keyed.brand()?.facts().lengths {
                [only] => Some(*only),
                _ => None,
            },
            Field::Expiry => Some(Expiry::LENGTH),
            Field::Cvv => self.pan_brand().map(|brand| brand.facts().cvv_length),
        }
    }

    /// Has the number one of its brand's lengths, and would another digit be wrong? A pause there means that the
    /// caller believes to be done.
    fn no_longer_possible(&self, field: Field) -> bool {
        let length = self.keyed.len();
        let whole = |brand: Brand| {
            let lengths = brand.facts().lengths;
            lengths.contains(&length) && !lengths.contains(&(length + 1))
        };
        field == Field::Pan && self.keyed.brand().is_some_and(whole)
    }

    fn pan_brand(&self) -> Option<Brand> {
        self.pan.as_ref().map(Pan::brand)
    }

    fn try_accept(&mut self, now: Instant, field: Field) -> Result<(), RejectReason> {
        match field {
            Field::Pan => {
                let pan = Pan::parse(&self.keyed).map_err(pan_reason)?;
                self.shown = Some((pan.brand(), pan.last4()));
                self.pan = Some(pan);
                self.check_cvv_length();
            }
            Field::Expiry => self.expiry = Some(Expiry::parse(&self.keyed, self.today).map_err(expiry_reason)?),
            Field::Cvv => self.cvv = Some(Cvv::parse(&self.keyed, self.pan_brand()).map_err(cvv_reason)?),
        }
        let digits = self.keyed.len();
        self.entry(field, |entry| entry.set(FieldStatus::Ok, digits, None));
        self.keyed.clear();
        self.ask_next(now);
        Ok(())
    }

    /// A code that was keyed before the number may not have the length that the number's brand wants.
    fn check_cvv_length(&mut self) {
        let fits = self.cvv.as_ref().is_none_or(|cvv| lengths(self.pan_brand()).contains(&cvv.length()));
        if !fits {
            self.cvv = None;
            self.entry(Field::Cvv, |entry| entry.set(FieldStatus::Bad, 0, Some(RejectReason::Length)));
        }
    }

    fn refuse(&mut self, now: Instant, field: Field, reason: RejectReason) {
        if reason == RejectReason::KeyLost {
            return self.ask_again(now, field, reason);
        }
        let tries_max = self.rules.field_tries_max;
        let mut spent = false;
        self.entry(field, |entry| {
            entry.tries = entry.tries.saturating_add(1);
            spent = entry.tries >= tries_max;
        });
        if spent {
            self.leave_live();
            self.entry(field, |entry| entry.set(FieldStatus::Bad, 0, Some(RejectReason::TooManyTries)));
        } else {
            self.ask_again(now, field, reason);
        }
    }

    fn ask_again(&mut self, now: Instant, field: Field, reason: RejectReason) {
        self.ask(now, field);
        self.entry(field, |entry| entry.reason = Some(reason));
    }

    /// Makes a field live, empty. The reason why it is asked again stays until its first digit.
    fn ask(&mut self, now: Instant, field: Field) {
        self.leave_live();
        self.live = Some(field);
        self.key_due = Some(now + self.rules.first_digit());
        self.entry(field, |entry| entry.set(FieldStatus::Live, 0, entry.reason));
    }

    /// Leaves the live field, if any: what was keyed of it is wiped.
    fn leave_live(&mut self) {
        self.keyed.clear();
        self.key_due = None;
        if let Some(field) = self.live.take() {
            self.entry(field, |entry| {
                if entry.status == FieldStatus::Live {
                    entry.set(FieldStatus::Wait, 0, None);
                }
            });
        }
    }

    fn clear(&mut self, field: Field) {
        match field {
            Field::Pan => (self.pan, self.shown) = (None, None),
            Field::Expiry => self.expiry = None,
            Field::Cvv => self.cvv = None,
        }
        if self.live == Some(field) {
            self.leave_live();
        }
        self.entry(field, |entry| {
            entry.set(FieldStatus::Wait, 0, None);
            entry.tries = 0;
        });
    }

    /// The refusal that was there first tells more.
    fn mark_slow(&mut self, field: Field) {
        self.entry(field, |entry| entry.reason = entry.reason.or(Some(RejectReason::TooSlow)));
    }

    fn set_all(&mut self, status: FieldStatus, reason: Option<RejectReason>) {
        for entry in &mut self.entries {
            entry.set(status, 0, reason);
            entry.tries = 0;
        }
    }

    fn entry(&mut self, field: Field, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.field == field) {
            change(entry);
        }
    }
}

// Without locked memory the digits cannot be kept; the caller's digits are as good as lost.

fn pan_reason(error: PanError) -> RejectReason {
    match error {
        PanError::Rejected(reason) => reason,
        PanError::Exhausted(_) => RejectReason::KeyLost,
    }
}

fn expiry_reason(error: ExpiryError) -> RejectReason {
    match error {
        ExpiryError::Rejected(reason) => reason,
        ExpiryError::Exhausted(_) => RejectReason::KeyLost,
    }
}

fn cvv_reason(error: CvvError) -> RejectReason {
    match error {
        CvvError::Rejected(reason) => reason,
        CvvError::Exhausted(_) => RejectReason::KeyLost,
    }
}

/// A charge needs number and expiry; nothing is asked twice.
pub(crate) fn fields_valid(fields: &[Field]) -> bool {
    let count = |field| fields.iter().filter(|f| **f == field).count();
    count(Field::Pan) == 1 && count(Field::Expiry) == 1 && count(Field::Cvv) <= 1
}
