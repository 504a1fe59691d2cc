//! A recorder that is not ours has the call too: SIPp checks how it is called, and decoders hear what it is sent.

use crate::decoders::{Read, decode};
use crate::sipp::Sipp;
use crate::stage::lane::{Lane, quick};
use crate::stage::{Setting, Stage, binary, free_udp};
use crate::tools::must;
use anyhow::Context;
use lab::phone::{Press, Transport};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

const END_MAX: Duration = Duration::from_secs(20);
/// Each digit twice, in an order that is no card.
const KEYS: &str = "07418529630741852963";

/// What came to a port of the recorder.
#[derive(Default)]
struct Stream {
    /// As it came, µ-law.
    codes: Vec<u8>,
    /// Packets of sound, of anything else, and of RTCP; and by which sources.
    sound: usize,
    strange: usize,
    reports: usize,
    sources: Vec<[u8; 4]>,
}

/// Listens until nothing has come for three seconds.
fn listen(at: SocketAddr) -> anyhow::Result<JoinHandle<Stream>> {
    let socket = UdpSocket::bind(at)?;
    Ok(std::thread::spawn(move || {
        let (mut stream, mut buffer) = (Stream::default(), [0; 2048]);
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        while let Ok((length, _)) = socket.recv_from(&mut buffer) {
            socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            stream.take(&buffer[..length]);
        }
        stream
    }))
}

impl Stream {
    /// The header of RTP has twelve bytes (RFC 3550 section 5.1), 20 ms of PCMU are 160.
    fn take(&mut self, bytes: &[u8]) {
        match bytes {
            [_, 200..=204, ..] => self.reports += 1,
            [0x80, kind, _, _, _, _, _, _, source @ ..] if kind & 0x7f == 0 && bytes.len() == 172 => {
                self.sound += 1;
                self.codes.extend(&source[4..]);
                self.sources.push(*source.first_chunk().unwrap());
                self.sources.dedup();
            }
            _ => self.strange += 1,
        }
    }
}

/// A call with keys in the sound and as events, and what the recorder gets of what the agent heard and of what the agent said.
async fn recorded(slot: u16, binary: PathBuf, secured: bool) -> anyhow::Result<(Read, Stream, Stream)> {
    let mut lane = Lane::new("1001").await?;
    let (recorder, heard, said) = (free_udp()?, free_udp()?, free_udp()?);
    let setting = Setting { binary, recorder: Some(recorder), ..Setting::new(slot, vec![lane.route().await?]) };
    let stage = Stage::start(&format!("siprec-{slot}"), setting).await?;
    let streams = (listen(heard)?, listen(said)?);
    let key = |name: &str, at: SocketAddr| ["-key".to_owned(), name.to_owned(), at.port().to_string()];
    let extra = [key("heard", heard), key("said", said)].concat();
    let folder = stage.folder.path();
    let sipp = Sipp { folder, name: "recorder", at: recorder, transport: "u1", calls: 1, extra };
    let mut recording = sipp.start()?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let desk = stage.desk("1001").await?;
    let call = lane.connect(&stage, &desk).await?;
    if secured {
        desk.start_payment(&call, 4200, "GBP").await?;
        desk.line(&call, "secure").await?;
    }
    let press = |transport| Press { on_packets: 5, off_packets: 5, ..quick(transport) };
    lane.key(KEYS, press(Transport::InBand)).await?;
    lane.key("123", press(Transport::Events)).await?;
    tokio::time::sleep(Duration::from_millis(600)).await;
    lane.caller.hang_up().await?;
    let good = recording.ended(END_MAX).await.with_context(|| format!("the recorder: {}", sipp.errors()))?;
    anyhow::ensure!(good, "the recorder: {}", sipp.errors());
    let (heard, said) = (streams.0.join().unwrap(), streams.1.join().unwrap());
    let (codes, wav) = (folder.join("recorded.ul"), folder.join("recorded.wav"));
    std::fs::write(&codes, &heard.codes)?;
    let (from, to) = (codes.to_string_lossy(), wav.to_string_lossy());
    must("sox", &["-t", "raw", "-r", "8000", "-e", "mu-law", "-b", "8", "-c", "1", &from, &to], END_MAX).await?;
    let read = decode(&wav).await?;
    stage.passed();
    Ok((read, heard, said))
}

fn nothing() -> Read {
    Read { multimon: String::new(), spandsp: String::new() }
}

fn all() -> Read {
    Read { multimon: KEYS.to_owned(), spandsp: KEYS.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_has_the_call_and_no_digit_of_a_secured_line() -> anyhow::Result<()> {
    let (read, heard, said) = recorded(50, binary::normal(), true).await?;
    assert_eq!(read, nothing());
    for (what, stream) in [("heard", &heard), ("said", &said)] {
        // 20 keys of 200 ms in the sound are 200 packets.
        assert!(stream.sound > 200, "only {} packets of what the agent {what}", stream.sound);
        assert_eq!((stream.strange, stream.sources.len()), (0, 1), "{what}");
        assert!(stream.reports > 0, "no RTCP of what the agent {what}");
    }
    assert_ne!(heard.sources, said.sources);
    // Silence are the two smallest codes.
    let loud = heard.codes.iter().filter(|code| **code & 0x7f < 0x50).count();
    assert!(loud > 8_000, "the beeps of the mask are there: {loud} loud samples");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_open_line_the_recorder_has_the_keys_as_sound_and_none_as_an_event() -> anyhow::Result<()> {
    let (read, heard, _) = recorded(51, binary::normal(), false).await?;
    assert_eq!((read, heard.strange), (all(), 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_masking_off_the_recorder_has_the_digits() -> anyhow::Result<()> {
    let (read, _, _) = recorded(52, binary::masking_off()?, true).await?;
    assert_eq!(read, all());
    Ok(())
}
