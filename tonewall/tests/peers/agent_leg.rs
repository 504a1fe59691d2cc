//! What the agent's phone receives while a caller keys, judged by decoders and a sniffer that are not ours.

use crate::capture::{self, Capture, Seen};
use crate::decoders::{Read, decode, write_wav};
use crate::stage::lane::{Lane, quick};
use crate::stage::{Setting, Stage, binary};
use lab::phone::{Phone, Press, Transport};
use std::path::PathBuf;
use std::time::Duration;

/// Three ways of a hundred keys each.
const KEYS_A_WAY: usize = 100;
const WAYS: [(&str, Transport); 3] =
    [("1001", Transport::Events), ("1002", Transport::Info), ("1003", Transport::InBand)];

/// All that the agent's phone got.
#[derive(Debug)]
struct Heard {
    read: Read,
    events: usize,
    infos: usize,
    strange: usize,
    packets: usize,
    seen: Option<Seen>,
}

impl Heard {
    /// Everything that gives a key away, in words; empty is good.
    fn leaks(&self) -> Vec<String> {
        let seen = self.seen.as_ref();
        let counts = [
            ("digits read by multimon-ng", self.read.multimon.len()),
            ("digits read by spandsp", self.read.spandsp.len()),
            ("event packets at the phone", self.events),
            ("INFO requests at the phone", self.infos),
            ("strange packets at the phone", self.strange),
            ("event packets seen by tshark", seen.map_or(0, |seen| seen.events)),
            ("INFO requests seen by tshark", seen.map_or(0, |seen| seen.infos)),
        ];
        counts.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")).collect()
    }
}

/// A caller's call at a stage, and the keys that they press.
struct Caller<'a> {
    lane: Lane,
    keys: &'a str,
    press: Press,
    secured: bool,
}

/// Calls, presses the keys and hears what the agent heard.
async fn listen(stage: &Stage, caller: Caller<'_>) -> anyhow::Result<Heard> {
    let Caller { mut lane, keys, press, secured } = caller;
    let desk = stage.desk(&lane.extension).await?;
    let call = lane.connect(stage, &desk).await?;
    let (rtp, sip) = (lane.agent_rtp.port(), lane.agent.look(Phone::sip).await?.port());
    let capture = Capture::start(stage.folder.path(), &lane.extension, &[rtp, sip]).await?;
    if secured {
        desk.start_payment(&call, 4200, "GBP").await?;
        desk.line(&call, "secure").await?;
    }
    lane.key(keys, press).await?;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let file = match capture {
        Some(capture) => Some(capture.end().await?),
        None => None,
    };
    let seen = match file {
        Some(file) => Some(capture::seen(&file, rtp, sip).await?),
        None => None,
    };
    let look = |phone: &Phone| {
        let ear = phone.ear();
        (ear.samples().to_vec(), ear.event_packets(), ear.infos(), ear.strange(), ear.packets())
    };
    let (samples, events, infos, strange, packets) = lane.agent.look(look).await?;
    lane.caller.hang_up().await?;
    let wav = stage.folder.join(format!("agent-{}.wav", lane.extension));
    write_wav(&wav, &samples)?;
    Ok(Heard { read: decode(&wav).await?, events, infos, strange, packets, seen })
}

/// The same keys by three ways at the same time.
async fn three_ways(slot: u16, binary: PathBuf, secured: bool, keys: &str, pace: u16) -> anyhow::Result<[Heard; 3]> {
    let mut lanes = Vec::new();
    let mut routes = Vec::new();
    for (extension, _) in WAYS {
        let lane = Lane::new(extension).await?;
        routes.push(lane.route().await?);
        lanes.push(lane);
    }
    let stage = Stage::start(&format!("leg-{slot}"), Setting { binary, ..Setting::new(slot, routes) }).await?;
    let mut callers = lanes.into_iter().zip(WAYS).map(|(lane, (_, transport))| {
        let press = Press { on_packets: pace, off_packets: pace, ..quick(transport) };
        listen(&stage, Caller { lane, keys, press, secured })
    });
    let (one, two, three) = (callers.next().unwrap(), callers.next().unwrap(), callers.next().unwrap());
    let (one, two, three) = tokio::join!(one, two, three);
    let heard = [one?, two?, three?];
    stage.passed();
    Ok(heard)
}

/// Every digit equally often, in an order that is no card: no field takes it.
fn keys(count: usize) -> String {
    (0..count).map(|index| char::from(b'0' + u8::try_from(index * 7 % 10).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_keyed_digits_reach_no_decoder_on_the_agents_side() -> anyhow::Result<()> {
    let heard = three_ways(0, binary::normal(), true, &keys(KEYS_A_WAY), 4).await?;
    for (heard, (_, transport)) in heard.iter().zip(WAYS) {
        assert_eq!(heard.leaks(), [""; 0], "keys by {transport:?}");
        // Silence because nothing came would prove nothing: 16 s of keying are 800 packets.
        assert!(heard.packets > 700, "only {} sound packets came while keys were sent by {transport:?}", heard.packets);
        assert!(heard.seen.as_ref().is_none_or(|seen| seen.packets > 700), "{heard:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_an_open_line_the_same_checks_find_every_key() -> anyhow::Result<()> {
    let keys = keys(30);
    let [events, info, in_band] = three_ways(1, binary::normal(), false, &keys, 5).await?;
    assert_eq!(in_band.read, Read { multimon: keys.clone(), spandsp: keys.clone() }, "tones");
    assert_eq!(info.infos, keys.len(), "INFO at the phone");
    assert!(events.events >= keys.len() * 3, "{} event packets at the phone", events.events);
    for (heard, least) in [(&events, keys.len() * 3), (&info, keys.len())] {
        let seen = heard.seen.as_ref().map(|seen| seen.events + seen.infos);
        assert!(seen.is_none_or(|seen| seen >= least), "tshark saw too few: {heard:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_masking_off_the_same_checks_fail() -> anyhow::Result<()> {
    let keys = keys(30);
    let [events, _, in_band] = three_ways(2, binary::masking_off()?, true, &keys, 5).await?;
    assert_eq!(in_band.read, Read { multimon: keys.clone(), spandsp: keys.clone() }, "tones: {:?}", in_band.leaks());
    assert!(!in_band.leaks().is_empty());
    assert!(events.leaks().iter().any(|leak| leak.contains("event packets")), "events: {:?}", events.leaks());
    Ok(())
}
