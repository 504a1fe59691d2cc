//! Protected legs among other people's phones: baresip has an SRTP of its own (libre's).

use crate::baresip::{Baresip, WAIT_MAX, key_and_pay};
use crate::capture::{self, Capture};
use crate::decoders::{Read, decode};
use crate::stage::{Route, Setting, Stage, free_phone};
use anyhow::Context;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

const CALLER_PORTS: RangeInclusive<u16> = 12_100..=12_149;
const AGENT_PORTS: RangeInclusive<u16> = 12_150..=12_199;
/// The header of RTP and 20 ms of G.711.
const PLAIN_LENGTH: usize = 172;

fn ports(range: &RangeInclusive<u16>) -> String {
    format!("{}-{}", range.start(), range.end())
}

/// What of the sound to these ports could be read: how often the most frequent byte stands there, in thousandths; and by how
/// much the packets are longer than plain ones. Of random bytes each is about 4 thousandths.
async fn commonest(file: &Path, range: &RangeInclusive<u16>) -> anyhow::Result<(usize, Vec<usize>)> {
    let mut counts = [0_usize; 256];
    let mut lengths = Vec::new();
    for packet in capture::datagrams(file, range).await?.iter().filter(|bytes| bytes.len() >= PLAIN_LENGTH) {
        packet[12..PLAIN_LENGTH].iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        lengths.push(packet.len() - PLAIN_LENGTH);
    }
    anyhow::ensure!(lengths.len() > 100, "only {} packets were captured", lengths.len());
    lengths.sort_unstable();
    lengths.dedup();
    Ok((counts.iter().max().unwrap() * 1000 / counts.iter().sum::<usize>(), lengths))
}

/// Keys by events and a payment, through two protected legs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_caller_pays_a_protected_agent() -> anyhow::Result<()> {
    let (caller, agent) = (free_phone()?, free_phone()?);
    let route = Route { extension: "1001".to_owned(), caller, agent };
    let setting = Setting { srtp: ("required", "preferred"), ..Setting::new(18, vec![route]) };
    let stage = Stage::start("srtp", setting).await?;
    let folder = stage.folder.path();
    let account = ";dtmfmode=rtpevent;mediaenc=srtp-mand";
    let mut caller = Baresip::start(folder, "caller", caller, &ports(&CALLER_PORTS), account).await?;
    let account = ";answermode=auto;mediaenc=srtp";
    let mut agent = Baresip::start(folder, "1001", agent, &ports(&AGENT_PORTS), account).await?;
    let desk = stage.desk("1001").await?;
    let all: Vec<u16> = CALLER_PORTS.step_by(2).chain(AGENT_PORTS.step_by(2)).collect();
    let capture = Capture::start(folder, "srtp", &all).await?;

    caller.order("dial", &format!("sip:02079460018@{}", stage.sip)).await?;
    caller.says("Call established").await.context("calling")?;
    caller.says("SRTP is Enabled").await?;
    agent.says("SRTP is Enabled").await?;
    key_and_pay(&desk, &mut caller, &mut agent).await?;

    caller.order("hangup", "").await?;
    let log = agent.says("session closed").await?;
    let events = log.lines().filter(|line| line.contains("received event")).count();
    assert!((1..=2).contains(&events), "the agent's phone tells of more than the one open key:\n{log}");
    if let Some(capture) = capture {
        let file = capture.end().await?;
        for range in [CALLER_PORTS, AGENT_PORTS] {
            let (commonest, tags) = commonest(&file, &range).await?;
            assert!(commonest < 8, "{range:?}: a byte of the sound stands there {commonest} times in a thousand");
            assert!(!tags.contains(&0), "{range:?}: a packet without a tag");
        }
    }
    for phone in [&mut caller, &mut agent] {
        phone.order("quit", "").await?;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let nothing = Read { multimon: String::new(), spandsp: String::new() };
    let heard = agent.heard()?;
    assert!(std::fs::metadata(&heard)?.len() > 60_000, "the agent's phone heard too little to judge");
    assert!(std::fs::metadata(caller.heard()?)?.len() > 60_000, "the caller's phone heard too little");
    assert_eq!(decode(&heard).await?, nothing);
    let log = stage.log();
    assert!(!log.contains("inline:") && !log.contains("crypto:"), "a key of SRTP is in the log:\n{log}");
    for phone in [&caller, &agent] {
        // Its words for RTP and for RTCP that it cannot take.
        assert!(!phone.log()?.contains("failed to decrypt"), "{}", phone.log()?);
    }
    stage.passed();
    Ok(())
}

/// A known trap: after a hold one side begins anew, and everything it sends is a replay for the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_protected_phones_hear_each_other_again_after_a_hold() -> anyhow::Result<()> {
    let (caller, agent) = (free_phone()?, free_phone()?);
    let route = Route { extension: "1001".to_owned(), caller, agent };
    let setting = Setting { srtp: ("required", "required"), records: false, ..Setting::new(17, vec![route]) };
    let stage = Stage::start("srtp-hold", setting).await?;
    let folder = stage.folder.path();
    let account = ";dtmfmode=rtpevent;mediaenc=srtp-mand";
    let mut caller = Baresip::start(folder, "caller", caller, "12000-12049", account).await?;
    let account = ";answermode=auto;mediaenc=srtp-mand";
    let mut agent = Baresip::start(folder, "1001", agent, "12050-12099", account).await?;
    let desk = stage.desk("1001").await?;
    caller.order("dial", &format!("sip:02079460018@{}", stage.sip)).await?;
    caller.says("Call established").await.context("calling")?;
    desk.wait_for_call("talking", WAIT_MAX).await?;
    caller.key("9").await?;
    agent.says("received event: '9'").await.context("a key before the hold")?;
    agent.order("hold", "").await?;
    desk.wait_for_call("held", WAIT_MAX).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    agent.order("resume", "").await?;
    desk.wait_for_call("talking", WAIT_MAX).await?;
    caller.key("8").await?;
    agent.says("received event: '8'").await.context("a key after the hold")?;
    // What they have sent, and what they have taken, in the last three seconds.
    for phone in [&caller, &agent] {
        phone.says("audio=64000/64000 (bit/s)").await.context("sound after the hold")?;
    }
    caller.order("hangup", "").await?;
    agent.says("session closed").await?;
    for phone in [&caller, &agent] {
        assert!(!phone.log()?.contains("failed to decrypt"), "{}", phone.log()?);
    }
    stage.passed();
    Ok(())
}

/// The control: the same check finds the sound on the leg that is not protected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_caller_reaches_a_protected_agent_and_only_the_plain_leg_can_be_read() -> anyhow::Result<()> {
    const CALLER_PORTS: RangeInclusive<u16> = 12_200..=12_249;
    const AGENT_PORTS: RangeInclusive<u16> = 12_250..=12_299;
    let (caller, agent) = (free_phone()?, free_phone()?);
    let route = Route { extension: "1001".to_owned(), caller, agent };
    let setting = Setting { srtp: ("off", "required"), records: false, ..Setting::new(19, vec![route]) };
    let stage = Stage::start("srtp-half", setting).await?;
    let folder = stage.folder.path();
    let mut caller = Baresip::start(folder, "caller", caller, &ports(&CALLER_PORTS), "").await?;
    let account = ";answermode=auto;mediaenc=srtp-mand";
    let agent = Baresip::start(folder, "1001", agent, &ports(&AGENT_PORTS), account).await?;
    let desk = stage.desk("1001").await?;
    let all: Vec<u16> = CALLER_PORTS.step_by(2).chain(AGENT_PORTS.step_by(2)).collect();
    let capture = Capture::start(folder, "srtp", &all).await?;
    caller.order("dial", &format!("sip:02079460018@{}", stage.sip)).await?;
    caller.says("Call established").await.context("calling")?;
    agent.says("SRTP is Enabled").await?;
    desk.wait_for_call("talking", WAIT_MAX).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    caller.order("hangup", "").await?;
    agent.says("session closed").await?;
    if let Some(capture) = capture {
        let file = capture.end().await?;
        let (open, protected) = (commonest(&file, &CALLER_PORTS).await?, commonest(&file, &AGENT_PORTS).await?);
        assert!(open.0 > 15 && open.1 == [0], "the check finds nothing where there is something: {open:?}");
        assert!(protected.0 < 8 && !protected.1.contains(&0), "{protected:?}");
    }
    stage.passed();
    Ok(())
}
