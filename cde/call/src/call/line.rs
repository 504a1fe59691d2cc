//! The line: open, secured, releasing. What it is, the media session says; this only asks and believes proof.

use super::{Call, Context, Phase};
use crate::OpenLineKeys;
use crate::switchboard::Output;
use media::Side;
use std::time::{Duration, Instant};
use wire::record::AlarmKind;
use wire::{AuditAction, Command, CommandId, Event, Field, LineState, Masking, Origin, Refusal};

/// How long the media session may take to confirm.
const CONFIRM: Duration = Duration::from_secs(2);
/// Without a proof for this long, masking is not proved.
const PROOF: Duration = Duration::from_secs(2);
/// An INFO that was sent while the line was masked may come so late: 64 T1, for which it is repeated where it gets lost (Timer F
/// of RFC 3261 section 17.1.2.2).
const INFO_LATE: Duration = Duration::from_secs(32);
/// Commands that may wait for one confirmation.
const WAITING_MAX: usize = 16;

pub(crate) struct Line {
    state: LineState,
    /// What the media session takes is of a conference: it masks nothing for anybody.
    is_of_conference: bool,
    since_unix_ms: i64,
    /// When the media session was last heard to mask.
    proved: Option<Instant>,
    /// When the line was last opened after a mask.
    opened: Option<Instant>,
    /// How the media session was last told to mask, and how it says that it does.
    policy: media::Policy,
    masking: media::Policy,
    /// What the witness has heard, and what of it is in the audit trail.
    witnessed: media::Witnessed,
    witnessed_told: media::Witnessed,
    /// Without proof the media session is told again to mask, at this time.
    secure_again: Option<Instant>,
    /// Secured without a command that waits for it: by then it must have been confirmed.
    confirm_by: Option<Instant>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    command: CommandId,
    origin: Origin,
    wants: LineState,
    until: Instant,
}

impl Line {
    pub(super) fn new(unix_ms: i64, masking: media::Policy) -> Self {
        Self {
            state: LineState::Open,
            is_of_conference: false,
            since_unix_ms: unix_ms,
            proved: None,
            opened: None,
            policy: masking,
            masking,
            witnessed: media::Witnessed::default(),
            witnessed_told: media::Witnessed::default(),
            secure_again: None,
            confirm_by: None,
            waiting: Vec::new(),
        }
    }

    /// From here on it is said that nothing is masked, whatever the media session proves.
    pub(super) fn is_of_conference(&mut self) {
        self.is_of_conference = true;
    }

    pub(super) fn state(&self) -> LineState {
        self.state
    }

    pub(super) fn since_unix_ms(&self) -> i64 {
        self.since_unix_ms
    }

    pub(super) fn masking(&self) -> Masking {
        match self.masking {
            _ if self.is_of_conference => Masking::None,
            media::Policy::Natural => Masking::Natural,
            media::Policy::Strict => Masking::Strict,
        }
    }

    /// Only on an open line does an INFO pass; while securing it is already withheld. A caller's passes only when none that was
    /// sent before the line was opened can come any more: nothing in it tells when its key was pressed.
    pub(super) fn lets_info_pass(&self, side: Side, now: Instant) -> bool {
        let may_be_late = self.opened.is_some_and(|opened| now < opened + INFO_LATE);
        self.state == LineState::Open && (side == Side::Agent || !may_be_late)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let proof = self.proved.filter(|_| self.state.masked() && self.state != LineState::Fault).map(|at| at + PROOF);
        self.waiting
            .iter()
            .map(|waiting| waiting.until)
            .chain(proof)
            .chain(self.secure_again)
            .chain(self.confirm_by)
            .min()
    }
}

impl Call {
    pub(super) fn command_secure(&mut self, context: &mut Context<'_>, command: &Command) {
        if !matches!(self.phase, Phase::Talking) {
            return self.finish(context, command, Err(Refusal::WrongState));
        }
        if let Err(reason) = self.refuses_line() {
            return self.finish(context, command, Err(reason));
        }
        if self.line.state == LineState::Secured {
            return self.finish(context, command, Ok(()));
        }
        if !self.wait(context, command, LineState::Secured) {
            return self.finish(context, command, Err(Refusal::Busy));
        }
        self.mask(context);
        if self.line.state == LineState::Open {
            self.take_back_infos(context);
            self.set_line(context, LineState::Securing, &command.origin);
        }
    }

    /// Tells the media session to mask, as the payment needs it now.
    fn mask(&mut self, context: &mut Context<'_>) {
        self.line.policy = self.policy(context);
        self.media(context, media::Command::Secure { policy: self.line.policy });
    }

    /// The payment has gone on: another field may need another mask. On an open line there is none to change.
    pub(super) fn mask_as_needed(&mut self, context: &mut Context<'_>) {
        let policy = self.policy(context);
        if self.line.state != LineState::Open && self.line.policy != policy {
            self.line.policy = policy;
            self.media(context, media::Command::Mask { policy });
        }
    }

    /// Nothing of the caller is heard while a security code is being keyed, whatever is configured.
    fn policy(&self, context: &Context<'_>) -> media::Policy {
        let is_strict = self.line.is_of_conference || self.till.live_field() == Some(Field::Cvv);
        if is_strict { media::Policy::Strict } else { context.config.masking }
    }

    /// Keys of the open line that are still on their way to the agent's phone would come there on a secured one.
    fn take_back_infos(&self, context: &mut Context<'_>) {
        if let Some(dialog) = self.agent.dialog {
            context.endpoint.take_back_infos(context.now, dialog);
        }
    }

    pub(super) fn command_release(&mut self, context: &mut Context<'_>, command: &Command) {
        if let Err(reason) = self.refuses_line() {
            return self.finish(context, command, Err(reason));
        }
        if self.consults() {
            // The caller who comes to the code comes to a line that is secured.
            return self.finish(context, command, Err(Refusal::WrongState));
        }
        if matches!(self.line.state, LineState::Open | LineState::Releasing) {
            return self.finish(context, command, Ok(()));
        }
        if !self.wait(context, command, LineState::Releasing) {
            return self.finish(context, command, Err(Refusal::Busy));
        }
        self.media(context, media::Command::Release);
    }

    /// Begins to release by ourselves, as after an approval.
    pub(super) fn release(&self, context: &mut Context<'_>) {
        if self.line.state.masked() {
            self.media(context, media::Command::Release);
        }
    }

    fn wait(&mut self, context: &Context<'_>, command: &Command, wants: LineState) -> bool {
        let room = self.line.waiting.len() < WAITING_MAX;
        if room {
            let until = context.now + CONFIRM;
            self.line.waiting.push(Waiting { command: command.id, origin: command.origin.clone(), wants, until });
        }
        room
    }

    pub(super) fn line_event(&mut self, context: &mut Context<'_>, event: &media::Event) {
        match event {
            media::Event::Secured if self.line.is_of_conference => self.line_is(context, LineState::Conference),
            media::Event::Secured => self.line_is(context, LineState::Secured),
            media::Event::Masking { policy } => {
                self.line.masking = *policy;
                self.changed = true;
            }
            media::Event::Releasing => self.line_is(context, LineState::Releasing),
            media::Event::Opened => self.line_is(context, LineState::Open),
            media::Event::Proof { witnessed } => self.prove(context, *witnessed),
            media::Event::KeysOnOpenLine => self.keys_on_open_line(context),
            // There is nobody on the agent's side whom it could leak to: they hear it all in the conference.
            media::Event::LeakSuspected if self.line.is_of_conference => {}
            media::Event::LeakSuspected => self.fault(context, AlarmKind::LeakSuspected),
            media::Event::Key(_)
            | media::Event::KeyLost
            | media::Event::AgentCode
            | media::Event::AgentDigit(_)
            | media::Event::AgentDigitsEnd => {}
        }
    }

    /// The caller is keying something long where the agent can hear it.
    fn keys_on_open_line(&mut self, context: &mut Context<'_>) {
        if self.line.state != LineState::Open || self.open_line_keys == OpenLineKeys::Ignore {
            return;
        }
        self.audit(context, Origin::Caller, AuditAction::Alarm { kind: AlarmKind::KeysOnOpenLine });
        if self.open_line_keys == OpenLineKeys::Secure && matches!(self.phase, Phase::Talking) {
            self.secure_unasked(context, &Origin::System);
        }
    }

    /// Secures the line without a command that waits for it.
    pub(super) fn secure_unasked(&mut self, context: &mut Context<'_>, origin: &Origin) {
        self.mask(context);
        self.take_back_infos(context);
        self.set_line(context, LineState::Securing, origin);
        self.line.confirm_by = Some(context.now + CONFIRM);
    }

    /// The call is over: who waits for a confirmation will get none.
    pub(super) fn hang_up_line(&mut self, context: &mut Context<'_>) {
        for waiting in std::mem::take(&mut self.line.waiting) {
            context.answer(waiting.command, Err(Refusal::UnknownCall));
        }
    }

    /// The media session has confirmed a state.
    fn line_is(&mut self, context: &mut Context<'_>, state: LineState) {
        let waiting = std::mem::take(&mut self.line.waiting);
        let (met, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|waiting| waiting.wants == state);
        self.line.waiting = rest;
        let origin = met.first().map_or(Origin::System, |waiting| waiting.origin.clone());
        self.line.proved = Some(context.now);
        self.line.secure_again = None;
        self.line.confirm_by = None;
        self.set_line(context, state, &origin);
        match state {
            state if state.takes_keys() => self.line_secured(context),
            _ => self.line_unsecured(context),
        }
        if state == LineState::Open {
            self.line.opened = Some(context.now);
            self.line.masking = context.config.masking;
            self.tell_witnessed(context);
        }
        // The screen must show the line before the command is answered.
        self.settle(context);
        met.into_iter().for_each(|waiting| context.answer(waiting.command, Ok(())));
    }

    /// Puts what the witness has heard into the audit trail, if it is more than what stands there.
    pub(super) fn tell_witnessed(&mut self, context: &mut Context<'_>) {
        if self.line.is_of_conference {
            return;
        }
        let media::Witnessed { frames, suspicious, worst_permille } = self.line.witnessed;
        let told = std::mem::replace(&mut self.line.witnessed_told, self.line.witnessed);
        let (frames, suspicious) = (frames - told.frames, suspicious - told.suspicious);
        if frames > 0 {
            self.audit(context, Origin::System, AuditAction::Witnessed { frames, suspicious, worst_permille });
        }
    }

    fn prove(&mut self, context: &mut Context<'_>, witnessed: media::Witnessed) {
        self.line.witnessed = witnessed;
        if self.line.state.masked() {
            self.line.proved = Some(context.now);
            let at_unix_ms = context.wall.unix_ms(context.now);
            context.outputs.push_back(Output::Wire(Event::Proof { call: self.id, at_unix_ms }));
        }
    }

    pub(super) fn line_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let waiting = std::mem::take(&mut self.line.waiting);
        let (late, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|waiting| waiting.until <= now);
        self.line.waiting = rest;
        let unproved = self.line.state.masked()
            && self.line.state != LineState::Fault
            && self.line.proved.is_some_and(|at| at + PROOF <= now);
        let unconfirmed = self.line.confirm_by.take_if(|by| *by <= now).is_some();
        if unproved || unconfirmed || late.iter().any(|waiting| waiting.wants == LineState::Secured) {
            self.fault(context, AlarmKind::ProofMissing);
            self.line.secure_again = Some(now);
        }
        if self.line.secure_again.is_some_and(|at| at <= now) {
            self.line.secure_again = Some(now + PROOF);
            self.mask(context);
        }
        late.into_iter().for_each(|waiting| context.answer(waiting.command, Err(Refusal::MediaFault)));
    }

    /// The media session stays as masked as it was; here the card goes and everybody is told. One that gave no proof may
    /// never have heard that it is to mask, so it is told until it says that it does.
    fn fault(&mut self, context: &mut Context<'_>, kind: AlarmKind) {
        self.audit(context, Origin::System, AuditAction::Alarm { kind });
        self.set_line(context, LineState::Fault, &Origin::System);
        self.line_unsecured(context);
    }

    fn set_line(&mut self, context: &mut Context<'_>, state: LineState, origin: &Origin) {
        if self.line.state == state {
            return;
        }
        self.line.state = state;
        self.line.since_unix_ms = context.wall.unix_ms(context.now);
        self.changed = true;
        self.audit(context, origin.clone(), AuditAction::Line { line: state });
    }
}
