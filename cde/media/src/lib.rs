//! The sound of one call: two legs of RTP, the mask between them, and the keys that the caller presses.
//!
//! A [`Session`] takes packets and commands with the time they came, and gives packets, events and recorded frames. It
//! holds no socket and no clock: drive it by `handle_*(now, ..)`, then [`Session::poll_output`] until `None`, then wait
//! for [`Session::poll_timeout`] or the next input.
//!
//! # Invariants
//! - From [`Command::Secure`] until [`Event::Opened`] no packet of the caller reaches the agent leg. Under
//!   [`Policy::Strict`] what it carries is made here of sound that was sent before and of the time that went by, and when
//!   it ends hangs on no key that came before that was asked for. Under [`Policy::Natural`] a sample passes only after
//!   every window that a key could have filled by then was judged; all others are replaced by what strict would have put
//!   there, and a beep for each key.
//! - [`Event::Secured`] and [`Event::Proof`] come out of the path that puts out those frames, after the witness has heard
//!   them. A path that stands still gives no proof, and none that has sent what the witness did not hear.
//! - Nothing but the unmasking rule opens a line, and the rule looks only at the caller's packets.
//! - A leg is heard only from its own address and of one SSRC at a time: its first, or one that has followed it after a silence,
//!   with a key reported as lost while the line is masked. Everything else is counted and forgotten.
//! - RTCP is each leg's own: no report, name or clock goes across, and none of it opens, paces or masks anything.
//! - On a protected leg nothing is known of a packet before it is authentic, and none leaves in the clear. What the witness
//!   hears and what is recorded is what is encrypted then.
//! - Both outgoing streams are ours from the first packet to the last: SSRC, sequence and timestamps never start anew.
//! - A packet of the caller that was coded by anybody but us reaches the agent on an open line only: what passes a mask was
//!   decoded, and coded again. The size of a packet of ours hangs on its duration alone.
//! - The recording is made of what the agent was sent, after the mask. What a recorder is sent is a copy of what the legs are
//!   sent, made as it leaves.
//! - Arbitrary bytes never panic, and nothing that may hold a digit can be printed.
//!
//! # Layout
//! | module | what |
//! |---|---|
//! | `session` | the machine: commands, packets, ticks; `session/` has its parts |
//! | `leg` | what comes in: address and SSRC lock, sequence |
//! | `successor` | another SSRC in the place of the locked one, and the locked one back |
//! | `stream` | what goes out: our own numbering, continuous over every change |
//! | `coding` | how a direction of a leg is coded, and the state of it |
//! | `ticks` | timestamps of Opus, as those of our sound |
//! | `reports`, `reception` | RTCP of a leg: when it is due, what it says, and what it may not say to an agent |
//! | [`srtp`] | protection of a leg: the first thing that is done with what comes, the last with what goes |
//! | `mask`, `beeps` | a masked line: policy, pace, proofs; a beep a key on a grid, or the strict mask's pulse |
//! | [`natural`], `conceal` | the caller's voice, held, and what is heard in the place of masked sound |
//! | [`sound`], `bins`, `waves` | the caller's newest sound, kept once, and its correlations by table |
//! | [`gate`] | may this be heard? A net and a hard rule |
//! | `quiet` | the clock of the unmasking rule |
//! | `keys`, `pairing` | RFC 4733 events to key presses; the same press by INFO, by event and as a tone |
//! | [`detector`], `inband` | keys in the caller's sound: proof, and what is waited for |
//! | [`witness`] | a second pair of ears, for what the agent was sent |
//! | `agenttones` | key tones of the agent: stripped on the way to the caller, known when they come back |
//! | `agentkeys` | the agent's keys on an open line: a code and the digits behind it, withheld from the caller |
//! | `cues` | beeps for a caller who pays alone |
//! | `openline` | keys in a row on an open line |
//! | `stages` | lets a test put a stage of the mask out of action |
//! | `recorder` | frames of what was heard and said |
//! | `fork` | copies of what the legs are sent, for a recorder elsewhere |
//! | [`rtp`], [`rtcp`], [`event`], [`g711`], [`g722`], [`opus`], [`wav`], [`dtmf`], [`tone`] | formats and tools, for softphones and tests too |

#[cfg(all(feature = "masking-off-control", not(debug_assertions)))]
compile_error!("masking-off-control is for debug builds only");

mod agentkeys;
mod agenttones;
mod beeps;
mod bins;
mod coding;
mod conceal;
mod cues;
pub mod detector;
pub mod dtmf;
pub mod event;
mod fork;
pub mod g711;
pub mod g722;
pub mod gate;
mod inband;
mod interface;
mod keys;
mod leg;
mod mask;
pub mod natural;
mod number;
mod openline;
pub mod opus;
mod outputs;
mod pairing;
mod place;
mod quiet;
mod reception;
mod recorder;
mod reports;
pub mod rtcp;
pub mod rtp;
mod session;
pub mod sound;
pub mod srtp;
mod stages;
mod stream;
mod successor;
mod ticks;
pub mod tone;
pub mod wav;
mod waves;
pub mod witness;

pub use agentkeys::{AgentKey, CodeWatch};
pub use interface::{
    Codec, Command, Config, Event, EventClock, Flow, KeyWays, LegStats, Output, PeerReport, Policy, RecordFrame,
    Remote, Side, Stats, Witnessed,
};
pub use natural::Hold;
pub use outputs::Room;
pub use rtp::Packet;
pub use session::Session;

/// Samples of the 20 ms frames that are generated and recorded.
pub const FRAME_SAMPLES: usize = 160;

/// True in the one build whose mask does nothing: the control of the leak checks.
pub const fn masking_disabled() -> bool {
    !masking_enabled()
}

/// The only place that knows the control feature.
const fn masking_enabled() -> bool {
    !cfg!(feature = "masking-off-control")
}
