//! The `natural` mask: the caller's voice goes through, 20 or 12 ms late, and what may be a key does not.
//!
//! Samples are held until the [`gate`](crate::gate) has judged everything that a key could have begun in. Masked ones are
//! replaced by what `conceal` makes of sound that was sent before: nothing of them is used, so what the
//! agent hears in their place tells when something was masked and nothing else.

use crate::FRAME_SAMPLES;
use crate::conceal::Conceal;
use crate::gate::features::HOP;
use crate::gate::{Gate, Verdict};
use crate::interface::Codec;
use crate::sound::Sound;
use crate::stages::{Stage, works};

/// Sound is masked in pieces of so many samples.
pub const GRAIN: usize = 16;
/// [`Natural`] has a bit for each grain that is held.
const _: () = assert!(Hold::Ms40.due() / GRAIN < 32);
/// After a gap nothing passes until a long window has been filled anew.
const AFTER_GAP: u32 = 160;
const HOP_LENGTH: u32 = 80;

/// Every grain of a frame.
const ALL: u16 = (1 << (FRAME_SAMPLES / GRAIN)) - 1;

/// How long the caller's sound is held, and so how much later the agent hears it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// 20 ms: a packet.
    #[default]
    Ms20,
    /// 12 ms. Under loud speech a little more of a first digit may pass.
    Ms12,
    /// 40 ms: of callers with Opus, whatever is configured. A browser's coder begins a loud tone after quiet with up to 25 ms in
    /// which no gate finds two tones, so the decisions behind them must still be in time. To be configured where the callers' Opus
    /// was coded anew before it came here.
    Ms40,
}

impl Hold {
    /// In samples.
    pub const fn samples(self) -> usize {
        match self {
            Self::Ms20 => 160,
            Self::Ms12 => 96,
            Self::Ms40 => 320,
        }
    }

    /// What this hold is for a caller of that codec.
    pub fn of(self, codec: Codec) -> Self {
        if codec == Codec::Opus { Self::Ms40 } else { self }
    }

    /// What is held when a frame is due. It is still there to be read.
    pub(crate) const fn due(self) -> usize {
        self.samples() + FRAME_SAMPLES
    }
}

/// 20 ms for the agent.
pub struct Frame {
    /// What is heard.
    pub samples: [i16; FRAME_SAMPLES],
    /// Which grains hold anything of the caller, the first one in the lowest bit.
    pub passed: u16,
    /// Which of them hold something else too, because the caller comes back in them.
    pub crossed: u16,
}

impl Frame {
    /// Nothing was changed.
    pub fn is_whole(&self) -> bool {
        self.passed == ALL && self.crossed == 0
    }
}

/// One caller's voice on its way to the agent.
pub struct Natural {
    hold: Hold,
    gate: Gate,
    conceal: Conceal,
    /// So many of the newest samples of the caller's sound have not been sent.
    held: usize,
    /// Of them, by grain, the oldest one in the lowest bit.
    masked: u32,
    /// Samples to come that are masked whatever they are.
    hang: u32,
    /// The next block is the second one of a hop.
    half: bool,
    /// No block has been heard since it began anew.
    fresh: bool,
}

impl Default for Natural {
    fn default() -> Self {
        Self::new(Hold::default())
    }
}

impl Natural {
    /// Nothing has been heard and nothing sent: the first samples to come out are masked ones.
    pub fn new(hold: Hold) -> Self {
        Self::with_gate(hold, Gate::new(hold))
    }

    /// One with another gate, to see what it would do.
    pub fn with_gate(hold: Hold, gate: Gate) -> Self {
        let mut natural =
            Self { hold, gate, conceal: Conceal::new(), held: 0, masked: 0, hang: 0, half: false, fresh: true };
        natural.begin();
        natural
    }

    /// Sound of another kind comes from here on: nothing of what was heard passes.
    pub(crate) fn hold_for(&mut self, hold: Hold) {
        if self.hold != hold {
            (self.hold, self.gate) = (hold, self.gate.turned_to(hold));
            self.begin();
        }
    }

    /// Hears the newest block of the caller's sound. Where a decision is due, it comes; a frame may be due after it.
    pub fn hear(&mut self, sound: &Sound) -> Option<Verdict> {
        self.completes_hop().then(|| self.judge(sound))
    }

    /// The same for the time in which everything is masked: nothing is held, and no frame comes of it.
    pub fn listen(&mut self, sound: &Sound) -> Option<Verdict> {
        self.completes_hop().then(|| {
            self.hang = self.hang.saturating_sub(HOP_LENGTH);
            self.gate.hear(sound)
        })
    }

    /// Sound is missing: in its place come [`HOP`] samples that are masked, as nothing passes that stands around them.
    pub fn miss_a_hop(&mut self) {
        self.start_anew();
        self.hold(true);
    }

    /// The sound begins anew, of another stream: nothing that is held passes, nor the first of what comes.
    pub fn start_anew(&mut self) {
        self.interrupt();
        (self.half, self.fresh) = (false, true);
    }

    /// What is heard next is none of the caller's sound: nothing that is held passes, nor the first of what comes after it.
    pub(crate) fn interrupt(&mut self) {
        self.gate.start_anew();
        self.mask_held();
        self.hang = self.hang.max(AFTER_GAP);
    }

    /// It begins anew with the next block, which must be of new samples alone.
    pub(crate) fn begins(&self) -> bool {
        self.fresh
    }

    /// The oldest frame, as soon as everything behind it is held.
    pub fn frame(&mut self, sound: &Sound) -> Option<Frame> {
        let masked = self.oldest()?;
        let mut samples = [0; FRAME_SAMPLES];
        sound.read(self.hold.due(), &mut samples);
        let (mut passed, mut crossed) = (0, 0);
        for (place, grain) in samples.as_chunks_mut::<GRAIN>().0.iter_mut().enumerate() {
            if masked >> place & 1 == 1 && works(Stage::Concealment) {
                self.conceal.replace(grain);
            } else {
                passed |= 1 << place;
                if self.conceal.pass(grain) {
                    crossed |= 1 << place;
                }
            }
        }
        Some(Frame { samples, passed, crossed })
    }

    /// Leaves the oldest frame out, if it is due. True if it was.
    pub fn leave_out(&mut self) -> bool {
        self.oldest().is_some()
    }

    /// Nothing of what was heard so far passes; what is masked for a known key stays so.
    pub fn begin(&mut self) {
        self.held = self.hold.samples();
        self.start_anew();
    }

    /// The same after a time of [`Natural::listen`] that has ended in three quiet seconds. What was heard in it must not
    /// tell in what passes now, so the gate is as wary as after a burst of keys, whether or not there was one.
    pub fn begin_after_strict(&mut self) {
        self.hang = 0;
        self.begin();
        self.gate.expect_keys();
    }

    /// A key is known to be pressed, by whatever way.
    pub fn key_is_known(&mut self) {
        if works(Stage::Knowledge) {
            self.mask_held();
            self.hang = self.hang.max(self.gate.key_is_known());
        }
    }

    /// All that is held may be heard.
    pub fn masks_nothing(&self) -> bool {
        let held = (1_u32 << (self.held / GRAIN)) - 1;
        self.hang == 0 && self.masked & held == 0
    }

    /// A frame without anything of the caller, and nothing of what is held is touched.
    pub fn made_up(&mut self) -> [i16; FRAME_SAMPLES] {
        let mut samples = [0; FRAME_SAMPLES];
        for grain in samples.as_chunks_mut::<GRAIN>().0 {
            self.conceal.replace(grain);
        }
        samples
    }

    /// What was heard before anything of this was sent ended here, so that it does not break off.
    pub fn goes_on_from(&mut self, last: i16) {
        self.conceal.goes_on_from(last);
    }

    /// A block has been heard; is the hop whole?
    fn completes_hop(&mut self) -> bool {
        self.fresh = false;
        self.half = !self.half;
        !self.half
    }

    fn judge(&mut self, sound: &Sound) -> Verdict {
        self.hold(false);
        let verdict = self.gate.hear(sound);
        if verdict.suspicious {
            self.mask_held();
            self.hang = self.hang.max(verdict.hang);
        }
        verdict
    }

    /// Holds a hop more. A frame that nobody took in time is lost.
    fn hold(&mut self, masked: bool) {
        if self.held >= self.hold.due() {
            self.oldest();
        }
        let masked = masked || self.hang > 0;
        self.hang = self.hang.saturating_sub(HOP_LENGTH);
        let grains = ((1 << (HOP / GRAIN)) - 1) << (self.held / GRAIN);
        self.masked = if masked { self.masked | grains } else { self.masked & !grains };
        self.held += HOP;
    }

    fn mask_held(&mut self) {
        self.masked = u32::MAX;
    }

    /// Lets go of the frame that is due; which of its grains are masked?
    fn oldest(&mut self) -> Option<u32> {
        self.held = self.held.checked_sub(FRAME_SAMPLES).filter(|held| *held >= self.hold.samples())?;
        let oldest = self.masked;
        self.masked >>= FRAME_SAMPLES / GRAIN;
        Some(oldest)
    }
}
