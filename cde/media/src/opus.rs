//! Opus (RFC 6716, RFC 7587) as sound of one channel at 8 kHz, like all that is heard and masked here.
//!
//! The library codes; how long a packet is, and how packets of other lengths than the codec's own are put together, stands
//! here. What we send is constant in size for its duration: a size that followed the sound would tell of it (RFC 7587
//! section 8), and a key could be read off an encrypted leg.

use crate::FRAME_SAMPLES;
use crate::ticks::Ticks;
use ::opus::{Application, Bitrate, Channels};

/// Bits per second that we send, and ask for: at 8 kHz more is not heard.
pub const BITRATE: u16 = 32_000;
/// Its RTP clock runs six times as fast as our samples (RFC 7587 section 4.1).
pub const TICKS_PER_SAMPLE: u16 = 6;
const RATE: u32 = 8000;
/// Samples in 2.5 ms, the shortest frame, and in 120 ms, the longest packet (RFC 6716 section 3.2).
const SAMPLES_MIN: usize = 20;
const SAMPLES_MAX: usize = 960;
/// Of the library's scale to ten. At five it takes twice as long, and in narrow band nothing is won.
const COMPLEXITY: i32 = 1;
/// The longest frame that we code, and its bytes without the first one.
const FRAME_BYTES_MAX: usize = bytes(FRAME_SAMPLES);

/// Bytes of a frame of so many samples, with the one that says what it is.
const fn bytes(samples: usize) -> usize {
    samples * 4 / 8
}
const _: () = assert!(bytes(8000) * 8 == 32_000, "of a second, the bit rate");

/// Samples of 8 kHz in a packet; none if it is no packet of Opus (RFC 6716 section 3.1).
pub fn samples(packet: &[u8]) -> Option<usize> {
    let (frame, count) = frames(packet)?;
    Some(frame * count).filter(|samples| (1..=SAMPLES_MAX).contains(samples))
}

/// Samples of a frame, and frames.
fn frames(packet: &[u8]) -> Option<(usize, usize)> {
    let (first, rest) = packet.split_first()?;
    let (config, code) = (first >> 3, first & 3);
    let shortest_by = match config {
        // The linear prediction's: 10, 20, 40 or 60 ms; both together: 10 or 20; the transform's: 2.5, 5, 10 or 20.
        0..=11 => [4, 8, 16, 24].get(usize::from(config & 3)),
        12..=15 => [4, 8].get(usize::from(config & 1)),
        _ => [1, 2, 4, 8].get(usize::from(config & 3)),
    };
    let count = match code {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(rest.first()? & 0x3f),
    };
    Some((SAMPLES_MIN * shortest_by?, count))
}

/// Is there any sound in it? A sender that leaves out silence sends frames of a byte or none.
fn is_empty(packet: &[u8]) -> bool {
    frames(packet).is_none_or(|(_, count)| packet.len() <= count + 1 + usize::from(count > 2))
}

/// Decodes one stream.
pub struct Decoder(::opus::Decoder);

impl Decoder {
    /// At the beginning of a stream; none without the memory.
    pub fn new() -> Option<Self> {
        ::opus::Decoder::new(RATE, Channels::Mono).ok().map(Self)
    }

    /// The samples of a packet, and how many they are: silence for one that holds none, or that cannot be decoded. Nothing is
    /// made up for packets that are missing: what has gone before goes on in nothing.
    pub fn decode(&mut self, packet: &[u8], sound: &mut [i16]) -> usize {
        let Some(sound) = samples(packet).and_then(|length| sound.get_mut(..length)) else { return 0 };
        let decoded = if is_empty(packet) { None } else { self.0.decode(packet, sound, false).ok() };
        if decoded != Some(sound.len()) {
            sound.fill(0);
        }
        sound.len()
    }

    /// Another stream begins.
    pub fn start_anew(&mut self) {
        // It cannot fail: the library has no such way.
        let _ = self.0.reset_state();
    }
}

/// Codes one stream.
pub struct Encoder(::opus::Encoder);

impl Encoder {
    /// At the beginning of a stream; none without the memory.
    pub fn new() -> Option<Self> {
        // By transform alone: it looks 2.5 ms ahead, and what it keeps of the past is soon gone.
        let mut encoder = ::opus::Encoder::new(RATE, Channels::Mono, Application::LowDelay).ok()?;
        encoder.set_vbr(false).ok()?;
        encoder.set_dtx(false).ok()?;
        encoder.set_inband_fec(false).ok()?;
        encoder.set_bitrate(Bitrate::Bits(BITRATE.into())).ok()?;
        encoder.set_complexity(COMPLEXITY).ok()?;
        Some(Self(encoder))
    }

    /// A packet of these samples, of so many bytes, which depend on nothing but their number; none if no packet [`takes`]
    /// so many.
    pub fn encode(&mut self, sound: &[i16], packet: &mut [u8]) -> Option<usize> {
        let frame = frame_of(sound.len())?;
        let count = sound.len() / frame;
        // Of one frame the first byte stands before it; of more, they are told once for all (RFC 6716 section 3.2).
        let head = if count > 2 { 2 } else { 1 };
        let length = head + count * (bytes(frame) - 1);
        let (heading, mut room) = packet.get_mut(..length)?.split_at_mut(head);
        for samples in sound.chunks_exact(frame) {
            let mut coded = [0; FRAME_BYTES_MAX];
            let coded = coded.get_mut(..bytes(frame))?;
            if self.0.encode(samples, coded).ok()? != coded.len() {
                return None;
            }
            let (first, codes) = coded.split_first()?;
            let code = if count > 2 { 3 } else { u8::try_from(count - 1).ok()? };
            *heading.first_mut()? = first | code;
            let (place, rest) = room.split_at_mut_checked(codes.len())?;
            place.copy_from_slice(codes);
            room = rest;
        }
        if let [_, frames] = heading {
            *frames = u8::try_from(count).ok()?;
        }
        Some(length)
    }

    /// What it holds back is gone, and what comes is coded as the beginning of a stream.
    pub fn start_anew(&mut self) {
        // It cannot fail: the library has no such way.
        let _ = self.0.reset_state();
    }
}

/// Can so many samples be coded as a packet?
pub fn takes(samples: usize) -> bool {
    frame_of(samples).is_some()
}

/// The frames by which so many samples are coded, the longest that fit.
fn frame_of(samples: usize) -> Option<usize> {
    let fits = |frame: &usize| samples.is_multiple_of(*frame);
    [FRAME_SAMPLES, 80, 40].into_iter().find(fits).filter(|_| (1..=SAMPLES_MAX).contains(&samples))
}

/// One way of a leg: whichever end of it we are is made when it is first used, as each is some ten thousand bytes.
#[derive(Default)]
pub(crate) struct Way {
    pub(crate) ticks: Ticks,
    encoder: Option<Encoder>,
    decoder: Option<Decoder>,
}

impl Way {
    pub(crate) fn decode(&mut self, packet: &[u8], sound: &mut [i16]) -> usize {
        if self.decoder.is_none() {
            self.decoder = Decoder::new();
        }
        self.decoder.as_mut().map_or(0, |decoder| decoder.decode(packet, sound))
    }

    pub(crate) fn encode(&mut self, sound: &[i16], packet: &mut [u8]) -> Option<usize> {
        if self.encoder.is_none() {
            self.encoder = Encoder::new();
        }
        self.encoder.as_mut()?.encode(sound, packet)
    }

    pub(crate) fn start_anew(&mut self) {
        self.encoder.iter_mut().for_each(Encoder::start_anew);
        self.decoder.iter_mut().for_each(Decoder::start_anew);
    }
}
