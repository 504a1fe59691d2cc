//! How much of an agent's voice is taken for key tones, and stripped, while the line is masked.

use crate::dice::Dice;
use crate::level::{samples, set_active};
use crate::noise::Place;
use crate::speech;
use media::g711::{self, Law};
use media::rtp::{self, Header, Packet};
use media::{Command, Config, Output, Remote, Session, Side};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const FRAME: usize = 160;

/// Counts of packets.
#[derive(Default)]
struct Tally {
    all: usize,
    stripped: usize,
}

impl Tally {
    fn print(&self, name: &str) {
        println!(
            "{name:<28} {:>7} packets, {:>5} stripped ({:.4} %)",
            self.all,
            self.stripped,
            100.0 * self.stripped as f64 / self.all as f64
        );
    }
}

pub(crate) fn run(seed: u64) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed);
    let mut all = Tally::default();
    for speaker in speech::humans() {
        let mut tally = Tally::default();
        for mut clip in speaker.clips()? {
            set_active(&mut clip, *dice.of(&[-12.0, -20.0, -26.0]));
            let behind = Place::Office.sound(&mut dice, clip.len());
            clip.iter_mut().zip(behind).for_each(|(sample, noise)| *sample += noise);
            let codes: Vec<u8> = samples(&clip).into_iter().map(|sample| g711::encode(Law::Mu, sample)).collect();
            tally.all += codes.len() / FRAME;
            tally.stripped += stripped(&codes);
        }
        tally.print(&speaker.name);
        all.all += tally.all;
        all.stripped += tally.stripped;
    }
    all.print("all");
    Ok(())
}

/// Says these codes on the agent leg of a masked line; how many packets came out changed.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
fn stripped(codes: &[u8]) -> usize {
    let mut now = Instant::now();
    let mut session = Session::new(now, Config { seed: [1; 32], record: false, hold: media::Hold::default() });
    let address = |side: Side| SocketAddr::from(([192, 0, 2, 1], if side == Side::Caller { 4000 } else { 5000 }));
    for side in [Side::Caller, Side::Agent] {
        let remote = Remote::g711(address(side), Law::Mu);
        session.handle_command(now, Command::Connect { side, remote });
    }
    session.handle_command(now, Command::Secure { policy: media::Policy::Strict });
    let mut changed = 0;
    for (number, payload) in (0..).zip(codes.chunks_exact(FRAME)) {
        let sequence = (number % 65_536) as u16;
        let header = Header { payload_type: 0, marker: false, sequence, timestamp: number * FRAME as u32, ssrc: 1 };
        if let Some(packet) = Packet::new(&header, payload) {
            session.handle_packet(now, Side::Agent, address(Side::Agent), packet.as_bytes());
        }
        now += Duration::from_millis(20);
        session.handle_timeout(now);
        while let Some(output) = session.poll_output() {
            if let Output::Send { side: Side::Caller, packet, .. } = output {
                changed += usize::from(rtp::parse(packet.as_bytes()).is_ok_and(|read| read.payload != payload));
            }
        }
    }
    changed
}
