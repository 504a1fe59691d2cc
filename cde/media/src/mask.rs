//! A masked line: what is mixed for the agent, and by which clock it goes out.
//!
//! *Strict*: nothing of the caller is heard, nor that or when they key, and frames keep a clock of their own. *Natural*: the caller is heard through
//! the gate, and frames go out as the caller's packets come in; a packet that is late is made up, and left out when it
//! comes after all.

use crate::FRAME_SAMPLES;
use crate::agenttones::AgentTones;
use crate::beeps::Beeps;
use crate::coding::Coding;
use crate::g722::Coder;
use crate::interface::{Policy, Witnessed};
use crate::natural::{Frame, GRAIN, Hold, Natural};
use crate::number::ahead;
use crate::quiet::Quiet;
use crate::sound::Sound;
use crate::stages::{Stage, works};
use crate::witness::Witness;
use std::time::{Duration, Instant};

/// Of packets that we send.
const FRAME: Duration = Duration::from_millis(20);
const FRAME_LENGTH: i32 = 160;
/// A packet that has not come so long after the one before is made up: 30 ms late.
const LATE: Duration = Duration::from_millis(50);
/// Packets of a key come this close to a frame make none: it would be one too many.
const TOO_CLOSE: Duration = Duration::from_millis(15);
/// A late driver gets so many frames at once; what is older than that is skipped.
pub(crate) const CATCH_UP_MAX: u32 = 5;
/// A driver that is later than this stood still.
const STOOD_STILL: Duration = Duration::from_millis(200);
/// Grains of a frame.
const GRAINS: u32 = 10;
const _: () = assert!(FRAME_SAMPLES / GRAIN == 10);
/// Frames between two proofs: half a second.
const PROOF_FRAMES: u32 = 25;
const GRID: Duration = Duration::from_millis(250);
/// The key that completes a field is held on while the field is left; the end of few keys comes later than this.
const HELD_MAX: Duration = Duration::from_secs(1);
/// Frames that are made up for a gap in the caller's stream; a longer one is a pause.
const GAP_FRAMES_MAX: i32 = 3;
/// A timestamp that jumps further is of a clock that was set anew: ten seconds.
const JUMP_MAX: i32 = 80_000;

/// A masked line.
pub(crate) struct Mask {
    since: Instant,
    /// When the next frame is due, or, in the natural mask, counts as late.
    next: Instant,
    /// When the last one went out.
    last: Instant,
    /// The step of the grid in which the caller's last packet came.
    step: u32,
    policy: Policy,
    /// Natural is asked for, and comes when it has been quiet for long enough.
    wants_natural: bool,
    pub(crate) natural: Natural,
    /// Frames that were made up in the place of sound that was still to come.
    ahead: i32,
    /// Where the caller's sound ended, by SSRC and timestamp.
    heard_until: Option<(u32, u32)>,
    beeps: Beeps,
    frames_to_proof: u32,
    /// [`crate::Event::Secured`] is owed.
    pub(crate) owes_secured: bool,
    pub(crate) releasing: bool,
    pub(crate) muted: bool,
    /// Silence has been coded for that.
    was_muted: bool,
    /// The next packet of the agent leg is the first of the mask.
    pub(crate) first: bool,
    pub(crate) quiet: Quiet,
    /// Listens to the agent.
    pub(crate) agent_tones: AgentTones,
    witness: Witness,
    /// What the witness hears with: it decodes what is sent as the agent's phone does, and knows nothing of how it was coded.
    pub(crate) ear: Coding,
    /// Something was sent that the witness has not heard, or it would not hear a key.
    pub(crate) unheard: bool,
    /// Frames in which anything was replaced, and in which the caller was crossed with what was made up: 2^32 are years.
    pub(crate) masked_frames: u32,
    pub(crate) filtered_frames: u32,
}

/// A frame as it is sent.
pub(crate) struct Coded {
    codes: [u8; FRAME_SAMPLES],
    length: usize,
    /// What it sounds like.
    pub(crate) heard: [i16; FRAME_SAMPLES],
    /// The sample that what follows goes on from: the last one that was coded, whether it is to be heard by now or not.
    pub(crate) last: i16,
    /// It was suspected, which nothing was before.
    pub(crate) leaks: bool,
}

impl Coded {
    pub(crate) fn codes(&self) -> &[u8] {
        self.codes.get(..self.length).unwrap_or_default()
    }
}

const SILENCE: [i16; FRAME_SAMPLES] = [0; FRAME_SAMPLES];

/// What a frame proves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    None,
    Secured,
    HalfSecond,
}

/// What stands between two packets of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// Nothing.
    None,
    /// Sound is missing; so many frames of it have not been made up yet.
    Frames(i32),
}

impl Mask {
    /// `last` is the sample with which the sound broke off that the agent heard before, and `ear` has heard all of that.
    pub(crate) fn new(now: Instant, policy: Policy, hold: Hold, last: i16, ear: Coding) -> Self {
        let mut natural = Natural::new(hold);
        natural.goes_on_from(last);
        Self {
            since: now,
            next: now,
            last: now,
            step: 0,
            policy,
            wants_natural: policy == Policy::Natural,
            natural,
            ahead: 0,
            heard_until: None,
            beeps: Beeps::default(),
            frames_to_proof: PROOF_FRAMES,
            owes_secured: true,
            releasing: false,
            muted: false,
            was_muted: false,
            first: true,
            quiet: Quiet::new(now),
            agent_tones: AgentTones::default(),
            witness: Witness::new(),
            ear,
            unheard: !Witness::can_hear(),
            masked_frames: 0,
            filtered_frames: 0,
        }
    }

    /// [`crate::Command::Secure`] on a line that is masked already.
    pub(crate) fn secure_again(&mut self, now: Instant, policy: Policy) -> bool {
        self.owes_secured = true;
        self.releasing = false;
        (self.muted, self.was_muted) = (false, false);
        self.unheard = !Witness::can_hear();
        self.ask_for(now, policy)
    }

    /// Strict comes at once, natural when it may. True if it has come.
    ///
    /// When it may, must not hang on which of two keys a detector let go of sooner. So the three quiet seconds are counted
    /// from this order and a little more; only what comes after that can put them off.
    pub(crate) fn ask_for(&mut self, now: Instant, policy: Policy) -> bool {
        let wanted = std::mem::replace(&mut self.wants_natural, policy == Policy::Natural);
        if self.policy == Policy::Strict && self.wants_natural && !wanted {
            self.quiet.disturb(now + HELD_MAX);
        }
        if policy == Policy::Strict && self.policy == Policy::Natural {
            self.policy = Policy::Strict;
            self.natural.begin();
            self.next = self.last + FRAME;
            return true;
        }
        false
    }

    /// Asks for an open line. From the strict mask the three quiet seconds are counted from here, or from where natural was
    /// asked for: nothing that was keyed before tells when they are over.
    pub(crate) fn release(&mut self, now: Instant) {
        self.releasing = true;
        if self.policy == Policy::Strict && !self.wants_natural {
            self.suspect(now);
        }
    }

    /// The caller may be heard again, through the gate. Asked when a packet has come and no key is down. Only the first packet
    /// after a step of the grid is heard of it, so that how long the last key was pressed does not show. True if it has come.
    pub(crate) fn relax(&mut self, now: Instant) -> bool {
        let step = self.step_at(now);
        let stepped = std::mem::replace(&mut self.step, step) != step;
        let may = self.policy == Policy::Strict && self.wants_natural && stepped && self.quiet.is_over(now);
        if may {
            self.policy = Policy::Natural;
            self.natural.begin_after_strict();
            self.heard_until = None;
            self.ahead = i32::from(now.saturating_duration_since(self.last) < TOO_CLOSE);
            self.next = now + LATE;
        }
        may
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// Whoever drives this stood still: that nothing was heard of the caller says nothing of them.
    pub(crate) fn wake(&mut self, now: Instant) {
        if now.saturating_duration_since(self.next) > STOOD_STILL {
            self.quiet.heard_again(now);
        }
    }

    /// One key has been pressed. Whether a damaged tone can be proved hangs on its frequencies, so in the strict mask that
    /// it was proved is not to be heard.
    pub(crate) fn beep(&mut self) {
        if self.policy == Policy::Natural {
            self.beeps.beep();
        }
    }

    /// A key, known by whatever way, until then.
    pub(crate) fn disturb(&mut self, until: Instant) {
        self.quiet.disturb(until);
        self.natural.key_is_known();
    }

    /// The caller's sound is suspicious. The time is taken to the grid, so that how fast a detector lets go of one key
    /// or another does not show in when the line opens.
    fn suspect(&mut self, now: Instant) {
        let elapsed = self.step_at(now).saturating_add(1);
        self.quiet.disturb(self.since + GRID * elapsed);
    }

    /// Whole steps of the grid since it began.
    fn step_at(&self, now: Instant) -> u32 {
        let steps = now.saturating_duration_since(self.since).as_millis() / GRID.as_millis();
        u32::try_from(steps).unwrap_or(u32::MAX)
    }

    /// A packet of sound has come, in order: what is missing before it?
    pub(crate) fn follow(&mut self, now: Instant, ssrc: u32, timestamp: u32, samples: u32, lost: bool) -> Gap {
        self.next = if self.policy == Policy::Natural { now + LATE } else { self.next };
        let known = self.heard_until.replace((ssrc, timestamp.wrapping_add(samples)));
        let jump = known.filter(|(before, _)| *before == ssrc).map(|(_, until)| ahead(timestamp, until));
        match jump {
            Some(0) if !lost => Gap::None,
            Some(jump @ 0..=JUMP_MAX) => {
                let missing = jump / FRAME_LENGTH;
                let made_up = missing.min(self.ahead);
                self.ahead -= made_up;
                let left = missing - made_up;
                Gap::Frames(if left <= GAP_FRAMES_MAX { left } else { 0 })
            }
            _ => {
                self.ahead = if known.is_none() { self.ahead } else { 0 };
                Gap::Frames(0)
            }
        }
    }

    /// The newest block of the caller's sound is heard.
    pub(crate) fn hear(&mut self, now: Instant, sound: &Sound) {
        let verdict = match self.policy {
            Policy::Natural => self.natural.hear(sound),
            Policy::Strict => self.natural.listen(sound),
        };
        if verdict.is_some_and(|verdict| verdict.suspicious) {
            self.suspect(now);
        }
    }

    /// A frame of the caller's sound, where one is due that was not made up before.
    pub(crate) fn frame_of_sound(&mut self, sound: &Sound) -> Option<[i16; FRAME_SAMPLES]> {
        if self.policy == Policy::Strict {
            return None;
        }
        if self.ahead > 0 && self.natural.leave_out() {
            self.ahead -= 1;
            return None;
        }
        let frame = self.natural.frame(sound)?;
        self.count(&frame);
        Some(frame.samples)
    }

    fn count(&mut self, frame: &Frame) {
        self.masked_frames += u32::from(frame.passed.count_ones() < GRAINS);
        self.filtered_frames += u32::from(frame.crossed != 0);
    }

    /// A packet without sound has come: it may bring a frame that is made up.
    pub(crate) fn frame_of_event(&mut self, now: Instant) -> Option<[i16; FRAME_SAMPLES]> {
        let due = self.policy == Policy::Natural && now.saturating_duration_since(self.last) >= TOO_CLOSE;
        due.then(|| {
            self.next = now + LATE;
            self.ahead += 1;
            self.made_up()
        })
    }

    /// The next frame that is due by the clock, with its time.
    pub(crate) fn frame(&mut self, now: Instant) -> Option<(Instant, [i16; FRAME_SAMPLES])> {
        let at = Some(self.next).filter(|next| *next <= now)?;
        self.next += FRAME;
        if self.policy == Policy::Natural {
            self.ahead += 1;
        }
        Some((at, self.made_up()))
    }

    fn made_up(&mut self) -> [i16; FRAME_SAMPLES] {
        self.masked_frames += 1;
        self.natural.made_up()
    }

    /// Leaves out frames whose time has gone by; says how many.
    pub(crate) fn skip(&mut self, now: Instant) -> u64 {
        let Some(behind) = now.checked_duration_since(self.next) else { return 0 };
        let frames = u32::try_from(behind.as_millis() / FRAME.as_millis() + 1).unwrap_or(u32::MAX);
        self.next += FRAME * frames;
        self.beeps.skip(u64::from(frames));
        if self.policy == Policy::Natural {
            self.ahead = self.ahead.saturating_add(i32::try_from(frames).unwrap_or(i32::MAX));
        }
        u64::from(frames)
    }

    /// Puts the beeps into a frame that goes out now.
    pub(crate) fn mix(&mut self, at: Instant, frame: &mut [i16; FRAME_SAMPLES]) {
        self.last = at;
        self.beeps.add(frame, self.policy);
    }

    /// A key has been proved: did the gate let it through? Then the agent is mute from here on.
    pub(crate) fn lets_a_key_through(&mut self) -> bool {
        let leaks = self.policy == Policy::Natural && !self.muted && self.natural.masks_nothing();
        self.muted |= leaks;
        leaks
    }

    /// Codes a frame, or silence in its place if the agent is mute or the witness suspects it; none if it cannot be coded. What the
    /// witness has heard is counted.
    pub(crate) fn code(
        &mut self,
        coding: &mut Coding,
        frame: [i16; FRAME_SAMPLES],
        witnessed: &mut Witnessed,
    ) -> Option<Coded> {
        let before = (coding.kept(), self.ear.kept());
        if self.muted && !std::mem::replace(&mut self.was_muted, self.muted) && coding.holds_back() {
            // Of what is not to be heard, nothing that is still held back is either.
            self.begin_anew(coding, (None, None));
        }
        let mut coded = self.code_heard(coding, if self.muted { SILENCE } else { frame })?;
        coded.leaks = works(Stage::Witness) && self.witness(&coded.heard, witnessed);
        if coded.leaks {
            self.begin_anew(coding, before);
            coded = Coded { leaks: true, ..self.code_heard(coding, SILENCE)? };
        }
        Some(coded)
    }

    fn begin_anew(&mut self, coding: &mut Coding, (kept, heard): (Option<Coder>, Option<Coder>)) {
        coding.restore(kept);
        self.ear.restore(heard);
    }

    fn code_heard(&mut self, coding: &mut Coding, frame: [i16; FRAME_SAMPLES]) -> Option<Coded> {
        let (mut codes, mut heard) = ([0; FRAME_SAMPLES], SILENCE);
        let length = coding.encode(&frame, &mut codes)?;
        let decoded = self.ear.decode(codes.get(..length)?, &mut heard);
        let goes_on = if coding.holds_back() { &frame } else { &heard };
        let last = goes_on.last().copied().unwrap_or_default();
        (decoded == FRAME_SAMPLES).then_some(Coded { codes, length, heard, last, leaks: false })
    }

    /// The witness hears what was encoded. True if it is suspicious, and was not before.
    fn witness(&mut self, heard: &[i16; FRAME_SAMPLES], witnessed: &mut Witnessed) -> bool {
        let heard = self.witness.push(heard);
        witnessed.add(heard);
        if heard.suspicious {
            self.muted = true;
            // It has heard what is not sent; from here on it hears the silence.
            self.witness = Witness::new();
        }
        heard.suspicious
    }

    /// Counts a frame that has been made, and sent if there is somebody to send it to.
    pub(crate) fn prove(&mut self) -> Proof {
        self.frames_to_proof -= 1;
        let half_second = self.frames_to_proof == 0;
        if half_second {
            self.frames_to_proof = PROOF_FRAMES;
        }
        if std::mem::take(&mut self.owes_secured) {
            Proof::Secured
        } else if half_second {
            Proof::HalfSecond
        } else {
            Proof::None
        }
    }
}
