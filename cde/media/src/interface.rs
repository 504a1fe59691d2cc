//! What goes in and out of a session. Nothing that may hold a key has `Debug`.

use crate::FRAME_SAMPLES;
use crate::event::KeyEvent;
use crate::g711::Law;
use crate::natural::Hold;
use crate::opus;
use crate::rtcp::Compound;
use crate::rtp::Packet;
use crate::srtp::Keys;
use card::Key;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One of the two legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one who pays.
    Caller,
    /// The one who must not hear a digit.
    Agent,
}

/// The codec of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711; the static payload type is 0 for µ-law and 8 for A-law.
    G711(Law),
    /// G.722 at 64 kbit/s, static payload type 9. Its timestamps count 8 kHz (RFC 3551 section 4.5.2).
    G722,
    /// Opus, heard and spoken at 8 kHz. It has no static payload type, and its timestamps count 48 kHz (RFC 7587 section 4.1).
    Opus,
}

impl Codec {
    /// By how much its timestamps are faster than our samples.
    pub(crate) fn ticks_per_sample(self) -> u16 {
        match self {
            Self::G711(_) | Self::G722 => 1,
            Self::Opus => opus::TICKS_PER_SAMPLE,
        }
    }
}

/// How a line is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The caller is heard, 20 or 12 ms late, but for keys and what may be one.
    Natural,
    /// Nothing of the caller is heard.
    Strict,
}

/// What the witness has heard of a call: frames that were about to be sent to the agent while the line was masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witnessed {
    /// All of them.
    pub frames: u64,
    /// Those that sounded like a key. They were not sent.
    pub suspicious: u64,
    /// The largest part of a frame that the two tones of a key held, in thousandths.
    pub worst_permille: u16,
}

impl Witnessed {
    pub(crate) fn add(&mut self, heard: crate::witness::Heard) {
        self.frames += 1;
        self.suspicious += u64::from(heard.suspicious);
        self.worst_permille = self.worst_permille.max(crate::number::permille(heard.explained));
    }
}

/// What the call agreed on with the peer of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where packets go, and the only place they are taken from.
    pub address: SocketAddr,
    /// Where RTCP goes, and the only place it is taken from; the same as above if both share a port (RFC 5761).
    pub rtcp: SocketAddr,
    /// The codec, both ways.
    pub codec: Codec,
    /// The payload type of the codec, both ways.
    pub payload_type: u8,
    /// The payload type of telephone-event (RFC 4733), if it was agreed on.
    pub telephone_event: Option<u8>,
    /// The clock that telephone-event was agreed on with.
    pub event_clock: EventClock,
    /// The peer may send to us.
    pub sends: bool,
    /// We may send to the peer.
    pub receives: bool,
    /// It is behind a NAT: its packets come from this host alone, and the first of them tells from where exactly. Until then
    /// nothing is sent to it. None: it is where it says.
    pub learns_from: Option<IpAddr>,
}

impl Remote {
    /// A peer of G.711, as [`Remote::of`].
    pub fn g711(address: SocketAddr, law: Law) -> Self {
        Self::of(address, Codec::G711(law))
    }

    /// A peer of this codec under its static payload type (RFC 3551), Opus under 111, both ways and without telephone-event,
    /// and with one port for RTP and RTCP.
    pub fn of(address: SocketAddr, codec: Codec) -> Self {
        let payload_type = match codec {
            Codec::G711(Law::Mu) => 0,
            Codec::G711(Law::A) => 8,
            Codec::G722 => 9,
            Codec::Opus => 111,
        };
        let event_clock = EventClock { per_sample: codec.ticks_per_sample() };
        Self {
            address,
            rtcp: address,
            codec,
            payload_type,
            telephone_event: None,
            event_clock,
            sends: true,
            receives: true,
            learns_from: None,
        }
    }

    /// Were its events agreed on with the clock of its sound?
    pub(crate) fn counts_alike(&self) -> bool {
        self.event_clock.per_sample == self.codec.ticks_per_sample()
    }

    /// Can it be sent events among its sound? Phones that agree on events of 8 kHz beside Opus count durations so, and leave
    /// the stream's timestamps as they are.
    pub(crate) fn takes_events(&self) -> bool {
        self.counts_alike() || self.codec == Codec::Opus
    }

    /// The fastest clock that the timestamps of its events may have.
    pub(crate) fn clock_of_keys(&self) -> EventClock {
        EventClock { per_sample: self.event_clock.per_sample.max(self.codec.ticks_per_sample()) }
    }
}

/// The clock of a telephone-event payload type (RFC 4733 section 2.1): its timestamps and durations count so fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventClock {
    per_sample: u16,
}

impl Default for EventClock {
    /// 8 kHz, as our sound.
    fn default() -> Self {
        Self { per_sample: 1 }
    }
}

impl EventClock {
    /// 8, 16, 24, 32 or 48 kHz; none for any other.
    pub fn new(hertz: u32) -> Option<Self> {
        let per_sample = match hertz {
            8_000 => 1,
            16_000 => 2,
            24_000 => 3,
            32_000 => 4,
            48_000 => 6,
            _ => return None,
        };
        Some(Self { per_sample })
    }

    /// Ticks in a sample of 8 kHz.
    pub(crate) fn per_sample(self) -> u16 {
        self.per_sample
    }

    /// An event whose duration is in samples, as this clock tells it; of one that is longer than it can tell, as much as it can.
    pub(crate) fn told(self, event: KeyEvent) -> KeyEvent {
        KeyEvent { duration: event.duration.saturating_mul(self.per_sample), ..event }
    }
}

/// What a session is made with.
pub struct Config {
    /// From which SSRCs and first numbers are drawn. Must be unpredictable in production.
    pub seed: [u8; 32],
    /// Give [`Output::Recorded`] frames.
    pub record: bool,
    /// How long the caller is held under [`Policy::Natural`].
    pub hold: Hold,
}

/// What the call tells its media.
pub enum Command {
    /// The leg has this peer from now on, without protection. Repeating it changes nothing.
    Connect {
        /// Which leg.
        side: Side,
        /// Its peer.
        remote: Remote,
    },
    /// The leg has this peer, and its packets are protected both ways. Nothing leaves it in the clear, and nothing that is
    /// not authentic is heard. Repeating it changes nothing; so do a [`Command::Disconnect`] and the same keys again.
    ConnectProtected {
        /// Which leg.
        side: Side,
        /// Its peer.
        remote: Remote,
        /// The keys that were agreed on.
        keys: Box<Keys>,
    },
    /// The leg has no peer.
    Disconnect {
        /// Which leg.
        side: Side,
    },
    /// Mask the caller, at once. Answered by [`Event::Secured`].
    Secure {
        /// How. On a line that is masked strictly, natural waits for quiet.
        policy: Policy,
    },
    /// Mask otherwise from here on: strictly at once, naturally when every key has ended and it has been quiet for three
    /// seconds. An open line stays open.
    Mask {
        /// How.
        policy: Policy,
    },
    /// Open the line when the unmasking rule allows it. Answered by [`Event::Releasing`], then [`Event::Opened`].
    Release,
    /// The caller pressed a key by SIP INFO.
    InfoKey {
        /// The key's character.
        key: u8,
        /// How long it was pressed, if the INFO said so.
        duration_ms: Option<u32>,
    },
    /// Listen for this code among the agent's keys while the line is open, and to the digits behind it; an empty code: to all
    /// keys; none: to no key. From the code's first key on nothing of the agent passes to the caller.
    HearAgentKeys {
        /// Its characters, such as `*9`.
        code: Option<Box<[u8]>>,
    },
    /// Only keys in the sound are the caller's from here on: events and INFO of that leg are somebody else's, whose phone it comes
    /// from, and count for nothing.
    TonesAlone,
    /// From here on the caller is sent sound of our own, silence and these beeps, until somebody is on the agent's leg. What a
    /// [`Command::Cue`] before has still to say is not said.
    Cue {
        /// A long beep comes first.
        long: bool,
        /// And so many short ones, nine at most.
        short: u8,
    },
    /// As [`Command::Cue`], and what is heard is one long low tone: the time for keys is over.
    CueStop,
    /// Copy what this leg is sent from here on, sound alone, to a recorder; again: to another place.
    Copy {
        /// Which leg's.
        side: Side,
        /// The recorder. Only sound of its codec is copied.
        remote: Remote,
        /// If the copies are protected.
        keys: Option<Box<Keys>>,
        /// From which SSRCs and first numbers of the first copies are drawn. Must be unpredictable in production.
        seed: [u8; 32],
    },
    /// Copy nothing any more.
    StopCopies,
    /// The call is over: both peers are told so by RTCP. Nothing comes after it.
    End,
}

/// What a session gives.
pub enum Output {
    /// A packet to send.
    Send {
        /// The leg it leaves by.
        side: Side,
        /// The peer's address.
        to: SocketAddr,
        /// The packet.
        packet: Packet,
    },
    /// RTCP to send.
    Control {
        /// The leg it leaves by.
        side: Side,
        /// The peer's address for RTCP.
        to: SocketAddr,
        /// It leaves by the leg's port for RTP, and not by the one above.
        muxed: bool,
        /// The packet.
        packet: Compound,
    },
    /// A copy of a packet that this leg is sent, for the recorder.
    Copy {
        /// Which leg's.
        side: Side,
        /// The recorder's address for it.
        to: SocketAddr,
        /// The packet.
        packet: Packet,
    },
    /// RTCP of the copies of this leg.
    CopyControl {
        /// Which leg's.
        side: Side,
        /// The recorder's address for it.
        to: SocketAddr,
        /// It leaves by the port of the copies, and not by the one above.
        muxed: bool,
        /// The packet.
        packet: Compound,
    },
    /// News for the call.
    Event(Event),
    /// 20 ms of the call as the agent had it.
    Recorded(RecordFrame),
}

/// News for the call.
pub enum Event {
    /// The mask stands: generated sound has gone out since [`Command::Secure`].
    Secured,
    /// How the line is masked from here on. Before [`Event::Secured`], and when it changes.
    Masking {
        /// How.
        policy: Policy,
    },
    /// Still masked; the unmasking rule is waiting for quiet.
    Releasing,
    /// The line is open.
    Opened,
    /// The caller pressed a key. Only while masked.
    Key(Key),
    /// A key may have been lost on its way. Only while masked.
    KeyLost,
    /// The mask has been working for another half second, and the witness has heard all that was sent.
    Proof {
        /// All that the witness has heard of this call so far.
        witnessed: Witnessed,
    },
    /// The caller has pressed six keys in a row on an open line, where the agent hears them.
    KeysOnOpenLine,
    /// The agent has pressed the code of [`Command::HearAgentKeys`].
    AgentCode,
    /// And this behind it.
    AgentDigit(Key),
    /// And nothing more: `#`, or a pause.
    AgentDigitsEnd,
    /// What was about to go to the agent looked like a key. The agent leg is mute until the next
    /// [`Command::Secure`], or until the line is opened.
    LeakSuspected,
}

/// 20 ms at 8 kHz, 16-bit linear.
pub struct RecordFrame {
    /// What was sent to the agent.
    pub heard: [i16; FRAME_SAMPLES],
    /// What the agent sent.
    pub said: [i16; FRAME_SAMPLES],
}

/// Counters of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The caller's leg.
    pub caller: LegStats,
    /// The agent's leg.
    pub agent: LegStats,
    /// Frames that were generated for the agent leg.
    pub generated: u64,
    /// Frames that a stalled driver made impossible to generate in time.
    pub skipped: u64,
    /// Frames of the present mask in which anything of the caller was replaced.
    pub masked_frames: u64,
    /// Frames of it in which the caller's sound was crossed with another on its way back.
    pub filtered_frames: u64,
    /// What the witness has heard.
    pub witnessed: Witnessed,
    /// What goes out and comes in on the caller's leg.
    pub caller_flow: Flow,
    /// And on the agent's.
    pub agent_flow: Flow,
    /// By which ways the caller's keys have come.
    pub key_ways: KeyWays,
}

/// The streams of a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Packets sent to its peer.
    pub sent: u32,
    /// Interarrival jitter of what the peer sends, in samples of 8 kHz; none while it has sent nothing.
    pub jitter: Option<u32>,
}

/// Ways in which keys come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyWays {
    /// RFC 4733 events.
    pub events: bool,
    /// SIP INFO.
    pub infos: bool,
    /// Tones in the sound, where they came by none of those.
    pub tones: bool,
}

/// Counters of packets that a leg got, and what became of them. A call must be small, and 2^32 packets are years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegStats {
    /// From the right address and SSRC, well formed and of a known payload type.
    pub accepted: u32,
    /// Sent on to the other leg.
    pub relayed: u32,
    /// Not from the peer's address for RTP or RTCP, or RTP of a peer that may not send.
    pub refused_source: u32,
    /// From the peer's address, of another SSRC than its first.
    pub refused_ssrc: u32,
    /// Not authentic, or taken before, on a leg that is protected.
    pub refused_srtp: u32,
    /// Neither RTP nor RTCP, or a payload of impossible length.
    pub malformed: u32,
    /// RTCP that was read.
    pub rtcp: u32,
    /// That of it in which the peer left. Only the call says when it is over.
    pub byes: u32,
    /// Of a payload type that was not agreed on.
    pub unknown_payload: u32,
    /// The same sequence number again.
    pub duplicate: u32,
    /// Stopped because it is of a time when the line was masked.
    pub late: u32,
    /// Sequence numbers that never came when they were due.
    pub lost: u32,
    /// What the peer has reported last of what it was sent.
    pub reported: Option<PeerReport>,
}

/// How a stream of ours arrives, as its receiver says (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerReport {
    /// Lost of what was sent since the report before, in 256ths.
    pub fraction_lost: u8,
    /// Lost of all that was sent, less what came twice.
    pub lost: i32,
    /// Interarrival jitter in samples of 8 kHz.
    pub jitter: u32,
    /// From us to the peer and back; none until the peer has had a report of ours.
    pub round_trip: Option<Duration>,
}
