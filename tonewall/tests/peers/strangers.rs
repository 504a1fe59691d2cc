//! A third address that knows every port of ours sends sound, keys and rubbish at a call: in the clear, protected, and of phones
//! that are behind NATs.

use crate::baresip::{Baresip, CARD, key_and_pay};
use crate::decoders::{Read, decode, write_wav};
use crate::stage::lane::{Lane, authorize, capture, quick};
use crate::stage::{Route, Setting, Stage, free_phone};
use anyhow::Context;
use lab::desk::{Desk, text};
use lab::phone::{Event, Phone, Transport};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const SLOT: u16 = 39;
const PORTS_OF_NATS: (u16, u16) = (21_700, 21_739);
/// Between two packets at one port: as fast as speech.
const PACE: Duration = Duration::from_millis(20);

/// Sends until it is dropped.
struct Spray {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Spray {
    /// At all of these ports, from an address that is nobody's and from another port of the caller's host.
    fn start(ports: (u16, u16)) -> anyhow::Result<Self> {
        let sockets = [UdpSocket::bind("127.0.0.77:0")?, UdpSocket::bind("127.0.0.1:0")?];
        let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (until, count) = (Arc::clone(&over), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                if until.load(Ordering::Relaxed) {
                    return;
                }
                for packet in packets(number) {
                    for port in ports.0..=ports.1 {
                        let to = SocketAddr::from(([127, 0, 0, 1], port));
                        let socket = &sockets[usize::from(number % 2)];
                        // One that is not taken is none the less sent.
                        count.fetch_add(usize::from(socket.send_to(&packet, to).is_ok()), Ordering::Relaxed);
                    }
                }
                std::thread::sleep(PACE);
            }
        });
        Ok(Self { over, sent, thread: Some(thread) })
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Spray {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// A key as sound and as an event, a report that says goodbye, and what no key can have protected.
fn packets(number: u16) -> [Vec<u8>; 4] {
    let sample = |n: u16| {
        let time = (f64::from(number) * 160.0 + f64::from(n)) / 8000.0;
        let tone = |hertz: f64| (std::f64::consts::TAU * hertz * time).sin();
        mu_law((8_000.0 * (tone(770.0) + tone(1336.0))) as i16)
    };
    let sound: Vec<u8> = (0..160).map(sample).collect();
    // RFC 4733: the key 5, its end in three of ten packets, its loudness and how long it lasts.
    let [high, low] = (160 * (1 + number % 10)).to_be_bytes();
    let key = [5, if number % 10 > 6 { 0x8a } else { 0x0a }, high, low];
    let goodbye = vec![0x81, 203, 0, 1, 0, 0, 0, 7];
    [rtp(number, 0, &sound), rtp(number, 101, &key), goodbye, rtp(number, 0, &[number.to_be_bytes()[1]; 170])]
}

fn rtp(number: u16, payload_type: u8, payload: &[u8]) -> Vec<u8> {
    let timestamp = u32::from(number) * 160;
    let header = [&[0x80, payload_type][..], &number.to_be_bytes(), &timestamp.to_be_bytes(), &[0, 0, 0, 7]].concat();
    [&header, payload].concat()
}

/// G.711, by its segments.
fn mu_law(sample: i16) -> u8 {
    let size = u32::from(sample.unsigned_abs().min(32_635)) + 132;
    let segment = 31 - (size >> 7).leading_zeros();
    let code = (segment << 4) | ((size >> (segment + 3)) & 15);
    !(code as u8 | if sample < 0 { 0x80 } else { 0 })
}

async fn agent_heard(lane: &Lane) -> anyhow::Result<(Vec<i16>, usize)> {
    let look = |phone: &Phone| (phone.ear().samples().to_vec(), phone.ear().event_packets() + phone.ear().strange());
    Ok(lane.agent.look(look).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_address_is_not_heard_and_types_no_digit() -> anyhow::Result<()> {
    let mut lane = Lane::new("1001").await?;
    let setting = Setting::new(SLOT, vec![lane.route().await?]);
    let ports = setting.ports;
    let stage = Stage::start("strangers", setting).await?;
    let desk = stage.desk("1001").await?;
    let call = lane.connect(&stage, &desk).await?;
    let spray = Spray::start(ports)?;
    pays_meanwhile(&lane, &stage, &desk, &call, &spray).await?;
    drop(spray);
    lane.caller.hang_up().await?;
    stage.passed();
    Ok(())
}

/// Both phones say that they are at an address of somebody else's network. The spray begins before the call, so that it would be
/// learned from if anybody could be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phones_behind_nats_are_found_and_pay_and_a_third_address_is_not_learned() -> anyhow::Result<()> {
    let mut lane = Lane::behind_nats("1001", [127, 0, 0, 2].into(), [127, 0, 0, 3].into()).await?;
    let setting = Setting { ports: PORTS_OF_NATS, nat: "learn", ..Setting::new(0, vec![lane.route().await?]) };
    let stage = Stage::start("nats", setting).await?;
    let desk = stage.desk("1001").await?;
    let spray = Spray::start(PORTS_OF_NATS)?;
    let call = lane.connect(&stage, &desk).await?;
    pays_meanwhile(&lane, &stage, &desk, &call, &spray).await?;
    let heard = lane.caller.look(|phone: &Phone| phone.ear().packets()).await?;
    assert!(heard > 100, "the caller has heard {heard} packets");

    // Requests of ours reach them where they are, not where they say.
    lane.agent.hold(true).await?;
    desk.wait_for_call("held", Duration::from_secs(10)).await?;
    lane.agent.hold(false).await?;
    desk.wait_for_call("talking", Duration::from_secs(10)).await?;
    lane.key("8", quick(Transport::Events)).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let keys = lane.agent.look(|phone: &Phone| phone.ear().keys_by_event()).await?;
    assert_eq!(keys, "8", "after the hold they are found again");
    drop(spray);
    lane.agent.hang_up().await?;
    lane.caller.wait_for(Event::Ended, Duration::from_secs(10)).await?;
    stage.passed();
    Ok(())
}

/// SRTP, with and without learning. Here strangers come from the phones' own host too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_call_hears_nothing_that_is_not_authentic() -> anyhow::Result<()> {
    for (ports, nat) in [((21_740, 21_779), "off"), ((21_780, 21_819), "learn")] {
        protected(ports, nat).await?;
    }
    Ok(())
}

async fn protected(ports: (u16, u16), nat: &'static str) -> anyhow::Result<()> {
    let (caller, agent) = (free_phone()?, free_phone()?);
    let route = Route { extension: "1001".to_owned(), caller, agent };
    let setting = Setting { ports, srtp: ("required", "required"), nat, ..Setting::new(0, vec![route]) };
    let stage = Stage::start(&format!("strangers-srtp-{nat}"), setting).await?;
    let folder = stage.folder.path();
    let account = ";dtmfmode=rtpevent;mediaenc=srtp-mand";
    let mut caller = Baresip::start(folder, "caller", caller, "21820-21859", account).await?;
    let account = ";answermode=auto;mediaenc=srtp-mand";
    let mut agent = Baresip::start(folder, "1001", agent, "21860-21899", account).await?;
    let desk = stage.desk("1001").await?;
    let spray = Spray::start(ports)?;
    caller.order("dial", &format!("sip:02079460018@{}", stage.sip)).await?;
    caller.says("Call established").await.context("calling")?;
    key_and_pay(&desk, &mut caller, &mut agent).await?;
    assert!(spray.sent() > 20_000, "{} packets were sprayed", spray.sent());
    desk.wait_for_call("talking", Duration::from_secs(1)).await?;
    drop(spray);
    caller.order("hangup", "").await?;
    let log = agent.says("session closed").await?;
    let events = log.lines().filter(|line| line.contains("received event")).count();
    assert!((1..=2).contains(&events), "the agent's phone tells of more than the one open key:\n{log}");
    agent.order("quit", "").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(decode(&agent.heard()?).await?, Read { multimon: String::new(), spandsp: String::new() });
    stage.passed();
    Ok(())
}

/// A payment on a call that is sprayed at. Leaves the line open.
async fn pays_meanwhile(lane: &Lane, stage: &Stage, desk: &Desk, call: &str, spray: &Spray) -> anyhow::Result<()> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (open, strange) = agent_heard(lane).await?;
    assert!(open.len() > 8_000, "the caller is heard meanwhile: {} samples", open.len());
    assert!(open.iter().all(|sample| sample.unsigned_abs() < 100), "nobody but the caller, who is silent, is heard");
    assert_eq!(strange, 0, "no key event came to the agent's phone");

    // Were one key taken from the stranger, the card would be another one.
    let payment = capture(lane, desk, call, 4200, &CARD, quick(Transport::Events)).await?;
    let paid = authorize(desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    assert!(spray.sent() > 20_000, "{} packets were sprayed", spray.sent());

    let (samples, strange) = agent_heard(lane).await?;
    let wav = stage.folder.join("agent.wav");
    write_wav(&wav, &samples)?;
    assert_eq!((decode(&wav).await?, strange), (Read { multimon: String::new(), spandsp: String::new() }, 0));
    desk.wait_for_call("talking", Duration::from_secs(1)).await?;

    // The same judges hear a key of the caller's own once the line is open again.
    desk.wait_for_line(call, "open", Duration::from_secs(20)).await?;
    lane.key("7", quick(Transport::InBand)).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    write_wav(&wav, &agent_heard(lane).await?.0)?;
    assert_eq!(decode(&wav).await?.multimon, "7");
    Ok(())
}
