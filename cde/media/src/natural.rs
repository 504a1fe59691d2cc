//! The `natural` mask: the caller's voice goes through, 20 ms late, and what may be a key does not.
//!
//! Samples are held until the [`gate`](crate::gate) has judged everything that a key could have begun in. Masked ones are
//! replaced by what `conceal` makes of sound that was sent before: nothing of them is used, so what the
//! agent hears in their place tells when something was masked and nothing else.

use crate::FRAME_SAMPLES;
use crate::conceal::Conceal;
use crate::gate::features::HOP;
use crate::gate::{Gate, Verdict};
use crate::stages::{Stage, works};

/// Samples that are held: 20 ms.
pub const HOLD: usize = 160;
/// Sound is masked in pieces of so many samples.
pub const GRAIN: usize = 16;
/// Held, a frame that is due, and the hop that made it so.
const ROOM: usize = HOLD + FRAME_SAMPLES + HOP;
/// After a gap nothing passes until a long window has been filled anew.
const AFTER_GAP: u32 = 160;
const HOP_LENGTH: u32 = 80;

/// Every grain of a frame.
const ALL: u16 = (1 << (FRAME_SAMPLES / GRAIN)) - 1;

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

/// What came of hearing.
pub struct Step {
    /// So many samples were taken; the others must be given again.
    pub taken: usize,
    /// A decision, where one was due. A frame may be due after it.
    pub verdict: Option<Verdict>,
}

/// One caller's voice on its way to the agent.
pub struct Natural {
    gate: Gate,
    conceal: Conceal,
    held: [i16; ROOM],
    length: usize,
    /// By grain, the oldest one in the lowest bit.
    masked: u64,
    /// Samples to come that are masked whatever they are.
    hang: u32,
    hop: [i16; HOP],
    filled: usize,
}

impl Default for Natural {
    fn default() -> Self {
        Self::new(Gate::new())
    }
}

impl Natural {
    /// Nothing has been heard and nothing sent: the first samples to come out are masked ones.
    pub fn new(gate: Gate) -> Self {
        let mut natural = Self {
            gate,
            conceal: Conceal::new(),
            held: [0; ROOM],
            length: 0,
            masked: 0,
            hang: 0,
            hop: [0; HOP],
            filled: 0,
        };
        natural.begin();
        natural
    }

    /// Takes sound of the caller up to the next decision.
    pub fn hear(&mut self, samples: &[i16]) -> Step {
        let (taken, full) = self.fill(samples);
        let verdict = full.then(|| self.judge());
        Step { taken, verdict }
    }

    /// The same for the time in which everything is masked: nothing is held, and no frame comes of it.
    pub fn listen(&mut self, samples: &[i16]) -> Step {
        let (taken, full) = self.fill(samples);
        let verdict = full.then(|| {
            self.hang = self.hang.saturating_sub(HOP_LENGTH);
            self.gate.hear(&self.hop)
        });
        Step { taken, verdict }
    }

    /// Sound is missing: in its place come [`HOP`] samples that are masked, as nothing passes that stands around them.
    pub fn miss_a_hop(&mut self) {
        self.start_anew();
        self.append(&[0; HOP], true);
    }

    /// The sound begins anew, of another stream: nothing that is held passes, nor the first of what comes.
    pub fn start_anew(&mut self) {
        self.gate.start_anew();
        self.filled = 0;
        self.mask_held();
        self.hang = self.hang.max(AFTER_GAP);
    }

    /// The oldest frame, as soon as everything behind it is held.
    pub fn frame(&mut self) -> Option<Frame> {
        let (mut samples, masked) = self.oldest()?;
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

    /// Forgets all sound that is held; what is masked for a known key stays so.
    pub fn begin(&mut self) {
        self.length = 0;
        self.append(&[0; HOP], true);
        self.append(&[0; HOP], true);
        self.start_anew();
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
        let held = (1_u64 << (self.length / GRAIN)) - 1;
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

    /// Takes what the hop has room for; says how much that was, and whether it is full.
    fn fill(&mut self, samples: &[i16]) -> (usize, bool) {
        let room = self.hop.get_mut(self.filled..).unwrap_or_default();
        let taken = room.len().min(samples.len());
        room.iter_mut().zip(samples).for_each(|(to, from)| *to = *from);
        self.filled = (self.filled + taken) % HOP;
        (taken, taken > 0 && self.filled == 0)
    }

    fn judge(&mut self) -> Verdict {
        let hop = self.hop;
        self.append(&hop, false);
        let verdict = self.gate.hear(&hop);
        if verdict.suspicious {
            self.mask_held();
            self.hang = self.hang.max(verdict.hang);
        }
        verdict
    }

    fn append(&mut self, hop: &[i16; HOP], masked: bool) {
        let masked = masked || self.hang > 0;
        self.hang = self.hang.saturating_sub(HOP_LENGTH);
        if let Some(room) = self.held.get_mut(self.length..self.length + HOP) {
            room.copy_from_slice(hop);
        }
        let grains = ((1 << (HOP / GRAIN)) - 1) << (self.length / GRAIN);
        self.masked = if masked { self.masked | grains } else { self.masked & !grains };
        self.length += HOP;
    }

    fn mask_held(&mut self) {
        self.masked = u64::MAX;
    }

    fn oldest(&mut self) -> Option<([i16; FRAME_SAMPLES], u64)> {
        if self.length < HOLD + FRAME_SAMPLES {
            return None;
        }
        let oldest = (*self.held.first_chunk()?, self.masked);
        self.held.copy_within(FRAME_SAMPLES..self.length, 0);
        self.length -= FRAME_SAMPLES;
        self.masked >>= FRAME_SAMPLES / GRAIN;
        Some(oldest)
    }
}
