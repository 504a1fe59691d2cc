//! The card side's records, and what they do to payments.

use super::{
    Model, State,
    cards::Card,
    money::{Attempt, Money},
};
use crate::{
    clock::rfc3339,
    store::{
        StoreError,
        alarms::AlarmView,
        audit::Entry,
        journal::{Journal, Stored},
        money::{Attempted, standing},
        payments::{NewPayment, word},
    },
};
use async_trait::async_trait;
use wire::{
    AttemptId, AttemptKind, AuditAction, AuditEvent, CaptureTime, Extension, JournalId, Keeping, MerchantId,
    MoneyAlarm, Origin, Outcome, PaymentId, PaymentState as S, Record, RecordBody,
};

#[async_trait]
impl Journal for Model {
    async fn door(&self) -> Result<Option<(JournalId, u64)>, StoreError> {
        Ok(self.state().money.door)
    }

    async fn journal(&self, journal: JournalId) -> Result<(), StoreError> {
        let door = &mut self.state().money.door;
        if door.is_none_or(|(known, _)| known != journal) {
            *door = Some((journal, 0));
        }
        Ok(())
    }

    async fn records(&self, records: &[Record]) -> Result<Stored, StoreError> {
        let mut state = self.state();
        let (journal, mut newest) = state.money.door.ok_or(StoreError::Damaged("door"))?;
        let mut stored = Stored::default();
        for record in records {
            if record.number > newest {
                if record.number != newest + 1 {
                    stored.trouble = Some(StoreError::Gap { stored: newest, got: record.number });
                    break;
                }
                stored.payments.extend(state.happens(record.at_unix_ms, &record.body));
                stored.fresh += 1;
                newest = record.number;
            }
            stored.newest = Some(record.number);
        }
        state.money.door = Some((journal, newest));
        Ok(stored)
    }
}

impl State {
    fn row(&mut self, at: i64, who: &str, what: &str, result: &str, object: &str, payment: Option<PaymentId>) {
        let (who, origin, payment) = (who.to_owned(), "cde".to_owned(), payment.map(|id| id.to_string()));
        self.note(&Entry { who, origin, payment, ..Entry::system(at, what, result, object) });
    }

    fn sent(&mut self, at: i64, sent: &wire::AttemptSent) -> Option<PaymentId> {
        let payment = sent.payment;
        self.money.order(at, &started(payment, sent.call, &sent.extension, &sent.merchant, sent.amount));
        let ordered = self.money.payments.get_mut(&payment).unwrap();
        if ordered.merchant == "-" {
            ordered.merchant = sent.merchant.to_string();
        }
        if let Some(capture) = sent.capture {
            ordered.row.later = capture == CaptureTime::Later;
        }
        let known = self.money.attempt(at, sent.attempt, payment, sent.card);
        (known.kind, known.minor) = (sent.kind, Some(sent.amount.minor));
        let takes_money = matches!(sent.kind, AttemptKind::Authorize | AttemptKind::ChargeStored);
        let (who, what) = (self.who(&sent.origin), if takes_money { "sent" } else { sent.kind.as_str() });
        self.row(at, &who, "attempt_sent", what, &sent.attempt.to_string(), Some(payment));
        self.money.settle(at, payment);
        Some(payment)
    }

    /// Returns the payment that it speaks of.
    fn happens(&mut self, at: i64, body: &RecordBody) -> Option<PaymentId> {
        match body {
            RecordBody::AttemptSent(sent) => self.sent(at, sent),
            RecordBody::AttemptEnded { attempt, payment, outcome } => self.ended(at, *attempt, *payment, outcome),
            RecordBody::CardKept { attempt, payment, kept } => {
                let card =
                    Card { payment: *payment, merchant: kept.merchant.clone(), gone_at: None, forgotten_at: None };
                self.money.cards.entry(kept.token.clone()).or_insert(card);
                self.money.keeps(*payment, Keeping::Kept);
                let keeper = word(&kept.keeper).unwrap();
                self.row(at, "system", "card_kept", &keeper, &attempt.to_string(), Some(*payment));
                Some(*payment)
            }
            RecordBody::CardNotKept { attempt, payment, why } => {
                self.money.keeps(*payment, Keeping::NotKept);
                self.row(at, "system", "card_not_kept", &word(why).unwrap(), &attempt.to_string(), Some(*payment));
                Some(*payment)
            }
            RecordBody::CardForgetting { token, .. } => {
                let payment = self.money.cards.get_mut(token).map(|card| card.goes(at));
                self.row(at, "system", "card_forgetting", "gateway_asked", &token.to_string(), payment);
                payment
            }
            RecordBody::CardForgotten { token, by_hand, .. } => {
                let said = self.is_gone(at, token, *by_hand);
                let payment = self.money.cards.get_mut(token).map(|card| card.is_forgotten(at));
                if let Some((who, result)) = said {
                    self.row(at, &who, "card_forgotten", &result, &token.to_string(), payment);
                }
                payment
            }
            RecordBody::Audit(event) => self.audited(at, event),
            RecordBody::Advised { .. } | RecordBody::AttemptToldAgain(_) | RecordBody::OfficeRestored(_) => {
                panic!("of schedulers, who read what is advised, and of restores there is no model")
            }
        }
    }

    fn ended(&mut self, at: i64, attempt: AttemptId, payment: PaymentId, outcome: &Outcome) -> Option<PaymentId> {
        let known = self.money.attempt(at, attempt, payment, None);
        if known.outcome.as_ref().is_none_or(|outcome| *outcome == Outcome::Unknown) {
            (known.outcome, known.ended_at) = (Some(outcome.clone()), Some(at));
        }
        let text = serde_json::to_value(outcome).unwrap();
        let result = text["outcome"].as_str().unwrap();
        self.row(at, "system", "attempt_ended", result, &attempt.to_string(), Some(payment));
        self.money.settle(at, payment);
        Some(payment)
    }

    fn audited(&mut self, at: i64, event: &AuditEvent) -> Option<PaymentId> {
        let (money, extension) = (&mut self.money, &event.extension);
        let (what, result, payment) = match &event.action {
            AuditAction::CallAnswered => {
                let is_open = |state| !matches!(state, S::Approved | S::Cancelled | S::Voided | S::Refunded);
                for row in money.payments.values_mut().map(|ordered| &mut ordered.row) {
                    if row.call == event.call && row.extension != extension.as_str() && is_open(row.state) {
                        (row.extension, row.updated_ms) = (extension.to_string(), row.updated_ms.max(at));
                    }
                }
                ("call_answered", "ok".to_owned(), None)
            }
            AuditAction::PaymentStarted { payment, amount } => {
                let nobody = "-".parse().unwrap();
                money.order(at, &started(*payment, event.call, extension, &nobody, *amount));
                ("payment_started", "ok".to_owned(), Some(*payment))
            }
            AuditAction::PaymentCancelled { payment } => {
                if let Some(row) = money.payments.get_mut(payment).map(|ordered| &mut ordered.row)
                    && matches!(row.state, S::Waiting | S::Declined | S::NotSent)
                {
                    (row.state, row.updated_ms) = (S::Cancelled, row.updated_ms.max(at));
                }
                ("payment_cancelled", "ok".to_owned(), Some(*payment))
            }
            AuditAction::Money { payment, alarm } => {
                money.alarmed(at, *payment, *alarm);
                ("money_alarm", word(alarm).unwrap(), Some(*payment))
            }
            action => panic!("no money is in it: {action:?}"),
        };
        let who = self.who(&event.origin);
        self.row(at, &who, what, &result, &event.call.to_string(), payment);
        payment
    }

    pub(super) fn email(&self, user: i64) -> String {
        self.by_id(user).map_or_else(|| format!("user {user}"), |user| user.email.clone())
    }

    fn who(&self, origin: &Origin) -> String {
        match origin {
            Origin::User { id } => self.email(*id),
            Origin::Caller => "caller".to_owned(),
            Origin::AgentPhone => "agent phone".to_owned(),
            Origin::System => "system".to_owned(),
        }
    }
}

/// A payment that nobody has ordered here.
fn started<'a>(
    id: PaymentId,
    call: wire::CallId,
    extension: &'a Extension,
    merchant: &'a MerchantId,
    amount: wire::Money,
) -> NewPayment<'a> {
    NewPayment {
        id,
        call,
        extension,
        merchant,
        amount,
        account: None,
        invoice: None,
        reference: None,
        capture: CaptureTime::Now,
        surcharge: 0,
        due: None,
        part_of: None,
        duplicate_of: None,
        offer: None,
    }
}

impl Money {
    /// The attempt, of which this may be the first word.
    fn attempt(&mut self, at: i64, id: AttemptId, payment: PaymentId, card: Option<wire::CardView>) -> &mut Attempt {
        let number = 1 + i64::try_from(self.attempts_of(payment).len()).unwrap();
        let (kind, minor, outcome, ended_at) = (AttemptKind::Authorize, None, None, None);
        self.attempts.entry(id).or_insert(Attempt {
            payment,
            number,
            kind,
            minor,
            card,
            outcome,
            sent_at: at,
            ended_at,
        })
    }

    fn keeps(&mut self, payment: PaymentId, keeping: Keeping) {
        if let Some(ordered) = self.payments.get_mut(&payment) {
            ordered.row.kept = Some(keeping);
        }
    }

    fn alarmed(&mut self, at: i64, payment: PaymentId, alarm: MoneyAlarm) {
        use MoneyAlarm as A;
        let is_forgotten = self.is_all_forgotten(payment);
        let is_once = matches!(alarm, A::OtherAccount | A::NotForgotten | A::NotReversed);
        let told = word(&alarm).unwrap();
        let is_told =
            |(of, view): &(PaymentId, AlarmView)| *of == payment && view.alarm == told && view.seen_at.is_none();
        let is_known = is_once && self.alarms.iter().any(is_told);
        let row = self.payments.get_mut(&payment).map(|ordered| &mut ordered.row);
        match (alarm, row) {
            (A::Review, Some(row)) => row.review = row.review.take().or_else(|| Some("wanted".to_owned())),
            (A::NeedsPeople, Some(row)) => row.needs_people = true,
            (A::Review | A::NeedsPeople | A::LateApprovalReversed | A::ChecksFailed, _) => {}
            (A::NotForgotten, _) if is_forgotten => {}
            _ if is_known => {}
            (alarm, _) => {
                let (id, alarm, at) =
                    (i64::try_from(self.alarms.len()).unwrap() + 1, word(&alarm).unwrap(), rfc3339(at));
                self.alarms.push((payment, AlarmView { id, alarm, at, seen_at: None, seen_by: None, note: None }));
            }
        }
    }

    /// Where a payment's money stands by all of its attempts.
    fn settle(&mut self, at: i64, payment: PaymentId) {
        let attempts = self.attempts_of(payment).into_iter();
        let attempts: Vec<_> =
            attempts.map(|(_, one)| Attempted { kind: one.kind, outcome: one.outcome.clone() }).collect();
        let Some(row) = self.payments.get_mut(&payment).map(|ordered| &mut ordered.row) else { return };
        let now = standing(&attempts, row.later);
        let money = |minor| wire::Money { minor, ..row.amount };
        (row.approved, row.captured, row.refunded) =
            (now.approved.map(money), money(now.captured), money(now.refunded));
        (row.state, row.updated_ms) = (now.state, row.updated_ms.max(at));
        row.needs_people &= !attempts.iter().all(|one| one.outcome.as_ref().is_some_and(Outcome::is_known));
        if row.review.as_deref() == Some("wanted") && matches!(row.state, S::Voided | S::Refunded) {
            row.review = Some("rejected".to_owned());
        }
    }
}
