//! What comes out on the other leg.

use super::*;
use media::event::KeyEvent;
use media::g711::{self, Law};
use media::rtp::{self, Header};
use media::{Packet, dtmf};
use std::time::Duration;

#[test]
fn no_port_that_is_listened_on_is_given_twice_and_remote_ones_are_shared() {
    let pairs = pairs(600, 10_000).unwrap();
    let own: Vec<u16> = pairs.iter().flat_map(|pair| [pair.caller, pair.agent]).collect();
    assert_eq!(own, (10_000..12_400).step_by(2).collect::<Vec<_>>());
    let remote = [0, 249, 250, 599].map(|call: usize| (pairs[call].caller_remote, pairs[call].agent_remote));
    assert_eq!(remote, [(12_400, 12_401), (12_400, 12_401), (12_402, 12_403), (12_404, 12_405)]);
    assert_eq!(pairs[1].to_string(), "10004 10006 12400 12401");
}

#[test]
fn there_are_no_ports_beyond_the_last() {
    assert!(pairs(1, 65_530).is_some());
    assert!(pairs(1, 65_531).is_none());
    assert!(pairs(20_000, 10).is_none());
}

/// Half a second of a pressed key as sound, then the key as an event.
fn pressed() -> Vec<Packet> {
    let key = dtmf::tone(b'5', dtmf::Shape { duration_ms: 500, ..dtmf::Shape::default() }).unwrap();
    let codes: Vec<u8> = key.into_iter().map(|sample| g711::encode(Law::Mu, sample)).collect();
    let packet = |sequence: u16, payload_type: u8, payload: &[u8]| {
        let timestamp = u32::from(sequence) * 160;
        Packet::new(&Header { payload_type, marker: false, sequence, timestamp, ssrc: 7 }, payload).unwrap()
    };
    let event = KeyEvent { code: 5, end: true, volume: 10, duration: 800 };
    let sound = codes.chunks(160).zip(0..).map(|(codes, number)| packet(number, 0, codes));
    sound.chain([packet(25, 101, &event.bytes())]).collect()
}

/// Payload type and payload.
type Heard = Vec<(u8, Vec<u8>)>;

/// None for RTCP, which comes by the clock and not by what is said.
fn read(bytes: &[u8]) -> Option<(u8, Vec<u8>)> {
    let packet = rtp::parse(bytes).map_err(|error| assert_eq!(error, rtp::NotRtp::Rtcp)).ok()?;
    Some((packet.header.payload_type, packet.payload.to_vec()))
}

/// Says [`pressed`] on one leg, four times as fast as real time; gives what the other leg got, and waits for so many.
fn say(relay: (u16, u16), remote: (u16, u16), least: usize) -> Heard {
    let [sender, receiver] = [remote.0, remote.1].map(|port| UdpSocket::bind(local(port)).unwrap());
    receiver.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut heard = Vec::new();
    let mut buffer = [0; 2048];
    for packet in pressed() {
        sender.send_to(packet.as_bytes(), local(relay.0)).unwrap();
        while let Ok((length, from)) = receiver.recv_from(&mut buffer) {
            assert_eq!(from, local(relay.1));
            heard.extend(read(&buffer[..length]));
        }
    }
    // A machine with much else to do may take its time.
    for _ in 0..2_000 {
        if heard.len() >= least {
            break;
        }
        if let Ok((length, _)) = receiver.recv_from(&mut buffer) {
            heard.extend(read(&buffer[..length]));
        }
    }
    heard
}

/// What the agent got of the caller, and the caller of the agent: so many at least.
async fn both_ways(masked: bool, first_port: u16, least: (usize, usize)) -> (Heard, Heard) {
    let relay = Relay::open(Wanted { calls: 1, masked, first_port, workers: 2, own_sockets: true }).await.unwrap();
    let Pair { caller, agent, caller_remote, agent_remote } = relay.pairs()[0];
    tokio::task::spawn_blocking(move || {
        // The threads are told of the peers, and do not say when they have heard it.
        std::thread::sleep(Duration::from_secs(1));
        let (sent, remote) = ((caller, agent), (caller_remote, agent_remote));
        (say(sent, remote, least.0), say((sent.1, sent.0), (remote.1, remote.0), least.1))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_line_relays_both_ways() {
    let said: Heard = pressed().iter().filter_map(|packet| read(packet.as_bytes())).collect();
    let (agent, caller) = both_ways(false, 30_200, (said.len(), said.len())).await;
    assert!(agent == said && caller == said, "{} and {} of {}", agent.len(), caller.len(), said.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masked_line_gives_the_agent_generated_sound_and_the_caller_the_agents() {
    let said: Heard = pressed().iter().filter_map(|packet| read(packet.as_bytes())).collect();
    let (agent, caller) = both_ways(true, 30_300, (4, 25)).await;
    assert!(agent.len() > 3, "the agent's sound goes on: {} packets", agent.len());
    assert!(agent.iter().all(|(payload_type, _)| *payload_type == 0), "an event came through");
    assert!(agent.iter().all(|heard| !said.contains(heard)), "a packet of the caller came through");
    assert_eq!(caller.len(), 25, "the caller hears the agent");
    assert!(caller.iter().all(|(payload_type, _)| *payload_type == 0), "and none of their keys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_named() {
    let _taken = UdpSocket::bind(local(30_403)).unwrap();
    let relay =
        Relay::open(Wanted { calls: 3, masked: false, first_port: 30_400, workers: 1, own_sockets: true }).await;
    assert!(relay.err().unwrap().to_string().contains("port 30403"));
}
