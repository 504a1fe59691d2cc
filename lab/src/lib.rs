//! What `serve` never loads: the sandbox acquirer and the softphones of the demo, the self-test and the simulation.
//!
//! # Invariants
//! - Only published test cards are known here.
//! - Nothing of the cde or the office uses this crate.
//!
//! # Layout
//! - [`acquirer`]: the sandbox acquirer, its bank as a pure machine and (feature `shell`) its HTTP server.
//! - [`decode`]: keys out of files of sound. [`listen`]: what every listener makes of a leg.
//! - [`phone`]: a softphone without sockets. `line`: the same with sockets. `desk`: an agent without a browser.
//! - `web_phone`: a telephone in a web page, for a person.

pub mod acquirer;
pub mod decode;
#[cfg(feature = "shell")]
pub mod desk;
#[cfg(feature = "shell")]
pub mod line;
pub mod listen;
pub mod mask;
pub mod phone;
#[cfg(feature = "shell")]
pub mod web_phone;

/// Every digit that our detector reads in what the agent heard, from a recording (its left channel).
pub fn digits_in_recording(wav: &[u8]) -> Option<String> {
    let sound = media::wav::parse(wav).ok()?;
    sound.channels.first().map(|heard| media::tone::decode(heard))
}
