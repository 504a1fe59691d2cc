//! Do keys come through? The same presses, as tones and as events, on every relay; our decoder listens to the agent.

use super::clock;
use super::generator::Pair;
use crate::dice::Dice;
use crate::keys::Press;
use crate::level::samples;
use anyhow::Context;
use media::Packet;
use media::event::KeyEvent;
use media::g711::{self, Law};
use media::rtp::{self, Header};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

const FRAME: usize = 160;
/// Presses of a call, and from the start of one to the next: 300 ms.
const PRESSES: usize = 32;
const STEP: usize = 2400;
/// Before the first: the mask of either side stands.
const LEAD: usize = 8000;

/// What the agents of all calls got.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leaks {
    pub(super) tones_sent: usize,
    pub(super) tones_heard: usize,
    pub(super) events_sent: usize,
    pub(super) events_heard: usize,
}

/// One caller: every second press is a tone in the sound, the others are events.
struct Caller {
    sound: Vec<i16>,
    /// Of each frame, the event that goes in its place.
    events: Vec<Option<(KeyEvent, u32)>>,
}

impl Caller {
    fn new(dice: &mut Dice) -> Self {
        let length = LEAD + PRESSES * STEP + LEAD;
        let mut sound: Vec<f64> = (0..length).map(|_| 4.0 * dice.normal()).collect();
        let mut events = Vec::new();
        events.resize_with(length / FRAME, || None);
        for press in 0..PRESSES {
            let at = LEAD + press * STEP + dice.pick(FRAME);
            if press % 2 == 0 {
                Press::any(dice, [-20.0, -4.0], [-4.0, 4.0], [60.0, 150.0]).add(dice, &mut sound, at);
            } else {
                put_event(&mut events, dice.pick(10) as u8, at / FRAME);
            }
        }
        Self { sound: samples(&sound), events }
    }
}

/// Five frames, the last of which is the end.
fn put_event(events: &mut [Option<(KeyEvent, u32)>], code: u8, first: usize) {
    for frame in 0..5 {
        let duration = ((frame + 1) * FRAME) as u16;
        let event = KeyEvent { code, end: frame == 4, volume: 10, duration };
        events[first + frame] = Some((event, (first * FRAME) as u32));
    }
}

/// Plays the callers in real time, and listens.
pub(super) fn count(pairs: &[Pair], seed: u64) -> anyhow::Result<Leaks> {
    let mut dice = Dice::new(seed);
    let callers: Vec<Caller> = pairs.iter().map(|_| Caller::new(&mut dice)).collect();
    let [to_relay, agents] = [0, 1].map(|side| socket(pairs[0].remote[side]));
    let (to_relay, agents) = (to_relay?, agents?);
    let mut heard: Vec<Heard> = pairs.iter().map(|_| Heard::default()).collect();
    let begin = clock::ns();
    for frame in 0..callers[0].events.len() {
        for (call, (caller, pair)) in callers.iter().zip(pairs).enumerate() {
            to_relay.send_to(&caller.packet(call, frame)?, (Ipv4Addr::LOCALHOST, pair.relay[0]))?;
            let silence = packet(1000 + call as u32, frame, 0, false, &[0xff; FRAME], (frame * FRAME) as u32)?;
            agents.send_to(&silence, (Ipv4Addr::LOCALHOST, pair.relay[1]))?;
        }
        while clock::ns() < begin + (frame as u64 + 1) * 20_000_000 {
            listen(&agents, pairs, &mut heard);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let half = pairs.len() * PRESSES / 2;
    Ok(Leaks {
        tones_sent: half,
        tones_heard: heard.iter().map(|heard| media::tone::decode(&heard.sound).len()).sum(),
        events_sent: half,
        events_heard: heard.iter().map(|heard| heard.events.len()).sum(),
    })
}

/// What an agent got.
#[derive(Default)]
struct Heard {
    sound: Vec<i16>,
    /// Their timestamps: each once.
    events: std::collections::BTreeSet<u32>,
}

fn listen(agents: &UdpSocket, pairs: &[Pair], heard: &mut [Heard]) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = agents.recv_from(&mut buffer) {
        let Some(call) = pairs.iter().position(|pair| pair.relay[1] == from.port()) else { continue };
        let Ok(packet) = rtp::parse(&buffer[..length]) else { continue };
        if packet.header.payload_type == 101 {
            heard[call].events.insert(packet.header.timestamp);
        } else {
            heard[call].sound.extend(packet.payload.iter().map(|code| g711::decode(Law::Mu, *code)));
        }
    }
}

impl Caller {
    fn packet(&self, call: usize, frame: usize) -> anyhow::Result<Vec<u8>> {
        let ssrc = 1 + call as u32;
        if let Some((event, timestamp)) = self.events[frame] {
            let first = usize::from(event.duration) == FRAME;
            return packet(ssrc, frame, 101, first, &event.bytes(), timestamp);
        }
        let sound = &self.sound[frame * FRAME..(frame + 1) * FRAME];
        let codes: Vec<u8> = sound.iter().map(|sample| g711::encode(Law::Mu, *sample)).collect();
        packet(ssrc, frame, 0, frame == 0, &codes, (frame * FRAME) as u32)
    }
}

fn packet(
    ssrc: u32,
    number: usize,
    payload_type: u8,
    marker: bool,
    payload: &[u8],
    timestamp: u32,
) -> anyhow::Result<Vec<u8>> {
    let header = Header { payload_type, marker, sequence: number as u16, timestamp, ssrc };
    Ok(Packet::new(&header, payload).context("a payload that is too long")?.as_bytes().to_vec())
}

fn socket(port: u16) -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
