//! Media sessions without SIP, on the same threads as a call's: for measuring what the media plane carries.

use crate::media_plane::{MediaPlane, MediaSockets, Report};
use crate::recorder::Recorder;
use crate::seeds::Seeds;
use crate::{NodeError, io};
use call::{MediaOrder, MediaReport};
use media::g711::Law;
use media::{Command, Event, Policy, Remote, Side};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use tokio::sync::{mpsc, watch};
use wire::CallId;

/// So many calls share their remote ports: few sockets for who drives them, each with room for its share.
const CALLS_PER_REMOTE: usize = 250;
/// One for RTP and the one above for RTCP, on each leg. Each takes a file.
const PORTS_PER_CALL: u16 = 4;
/// Files that are open besides the ports.
const FILES_BESIDES: usize = 64;

/// What is to be relayed.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// How many calls.
    pub calls: u16,
    /// Is every line secured?
    pub masked: bool,
    /// The first of the ports, four a call; the remote ones follow them.
    pub first_port: u16,
    /// Media threads.
    pub workers: usize,
    /// A socket a port, whatever this process may.
    pub own_sockets: bool,
}

/// The ports of one call, all on 127.0.0.1. Shown as one line: caller's and agent's, then the remote ones in that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Where the caller sends to.
    pub caller: u16,
    /// Where the agent sends to.
    pub agent: u16,
    /// Where the caller sends from, and is sent to.
    pub caller_remote: u16,
    /// The same of the agent.
    pub agent_remote: u16,
}

impl fmt::Display for Pair {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} {} {} {}", self.caller, self.agent, self.caller_remote, self.agent_remote)
    }
}

/// The ports of so many calls: first all that are listened on, then the remote ones. None if there are not enough.
fn pairs(calls: u16, first_port: u16) -> Option<Vec<Pair>> {
    let first_remote = first_port.checked_add(calls.checked_mul(PORTS_PER_CALL)?)?;
    let pair = |call: usize| {
        let offset = u16::try_from(call).ok()?.checked_mul(PORTS_PER_CALL)?;
        let own = first_port.checked_add(offset)?;
        let shared = u16::try_from(call / CALLS_PER_REMOTE * 2).ok()?;
        let remote = first_remote.checked_add(shared)?;
        Some(Pair {
            caller: own,
            agent: own.checked_add(2)?,
            caller_remote: remote,
            agent_remote: remote.checked_add(1)?,
        })
    };
    (0..usize::from(calls)).map(pair).collect()
}

/// Calls that are being relayed.
pub struct Relay {
    plane: MediaPlane,
    reports: mpsc::Receiver<Report>,
    pairs: Vec<Pair>,
}

impl Relay {
    /// Opens all calls.
    pub async fn open(wanted: Wanted) -> Result<Self, NodeError> {
        let too_many = || std::io::Error::other("there are 65,535: fewer calls, or a lower first port");
        let pairs = pairs(wanted.calls, wanted.first_port).ok_or_else(too_many).map_err(io("ports"))?;
        room_for(pairs.len())?;
        let recorder = Recorder::start(None).map_err(io("recorder"))?;
        let (plane, reports) = MediaPlane::start(sockets(wanted, &pairs), media::Hold::default(), &recorder, None)
            .map_err(io("media threads"))?;
        let mut relay = Self { plane, reports, pairs: Vec::with_capacity(pairs.len()) };
        let seeds = Seeds::new();
        for pair in pairs {
            relay.open_one(pair, wanted.masked, seeds.next()).await?;
        }
        Ok(relay)
    }

    /// The ports of each call.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// Relays until it is told to stop, or all its threads have ended.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            // An error means that nobody is left who could say so.
            _ = stop.wait_for(|stop| *stop) => {}
            () = async { while self.reports.recv().await.is_some() {} } => {}
        }
    }

    async fn open_one(&mut self, pair: Pair, masked: bool, seed: [u8; 32]) -> Result<(), NodeError> {
        let call = CallId(uuid::Uuid::from_u128(u128::try_from(self.pairs.len()).unwrap_or_default()));
        let (caller, agent) = (local(pair.caller), local(pair.agent));
        self.order(call, MediaOrder::Open { caller, agent, record: false, copies: None }, seed)?;
        let opened =
            self.report(call, |report| matches!(report, MediaReport::Opened | MediaReport::OpenFailed)).await?;
        if let MediaReport::OpenFailed = opened {
            return Err(why_not(pair));
        }
        for (side, port) in [(Side::Caller, pair.caller_remote), (Side::Agent, pair.agent_remote)] {
            self.order(call, MediaOrder::Command(Command::Connect { side, remote: remote(port) }), seed)?;
        }
        if masked {
            self.order(call, MediaOrder::Command(Command::Secure { policy: Policy::Natural }), seed)?;
            self.report(call, |report| matches!(report, MediaReport::Event(Event::Secured))).await?;
        }
        self.pairs.push(pair);
        Ok(())
    }

    fn order(&self, call: CallId, order: MediaOrder, seed: [u8; 32]) -> Result<(), NodeError> {
        match self.plane.order(call, order, seed) {
            true => Ok(()),
            false => Err(io("media thread")(std::io::Error::other("it takes no orders"))),
        }
    }

    /// Waits for one report of a call. Others' are proofs, which nobody needs here.
    async fn report(&mut self, of: CallId, is_it: impl Fn(&MediaReport) -> bool) -> Result<MediaReport, NodeError> {
        while let Some(Report { call, report }) = self.reports.recv().await {
            if call == of && is_it(&report) {
                return Ok(report);
            }
        }
        Err(io("media thread")(std::io::Error::other("it has ended")))
    }
}

fn sockets(wanted: Wanted, pairs: &[Pair]) -> MediaSockets {
    match pairs.last() {
        Some(last) if !wanted.own_sockets => MediaSockets::steered(
            Ipv4Addr::LOCALHOST.into(),
            (wanted.first_port, last.agent.saturating_add(1)),
            wanted.workers,
        ),
        _ => MediaSockets::own(wanted.workers),
    }
}

fn room_for(calls: usize) -> Result<(), NodeError> {
    let limit = udp::raise_open_files().map_err(io("limit of open files"))?;
    let needed = calls * usize::from(PORTS_PER_CALL) + FILES_BESIDES;
    if u64::try_from(needed).is_ok_and(|needed| needed <= limit) {
        return Ok(());
    }
    let text = format!("{needed} are needed and {limit} allowed: raise the hard limit (`ulimit -Hn`, LimitNOFILE=)");
    Err(io("open files")(std::io::Error::other(text)))
}

/// The media thread says only that a port could not be bound, so it is tried here once more.
fn why_not(pair: Pair) -> NodeError {
    for port in [pair.caller, pair.agent].into_iter().flat_map(|port| [port, port.saturating_add(1)]) {
        if let Err(error) = UdpSocket::bind(local(port)) {
            return io(format!("port {port} (--first-port chooses others)"))(error);
        }
    }
    io(format!("ports {} and {}", pair.caller, pair.agent))(std::io::Error::other("they could not be bound"))
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn remote(port: u16) -> Remote {
    Remote { telephone_event: Some(101), ..Remote::g711(local(port), Law::Mu) }
}

#[cfg(test)]
mod tests;
