//! Real-time RTP: every call's two legs, 50 packets a second each, and what becomes of them.
//!
//! One thread sends and receives without ever sleeping. Each leg has its phase by chance. The first two samples of a
//! packet tell which one it is, in codes that G.711 carries through: so the delay is known packet by packet. It ends when the kernel
//! puts the packet into the peer's socket (`SO_TIMESTAMPNS`): how soon this thread then reads it is none of the relay's doing.

use super::clock;
use super::process::{Usage, drops};
use crate::dice::Dice;
use anyhow::Context;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Of a packet.
const PERIOD_NS: u64 = 20_000_000;
const PAYLOAD: usize = 160;
const HEADER: usize = 12;
/// Packets that are read from one socket before the others get their turn.
const TURN: usize = 32;
/// Packets that are sent at once: one who is late must not make a burst of what came one by one.
const AT_ONCE: usize = 4;
/// Packets back for which the time of sending is known: 1.28 s.
const KNOWN: u64 = 64;
/// A packet's number, as far as it is told: 12 bits.
const NUMBERS: u64 = 4096;
/// Turns of an empty loop when there is nothing to do: about a microsecond.
const SPINS: usize = 20;
/// Before anything counts.
const WARM_NS: u64 = 2_000_000_000;
/// Width of a step of a [`Histogram`], and steps: up to a second.
const STEP_NS: u64 = 2_000;
const STEPS: usize = 500_000;

/// The ports of a call, as `tonewall lab relay` writes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) relay: [u16; 2],
    pub(super) remote: [u16; 2],
}

/// Durations, counted.
#[derive(Clone)]
pub(super) struct Histogram {
    steps: Vec<u32>,
    count: u64,
    max_ns: u64,
}

impl Histogram {
    fn new() -> Self {
        Self { steps: vec![0; STEPS], count: 0, max_ns: 0 }
    }

    fn add(&mut self, ns: u64) {
        self.steps[((ns / STEP_NS) as usize).min(STEPS - 1)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// In µs; 0 if nothing was counted.
    pub(super) fn quantile(&self, part: f64) -> f64 {
        let wanted = (self.count as f64 * part) as u64;
        let mut seen = 0;
        let step = self.steps.iter().position(|count| {
            seen += u64::from(*count);
            seen > wanted
        });
        step.map_or(self.max(), |step| ((step as u64 + 1) * STEP_NS) as f64 / 1000.0)
    }

    /// In µs.
    pub(super) fn max(&self) -> f64 {
        self.max_ns as f64 / 1000.0
    }
}

/// What one leg was sent by the relay.
#[derive(Clone)]
pub(super) struct Direction {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) delay: Histogram,
}

impl Direction {
    fn new() -> Self {
        Self { sent: 0, received: 0, delay: Histogram::new() }
    }

    pub(super) fn loss(&self) -> f64 {
        (1.0 - self.received as f64 / self.sent.max(1) as f64).max(0.0)
    }

    /// What is generated tells nothing of when something was sent.
    pub(super) fn tells_delay(&self) -> bool {
        self.delay.count * 10 >= self.received * 9
    }
}

/// What came of it.
#[derive(Clone)]
pub(super) struct Measured {
    pub(super) to_caller: Direction,
    pub(super) to_agent: Direction,
    /// How late the generator was.
    pub(super) lag: Histogram,
    /// Packets that did not fit into the generator's own sockets.
    pub(super) own_drops: u64,
    pub(super) usage: Usage,
}

impl Measured {
    /// A generator that is late, or does not take what it is sent, measures itself.
    pub(super) fn is_void(&self) -> bool {
        self.own_drops > 0 || self.lag.quantile(0.99) > 500.0
    }

    /// Was all sent that should have been? Late it may have been: bursts are no easier.
    pub(super) fn is_offered(&self, calls: usize, seconds: u64) -> bool {
        let sent = (self.to_caller.sent + self.to_agent.sent) as f64;
        self.own_drops == 0 && sent > 0.995 * (calls as u64 * 2 * seconds) as f64 * 1e9 / PERIOD_NS as f64
    }

    pub(super) fn loss(&self) -> f64 {
        self.to_caller.loss().max(self.to_agent.loss())
    }

    pub(super) fn us_per_packet(&self) -> f64 {
        self.usage.cpu_seconds * 1e6 / (self.to_caller.received + self.to_agent.received).max(1) as f64
    }
}

struct Flow {
    socket: usize,
    to: SocketAddr,
    phase_ns: u64,
    start: usize,
}

/// Drives the calls for so long.
pub(super) fn drive(pairs: &[Pair], sound: &[u8], seconds: u64, pid: u32) -> anyhow::Result<Measured> {
    let mut load = Load::new(pairs, sound)?;
    let end = load.begin_ns + WARM_NS + seconds * 1_000_000_000;
    load.run_until(load.begin_ns + WARM_NS);
    (load.to, load.lag) = ([Direction::new(), Direction::new()], Histogram::new());
    let (before, drops_before) = (Usage::read(pid)?, drops(&load.ports)?);
    load.run_until(end);
    let usage = Usage::read(pid)?.since(&before);
    let own_drops = drops(&load.ports)? - drops_before;
    let [to_caller, to_agent] = load.to;
    Ok(Measured { to_caller, to_agent, lag: load.lag, own_drops, usage })
}

struct Load<'a> {
    sockets: Vec<UdpSocket>,
    ports: Vec<u16>,
    flows: Vec<Flow>,
    /// Flows in the order of their phases.
    order: Vec<usize>,
    /// By the relay's port: the flow that it sends on, and the leg that gets it.
    by_port: Vec<Option<(usize, usize)>>,
    sound: &'a [u8],
    begin_ns: u64,
    next: u64,
    sent_ns: Vec<u64>,
    to: [Direction; 2],
    lag: Histogram,
}

impl<'a> Load<'a> {
    fn new(pairs: &[Pair], sound: &'a [u8]) -> anyhow::Result<Self> {
        let mut dice = Dice::new(1);
        let (mut sockets, mut ports, mut known) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (mut flows, mut by_port) = (Vec::new(), vec![None; 65_536]);
        for pair in pairs {
            for side in 0..2 {
                let port = pair.remote[side];
                let socket = *known.entry(port).or_insert(sockets.len());
                if socket == sockets.len() {
                    sockets.push(open(port)?);
                    ports.push(port);
                }
                // What comes from this leg's port was sent on the other leg.
                by_port[usize::from(pair.relay[side])] = Some((flows.len() ^ 1, side));
                flows.push(Flow {
                    socket,
                    to: (Ipv4Addr::LOCALHOST, pair.relay[side]).into(),
                    phase_ns: dice.pick(PERIOD_NS as usize) as u64,
                    start: dice.pick(sound.len() / PAYLOAD),
                });
            }
        }
        let mut order: Vec<usize> = (0..flows.len()).collect();
        order.sort_by_key(|flow| flows[*flow].phase_ns);
        let sent_ns = vec![0; flows.len() * KNOWN as usize];
        let (to, lag) = ([Direction::new(), Direction::new()], Histogram::new());
        let begin_ns = clock::ns() + 10_000_000;
        Ok(Self { sockets, ports, flows, order, by_port, sound, begin_ns, next: 0, sent_ns, to, lag })
    }

    fn run_until(&mut self, end: u64) {
        loop {
            let now = clock::ns();
            if now >= end {
                return;
            }
            let mut done = 0;
            while done < AT_ONCE && self.send_next(now) {
                done += 1;
            }
            for socket in 0..self.sockets.len() {
                done += self.receive(socket);
            }
            if done == 0 {
                // The relay's core may be the other half of this one.
                (0..SPINS).for_each(|_| std::hint::spin_loop());
            }
        }
    }

    /// True if a packet was due.
    fn send_next(&mut self, now: u64) -> bool {
        let (cycle, place) = (self.next / self.order.len() as u64, (self.next % self.order.len() as u64) as usize);
        let number = self.order[place];
        let flow = &self.flows[number];
        let due = self.begin_ns + cycle * PERIOD_NS + flow.phase_ns;
        if due > now {
            return false;
        }
        let packet = packet(number as u32, cycle, self.sound, flow.start);
        self.lag.add(clock::ns() - due);
        self.sent_ns[number * KNOWN as usize + (cycle % KNOWN) as usize] = clock::wall_ns();
        self.next += 1;
        // A packet that cannot be sent is missing at the other end, which is what is counted.
        let _ = self.sockets[flow.socket].send_to(&packet, flow.to);
        self.to[1 - number % 2].sent += 1;
        true
    }

    /// Says how many packets there were.
    fn receive(&mut self, socket: usize) -> usize {
        let mut buffer = [0; 2048];
        for count in 0..TURN {
            let Some((length, port, came_ns)) = take(&self.sockets[socket], &mut buffer) else { return count };
            let Some((flow, side)) = self.by_port[usize::from(port)] else { continue };
            if length < HEADER + PAYLOAD {
                continue;
            }
            let to = &mut self.to[side];
            to.received += 1;
            let tag = u64::from(buffer[HEADER] & 0x3f) << 6 | u64::from(buffer[HEADER + 1] & 0x3f);
            let newest = clock::ns().saturating_sub(self.begin_ns + self.flows[flow].phase_ns) / PERIOD_NS;
            let back = (newest + NUMBERS - tag) % NUMBERS;
            if back < KNOWN && back <= newest {
                let sent = self.sent_ns[flow * KNOWN as usize + ((newest - back) % KNOWN) as usize];
                to.delay.add(came_ns.saturating_sub(sent));
            }
        }
        TURN
    }
}

/// The next packet: its length, who sent it, and when it came.
fn take(socket: &UdpSocket, to: &mut [u8]) -> Option<(usize, u16, u64)> {
    let mut parts = [IoSliceMut::new(to)];
    let mut stamp = nix::cmsg_space!(TimeSpec);
    let fd = socket.as_raw_fd();
    let message = recvmsg::<SockaddrIn>(fd, &mut parts, Some(&mut stamp), MsgFlags::MSG_DONTWAIT).ok()?;
    let came_ns = message.cmsgs().ok()?.find_map(|part| match part {
        ControlMessageOwned::ScmTimestampns(at) => Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64),
        _ => None,
    })?;
    Some((message.bytes, message.address?.port(), came_ns))
}

fn open(port: u16) -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("port {port}"))?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(socket)
}

/// One packet of the sound, which goes round.
fn packet(ssrc: u32, number: u64, sound: &[u8], start: usize) -> [u8; HEADER + PAYLOAD] {
    let mut packet = [0; HEADER + PAYLOAD];
    packet[0] = 0x80;
    packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&((number as u32).wrapping_mul(PAYLOAD as u32)).to_be_bytes());
    packet[8..12].copy_from_slice(&(ssrc + 1).to_be_bytes());
    let at = (start + number as usize) % (sound.len() / PAYLOAD) * PAYLOAD;
    packet[HEADER..].copy_from_slice(&sound[at..at + PAYLOAD]);
    // Quiet codes; 0xff and below down to 0xc0 are all kept by linear sound and back.
    packet[HEADER] = 0xc0 | (number >> 6 & 0x3f) as u8;
    packet[HEADER + 1] = 0xc0 | (number & 0x3f) as u8;
    packet
}
