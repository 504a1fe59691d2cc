//! A third address that knows every port of ours sends sound, keys and rubbish at a call.

use crate::decoders::{Read, decode, write_wav};
use crate::stage::lane::{Lane, authorize, capture, quick};
use crate::stage::{Setting, Stage};
use lab::desk::text;
use lab::phone::{Phone, Transport};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const CARD: [&str; 3] = ["4242424242424242*", "1235", "123"];
const SLOT: u16 = 39;
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
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (open, strange) = agent_heard(&lane).await?;
    assert!(open.len() > 8_000, "the caller is heard meanwhile: {} samples", open.len());
    assert!(open.iter().all(|sample| sample.unsigned_abs() < 100), "nobody but the caller, who is silent, is heard");
    assert_eq!(strange, 0, "no key event came to the agent's phone");

    // Were one key taken from the stranger, the card would be another one.
    let payment = capture(&lane, &desk, &call, 4200, &CARD, quick(Transport::Events)).await?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    assert!(spray.sent() > 20_000, "{} packets were sprayed", spray.sent());
    drop(spray);

    let (samples, strange) = agent_heard(&lane).await?;
    let wav = stage.folder.join("agent.wav");
    write_wav(&wav, &samples)?;
    assert_eq!((decode(&wav).await?, strange), (Read { multimon: String::new(), spandsp: String::new() }, 0));
    desk.wait_for_call("talking", Duration::from_secs(1)).await?;

    // The same judges hear a key of the caller's own once the line is open again.
    desk.wait_for_line(&call, "open", Duration::from_secs(20)).await?;
    lane.key("7", quick(Transport::InBand)).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    write_wav(&wav, &agent_heard(&lane).await?.0)?;
    assert_eq!(decode(&wav).await?.multimon, "7");
    lane.caller.hang_up().await?;
    stage.passed();
    Ok(())
}
