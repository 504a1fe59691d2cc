//! A caller whom a contact centre has sent to us to pay alone. They are answered on a masked line and asked by beeps; what becomes
//! of it goes back with them, to where the route says.
//!
//! Nobody is on the agent's side meanwhile. Who has the caller back is called by us, and the line opens by the unmasking rule as
//! always, so that the last keys are heard by nobody.

use super::{Arrival, Call, Context, NoCall, Phase, setup::printable};
use crate::OpenLineKeys;
use crate::bounce::codes::{Named, is_dialed};
use crate::bounce::{self, Asked, Bounce, Said, Verdict};
use crate::config::Way;
use crate::orders::Wanted;
use crate::switchboard::Output;
use media::Side;
use std::time::{Duration, Instant};
use wire::{
    AuditAction, AuditEvent, BounceRefusal, BounceResult, CallEnd, FieldProgress, FieldStatus, LineState, Money,
    Origin, PaymentId, PaymentOrder, PaymentState, Progress, Reference, Refusal, RejectReason, WayIn,
};

/// How long a caller may take for all of it.
const PAYS: Duration = Duration::from_secs(300);
/// Nobody is cut off so soon after a key, or the rest of a card would be keyed on an open line; but not for ever.
const KEYS: Duration = Duration::from_secs(10);
const KEYS_MAX: Duration = Duration::from_secs(60);
/// How often they may be too slow.
const SLOW_MAX: u8 = 2;

pub(crate) struct Bounced {
    reference: Option<Reference>,
    /// Until it is started.
    order: Option<PaymentOrder>,
    payment: PaymentId,
    /// It was made ahead of the call, which has come with its code.
    is_by_code: bool,
    amount: Money,
    until: Instant,
    /// It is put off no farther than this.
    until_max: Instant,
    /// When the last key came.
    key_at: Option<Instant>,
    /// What the caller was asked last, and whether it was refused.
    asked: Option<(usize, bool)>,
    /// What was keyed of each field when it was last looked at, and until when something more must be.
    keyed: Vec<(FieldStatus, u8)>,
    quiet_until: Option<Instant>,
    slow: u8,
    /// Why we have given up.
    why: Option<&'static str>,
    verdict: Option<Verdict>,
}

impl Bounced {
    fn new(now: Instant, payment: PaymentId, asked: Asked, terms: &Bounce) -> Self {
        let order = PaymentOrder {
            payment,
            amount: asked.amount,
            merchant: terms.merchant.clone(),
            fields: terms.fields.clone(),
            store: wire::Store::None,
            purpose: None,
            capture: wire::CaptureTime::Now,
            avs: None,
            partial: false,
        };
        let until = now + PAYS;
        Self {
            reference: asked.reference,
            order: Some(order),
            payment,
            is_by_code: asked.payment.is_some(),
            amount: asked.amount,
            until,
            until_max: until + KEYS_MAX,
            key_at: None,
            asked: None,
            keyed: Vec::new(),
            quiet_until: None,
            slow: 0,
            why: None,
            verdict: None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let is_over = self.why.is_some() || self.verdict.is_some();
        [Some(self.until), self.quiet_until].into_iter().flatten().min().filter(|_| !is_over)
    }
}

impl Call {
    /// A call that is paid alone, or the status to refuse it with.
    pub(super) fn bounced(
        context: &mut Context<'_>,
        arrival: &Arrival<'_>,
        mut way: Way,
        terms: &Bounce,
    ) -> Result<Self, NoCall> {
        let asserted = arrival.invite.asserted();
        let is_agent = context.config.trunk_of(arrival.from).is_some_and(|trunk| {
            // Who pays is not an agent who plays the caller.
            context.config.is_internal(trunk, asserted.user().unwrap_or_default())
        });
        let asked =
            if is_agent { Err(BounceRefusal::InternalCaller) } else { Self::asked(context, arrival, &way, terms) };
        let asked = asked.and_then(|asked| {
            let wanted =
                asked.reference.as_ref().map(|reference| Wanted::new(&terms.merchant, reference, asked.amount));
            let is_again = wanted.is_some_and(|wanted| context.orders.has(context.now, &wanted));
            if is_again { Err(BounceRefusal::Duplicate) } else { Ok(asked) }
        });
        let asked = asked.map_err(|why| {
            let (origin, call, extension) = (Origin::System, arrival.id, way.extension.clone());
            let action = AuditAction::BounceRefused { why };
            context.outputs.push_back(Output::Audit(AuditEvent { origin, call, extension, action }));
            let (status, words) = bounce::refusal(why);
            NoCall { status, words: Some(words) }
        })?;
        let mut called = arrival.invite.uri.user().map(printable).unwrap_or_default();
        if is_dialed(&way.behind) && called.ends_with(&way.behind) {
            // A code is shown nowhere, nor is what only looks like one.
            called.truncate(called.len().saturating_sub(way.behind.len()));
        }
        way.extension = asked.back.clone().unwrap_or(way.extension);
        let mut call = Self::on(context, arrival, way, called)?;
        (call.way, call.keys_cross_pbx) = (WayIn::Bounced, terms.keys_cross_pbx);
        // A card that is keyed on after its time is keyed on an open line.
        call.open_line_keys = OpenLineKeys::Secure;
        let payment = asked.payment.unwrap_or_else(|| PaymentId::from_random(context.random()));
        context.codes.claim(payment);
        if let Some(reference) = &asked.reference {
            context.orders.take(context.now, Wanted::new(&terms.merchant, reference, asked.amount), payment);
        }
        call.bounce = Some(Box::new(Bounced::new(context.now, payment, asked, terms)));
        Ok(call)
    }

    /// What the call itself asks for, or the order whose code it names.
    fn asked(
        context: &mut Context<'_>,
        arrival: &Arrival<'_>,
        way: &Way,
        terms: &Bounce,
    ) -> Result<Asked, BounceRefusal> {
        let trunk = context.config.trunk_of(arrival.from);
        let code;
        let (said, is_dialed) = (terms.said(arrival.invite)?, is_dialed(&way.behind));
        let named = match (said, trunk) {
            (Said::Nothing, Some(trunk)) if is_dialed => Named::Dialed(&way.behind, trunk),
            // An order has one author: beside a code that is dialed nothing is said of it either, not even another code.
            (Said::Asked(_) | Said::Code(_) | Said::NoAmount, _) if is_dialed => return Err(BounceRefusal::Malformed),
            (Said::Nothing | Said::NoAmount, _) => return Err(BounceRefusal::NoAmount),
            (Said::Asked(asked), _) => return Ok(asked),
            (Said::Code(said), _) => {
                code = said;
                Named::Said(&code)
            }
        };
        let asserted = arrival.invite.asserted();
        let who = (arrival.from, asserted.user().unwrap_or_default());
        context.codes.find(context.now, who, &named, |order| terms.takes(order)).map(Asked::from)
    }

    /// The caller has pressed a key.
    pub(super) fn bounce_key(&mut self, context: &Context<'_>) {
        if let Some(bounce) = &mut self.bounce {
            bounce.key_at = Some(context.now);
            // One that is taken back again shows in nothing, and yet they are not slow.
            let until = context.now + Duration::from_millis(context.config.rules.first_digit_ms_max);
            bounce.quiet_until = bounce.quiet_until.map(|_| until);
        }
    }

    /// What the contact centre calls what is paid here.
    pub(super) fn bounced_reference(&self) -> Option<&Reference> {
        self.bounce.as_ref()?.reference.as_ref()
    }

    /// The attempt is not on disk. The journal knows of an order what the memory of this process may have forgotten.
    pub(super) fn bounce_refused(&mut self, why: Refusal) {
        if let Some(bounce) = self.bounce.as_mut().filter(|_| why == Refusal::SameOrder) {
            bounce.why = Some("duplicate");
        }
    }

    /// Whether nobody but the caller is here, and they pay.
    pub(super) fn pays_alone(&self) -> bool {
        self.bounce.as_ref().is_some_and(|bounce| bounce.verdict.is_none())
    }

    /// Whether the caller is on their way back.
    pub(super) fn goes_back(&self) -> bool {
        self.bounce.as_ref().is_some_and(|bounce| bounce.verdict.is_some())
    }

    /// The ports are bound. A code is used before anybody is answered: the disk has to know, or it would be good again after a restart.
    pub(super) fn take_bounced(&mut self, context: &mut Context<'_>) {
        match self.bounce.as_ref().filter(|bounce| bounce.is_by_code).map(|bounce| bounce.payment) {
            Some(payment) => context.outputs.push_back(Output::UseCode { call: self.id, payment }),
            None => self.answer_bounced(context),
        }
    }

    /// The disk knows that the code is used, knew it before, or does not answer.
    pub(crate) fn code_used(&mut self, context: &mut Context<'_>, payment: PaymentId, used: Result<bool, Refusal>) {
        let is_waiting = self.bounce.as_ref().is_some_and(|bounce| bounce.payment == payment && bounce.order.is_some());
        if !is_waiting || !matches!(self.phase, Phase::Opening) {
            return;
        }
        match used {
            Ok(true) => self.answer_bounced(context),
            Ok(false) => {
                let why = BounceRefusal::CodeUsed;
                self.audit(context, Origin::System, AuditAction::BounceRefused { why });
                self.fail_setup(context, bounce::refusal(why).0);
            }
            Err(reason) => {
                self.audit(context, Origin::System, AuditAction::Refused { reason });
                self.fail_setup(context, 503);
            }
        }
    }

    /// The caller is answered on a line that is masked from the start, and what they pay is started.
    fn answer_bounced(&mut self, context: &mut Context<'_>) {
        let Some(bounce) = &mut self.bounce else { return };
        let (Some(order), reference) = (bounce.order.take(), bounce.reference.clone()) else { return };
        let (payment, amount) = (order.payment, order.amount);
        let merchant = Some(order.merchant.clone());
        self.audit(context, Origin::System, AuditAction::Bounced { payment, amount, merchant, reference });
        self.secure_unasked(context, &Origin::System);
        if let Err(status) = self.answer_first(context) {
            return self.fail_setup(context, status);
        }
        self.phase = Phase::Talking;
        self.changed = true;
        self.cue(context, false, 0);
        if let Err(reason) = self.start_payment(context, &Origin::System, &order) {
            self.audit(context, Origin::System, AuditAction::Refused { reason });
            self.bounce_back(context, Verdict::canceled("refused"));
        }
    }

    fn cue(&self, context: &mut Context<'_>, long: bool, short: u8) {
        self.media(context, media::Command::Cue { long, short });
    }

    pub(super) fn bounce_timeout(&mut self, context: &mut Context<'_>) {
        let Some(bounce) = self.bounce.as_mut().filter(|bounce| bounce.poll_timeout().is_some()) else { return };
        let is_slow = bounce.quiet_until.take_if(|until| *until <= context.now).is_some();
        if bounce.until <= context.now {
            let later = bounce.key_at.map(|at| (at + KEYS).min(bounce.until_max)).filter(|later| *later > context.now);
            if let Some(later) = later {
                bounce.until = later;
                return;
            }
            self.stop_asking(context, "too_slow");
        } else if is_slow && self.paid().is_some_and(|paid| paid.state() == PaymentState::Capturing) {
            self.ask_slow(context);
        }
    }

    /// What is keyed is looked at: it says when the caller is too slow.
    fn note_keyed(&mut self, context: &Context<'_>, fields: &[FieldProgress]) {
        let keyed: Vec<_> = fields.iter().map(|field| (field.status, field.digits)).collect();
        let Some(bounce) = self.bounce.as_mut().filter(|bounce| bounce.keyed != keyed) else { return };
        bounce.keyed = keyed;
        bounce.quiet_until = Some(context.now + Duration::from_millis(context.config.rules.first_digit_ms_max));
    }

    /// After every input: goes on with what the caller is to do, or sends them back.
    pub(super) fn keep_bounce(&mut self, context: &mut Context<'_>) {
        if !matches!(self.phase, Phase::Talking) || !self.pays_alone() {
            return;
        }
        let Some((state, outcome)) = self.paid().map(|paid| (paid.state(), paid.progress().outcome)) else { return };
        match state {
            PaymentState::Waiting | PaymentState::Authorizing => {}
            PaymentState::Capturing => self.ask(context),
            PaymentState::Ready => self.authorize_bounced(context),
            PaymentState::Approved | PaymentState::Declined | PaymentState::Unknown | PaymentState::NotSent => {
                let verdict = outcome.as_ref().map_or(Verdict::canceled("not_sent"), Verdict::of);
                let why = self.bounce.as_ref().and_then(|bounce| bounce.why);
                let verdict = match (state, why) {
                    (PaymentState::NotSent, Some(why)) => Verdict::canceled(why),
                    _ => verdict,
                };
                self.bounce_back(context, verdict);
            }
            PaymentState::Cancelled | PaymentState::Voided | PaymentState::Refunded => {
                let why = self.bounce.as_ref().and_then(|bounce| bounce.why).unwrap_or("canceled");
                self.bounce_back(context, Verdict::canceled(why));
            }
        }
    }

    fn authorize_bounced(&mut self, context: &mut Context<'_>) {
        let Some(payment) = self.bounce.as_ref().map(|bounce| bounce.payment) else { return };
        if self.authorize(context, payment, None, Origin::Caller).is_err() {
            return self.stop_asking(context, "not_sent");
        }
        self.drain_payment(context);
    }

    /// So many beeps as the field has a place among them, and a long one before where something was wrong.
    fn ask(&mut self, context: &mut Context<'_>) {
        let Some(fields) = self.paid().map(|paid| paid.progress().fields) else { return };
        self.note_keyed(context, &fields);
        let live = fields.iter().enumerate().find(|(_, field)| field.status == FieldStatus::Live);
        let Some((at, field)) = live else {
            // Refused too often. Before anything was asked all of them wait.
            if fields.iter().any(|field| field.status == FieldStatus::Bad) {
                self.stop_asking(context, "too_many_tries");
            }
            return;
        };
        let asks = (at, field.reason.is_some_and(|reason| reason != RejectReason::TooSlow));
        let Some(bounce) = &mut self.bounce else { return };
        let before = bounce.asked.replace(asks);
        let is_news = before.is_none_or(|(before, was_refused)| before != at || asks.1 && !was_refused);
        if is_news {
            self.cue(context, asks.1, beeps(at));
        }
    }

    /// Nobody is there to ask what is the matter: they begin the field anew, and not for ever.
    fn ask_slow(&mut self, context: &mut Context<'_>) {
        let Some(paid) = self.paid() else { return };
        let (live, fields) = (paid.live_field(), paid.progress().fields);
        let found = fields.iter().position(|field| Some(field.field) == live);
        let (Some(field), Some(at), Some(bounce)) = (live, found, &mut self.bounce) else { return };
        bounce.slow = bounce.slow.saturating_add(1);
        let (payment, is_over) = (bounce.payment, bounce.slow > SLOW_MAX);
        bounce.keyed.clear();
        bounce.asked = Some((at, false));
        if is_over || self.request_field(context, payment, field).is_err() {
            return self.stop_asking(context, "too_slow");
        }
        self.cue(context, true, beeps(at));
        self.drain_payment(context);
    }

    /// A recorder elsewhere does not pause: nobody is there to try it again.
    pub(super) fn give_up_bounce(&mut self, context: &mut Context<'_>) {
        if self.pays_alone() {
            self.stop_asking(context, "recorder_not_paused");
        }
    }

    /// The payment is canceled, if it still can be; else its outcome is waited for.
    fn stop_asking(&mut self, context: &mut Context<'_>, why: &'static str) {
        let Some(bounce) = &mut self.bounce else { return };
        bounce.why = Some(why);
        let payment = bounce.payment;
        let is_canceled = self.cancel_by_itself(context, payment);
        if is_canceled || self.paid().is_none() {
            self.bounce_back(context, Verdict::canceled(why));
        }
    }

    /// Whoever the route names is called, and told.
    fn bounce_back(&mut self, context: &mut Context<'_>, verdict: Verdict) {
        let Some(bounce) = &mut self.bounce else { return };
        if bounce.verdict.replace(verdict).is_some() {
            return;
        }
        let (payment, amount, reference) = (bounce.payment, bounce.amount, bounce.reference.clone());
        let progress = self.paid().map(payment::Payment::progress);
        let told = bounce::headers(verdict, (payment, amount, reference.as_ref()), progress.as_ref());
        self.dial.telling(told, |header| !bounce::is_confusing(header));
        let result = verdict.result;
        if progress.is_none() {
            // It could not even be started. The office knows it all the same, and waits for its end.
            self.audit(context, Origin::System, AuditAction::PaymentCancelled { payment });
        }
        context.orders.ends(payment, result);
        if result == BounceResult::Canceled {
            // They may be keying: from here on nobody should.
            self.media(context, media::Command::CueStop);
        }
        self.audit(context, Origin::System, AuditAction::BouncedBack { payment, result, reference });
        self.changed = true;
        if self.line.state() != LineState::Releasing {
            self.release(context);
        }
        if !self.recall(context) {
            self.end(context, Origin::System, CallEnd::NotAnswered);
        }
    }

    /// The call ends while the caller pays: the contact centre is told nothing, and the trail says how it stood.
    pub(super) fn end_bounce(&mut self, context: &mut Context<'_>) {
        let progress = self.paid().map(payment::Payment::progress);
        let Some(bounce) = self.bounce.take_if(|bounce| bounce.verdict.is_none()) else { return };
        let payment = bounce.payment;
        if bounce.order.is_some() {
            context.codes.give_back(payment);
            return context.orders.ends(payment, BounceResult::Canceled);
        }
        let result = match progress {
            Some(Progress { outcome: Some(outcome), .. }) => Verdict::of(&outcome).result,
            Some(Progress { state: PaymentState::Authorizing, .. }) => BounceResult::Unknown,
            _ => BounceResult::Canceled,
        };
        context.orders.ends(payment, result);
        let reference = bounce.reference;
        self.audit(context, Origin::System, AuditAction::BounceEnded { payment, result, reference });
    }

    /// Somebody has the caller back: from here on it is a call as any other.
    pub(super) fn is_bounced_back(&mut self, side: Side) {
        if side == Side::Agent {
            self.bounce = None;
        }
    }
}

fn beeps(at: usize) -> u8 {
    u8::try_from(at).unwrap_or(u8::MAX).saturating_add(1)
}
