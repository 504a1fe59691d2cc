//! What breaks while a caller keys: the process stands still or is killed, a media thread stands still, the network is bad.
//! Nothing of a key reaches the agent's phone, and the desk is told.

use crate::decoders::{Read, decode, write_wav};
use crate::stage::lane::{Lane, authorize, capture, quick};
use crate::stage::{Setting, Stage, binary};
use crate::tools::{Background, file_says, is_root, run_command, signal};
use anyhow::Context;
use lab::desk::{Desk, text};
use lab::line::{Fates, Weather};
use lab::phone::{Phone, Press, Transport};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const PAN: &str = "4000056655665556*";
/// How long something stands still.
const STILL: Duration = Duration::from_millis(4_000);
const SOON: Duration = Duration::from_secs(10);
/// Times that a field is asked before the network is held to be at fault.
const TRIES_MAX: usize = 12;

/// A secured call with a payment that waits for the card.
struct Scene {
    stage: Stage,
    lane: Lane,
    desk: Desk,
    call: String,
    payment: String,
}

impl Scene {
    async fn new(name: &str, slot: u16, binary: PathBuf) -> anyhow::Result<Self> {
        let mut lane = Lane::new("1001").await?;
        let routes = vec![lane.route().await?];
        let stage = Stage::start(name, Setting { binary, ..Setting::new(slot, routes) }).await?;
        let desk = stage.desk("1001").await?;
        let call = lane.connect(&stage, &desk).await?;
        let payment = desk.start_payment(&call, 4200, "GBP").await?;
        desk.line(&call, "secure").await?;
        Ok(Self { stage, lane, desk, call, payment })
    }

    /// Begins to key the number and waits for a few keys.
    async fn begins_to_key(&self, transport: Transport) -> anyhow::Result<()> {
        self.lane.caller.press(&PAN[..16], Press::new(transport)).await?;
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        Ok(())
    }

    async fn has_keyed(&self) -> anyhow::Result<()> {
        self.lane.caller.keyed(Duration::from_secs(30)).await?;
        tokio::time::sleep(Duration::from_millis(600)).await;
        Ok(())
    }

    async fn leaks(&self) -> anyhow::Result<Vec<String>> {
        leaks(&self.stage, &self.lane).await
    }

    /// The call as the desk sees it.
    async fn view(&self) -> anyhow::Result<Value> {
        let calls = self.desk.calls().await?;
        calls.into_iter().find(|call| text(call, "/call") == self.call).context("the call is gone")
    }

    /// The lines of the call's story.
    async fn story(&self) -> anyhow::Result<Vec<String>> {
        let view = self.view().await?;
        let rows = view["timeline"].as_array().cloned().unwrap_or_default();
        Ok(rows.iter().map(|row| text(row, "/text_key").to_owned()).collect())
    }

    /// After a fault: the desk was told, the card is gone, the line is masked again, and another payment can be taken.
    async fn goes_on_after_a_fault(self) -> anyhow::Result<()> {
        let story = self.story().await?;
        let times = |key: &str| story.iter().filter(|told| *told == key).count();
        assert_eq!(times("payment_cancelled"), 1, "{story:?}");
        // The desk may hear of the fault only when the line is masked again.
        assert!(times("line_fault") > 0 || times("line_secured") > 1, "{story:?}");
        assert_eq!(text(&self.desk.payment(&self.payment).await?, "/state"), "cancelled");
        self.desk.wait_for_line(&self.call, "secured", SOON).await?;
        let keys = [PAN, "1235", "123"];
        let payment = capture(&self.lane, &self.desk, &self.call, 999, &keys, quick(Transport::Events)).await?;
        assert_eq!(text(&authorize(&self.desk, &payment).await?, "/state"), "approved");
        assert_eq!(self.leaks().await?, [""; 0]);
        self.stage.passed();
        Ok(())
    }
}

/// Everything at the agent's phone that gives a key away, in words; empty is good.
async fn leaks(stage: &Stage, lane: &Lane) -> anyhow::Result<Vec<String>> {
    let look = |phone: &Phone| {
        let ear = phone.ear();
        (ear.samples().to_vec(), ear.digits_since(0), [ear.event_packets(), ear.infos(), ear.strange()])
    };
    let (samples, ours, counts) = lane.agent.look(look).await?;
    let came = samples.iter().any(|sample| *sample != 0) || counts.iter().any(|count| *count > 0);
    anyhow::ensure!(came, "silence because nothing came proves nothing");
    let wav = stage.folder.join(format!("agent-{}.wav", lane.extension));
    write_wav(&wav, &samples)?;
    let Read { multimon, spandsp } = decode(&wav).await?;
    let read = [multimon, spandsp, ours].into_iter().filter(|read| !read.is_empty()).map(|read| format!("read {read}"));
    let counted = ["event packets", "INFO requests", "strange packets"].into_iter().zip(counts);
    let counted = counted.filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}"));
    Ok(read.chain(counted).collect())
}

/// Half of the number, then the process of the media stands still, then the rest.
async fn stopped(name: &str, slot: u16, binary: PathBuf) -> anyhow::Result<Scene> {
    let scene = Scene::new(name, slot, binary).await?;
    scene.begins_to_key(Transport::InBand).await?;
    let cde = scene.stage.pid("cde").await?;
    signal("STOP", cde);
    tokio::time::sleep(STILL / 2).await;
    let shown = scene.view().await?;
    tokio::time::sleep(STILL / 2).await;
    let later = scene.view().await?;
    signal("CONT", cde);
    // The desk warns by itself when the newest proof is two seconds old.
    let proofs = [shown, later].map(|view| text(&view, "/proof_at").to_owned());
    assert!(!proofs[0].is_empty() && proofs[0] == proofs[1], "a proof from a process that stands still: {proofs:?}");
    scene.has_keyed().await?;
    Ok(scene)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stood_still_gives_nothing_away_and_the_call_goes_on() -> anyhow::Result<()> {
    let scene = stopped("stopped", 20, binary::normal()).await?;
    assert_eq!(scene.leaks().await?, [""; 0]);
    scene.goes_on_after_a_fault().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_masking_off_a_process_that_stood_still_is_seen_to_leak() -> anyhow::Result<()> {
    let scene = stopped("stopped-off", 21, binary::masking_off()?).await?;
    assert!(!scene.leaks().await?.is_empty());
    scene.stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_gives_nothing_away_and_the_desk_sees_the_call_gone() -> anyhow::Result<()> {
    let mut scene = Scene::new("killed", 22, binary::normal()).await?;
    scene.begins_to_key(Transport::InBand).await?;
    signal("KILL", scene.stage.pid("cde").await?);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = scene.lane.agent.look(|phone| phone.ear().packets()).await?;
    scene.stage.ready().await?;
    scene.has_keyed().await?;
    assert_eq!(scene.lane.agent.look(|phone| phone.ear().packets()).await?, before, "from a call that is gone");
    assert_eq!(scene.leaks().await?, [""; 0]);
    assert!(scene.view().await.is_err(), "the desk sees the call");
    scene.desk.wait_for_payment(&scene.payment, &["cancelled"], SOON).await?;
    scene.lane.caller.hang_up().await?;
    scene.lane.agent.hang_up().await?;
    scene.call = scene.lane.connect(&scene.stage, &scene.desk).await.context("the next call")?;
    let keys = [PAN, "1235", "123"];
    capture(&scene.lane, &scene.desk, &scene.call, 999, &keys, quick(Transport::InBand)).await?;
    assert_eq!(scene.leaks().await?, [""; 0]);
    scene.stage.passed();
    Ok(())
}

/// The number of a thread of a process.
fn thread(process: u32, name: &str) -> anyhow::Result<u32> {
    let mut threads = std::fs::read_dir(format!("/proc/{process}/task"))?.flatten();
    let is_it = |entry: &std::fs::DirEntry| {
        std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|found| found.trim() == name)
    };
    let found = threads.find(is_it).with_context(|| format!("no thread {name}"))?;
    Ok(found.file_name().to_string_lossy().parse()?)
}

/// Stops a media thread, as a debugger would: the product needs no hook for it.
async fn stall(scene: &Scene) -> anyhow::Result<Background> {
    let (program, log) = (scene.stage.folder.join("stall"), scene.stage.folder.join("stall.log"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/stall.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-Wall", "-o"]).arg(&program).arg(source);
    let said = run_command(&mut compiler, SOON).await?;
    anyhow::ensure!(said.good, "compiling {source}: {}", said.all());
    let thread = thread(scene.stage.pid("cde").await?, "media-0")?;
    let mut command = Command::new(&program);
    command.args([thread.to_string(), STILL.as_millis().to_string()]);
    let stalled = Background::start(&mut command, &log)?;
    file_says(&log, "stopped", SOON).await?;
    Ok(stalled)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_media_thread_that_stands_still_is_a_fault_and_gives_nothing_away() -> anyhow::Result<()> {
    if !is_root() {
        eprintln!("not root: no thread of another process can be stopped");
        return Ok(());
    }
    for (number, transport) in [Transport::InBand, Transport::Events].into_iter().enumerate() {
        let scene = Scene::new("stalled", 23 + u16::try_from(number)?, binary::normal()).await?;
        scene.begins_to_key(transport).await?;
        let mut stalled = stall(&scene).await?;
        // While it stands, the rest of the process tells the desk.
        scene.desk.wait_for_line(&scene.call, "fault", STILL).await?;
        assert!(stalled.ended(SOON).await?, "the thread could not be let go");
        scene.has_keyed().await?;
        assert_eq!(scene.leaks().await?, [""; 0]);
        scene.goes_on_after_a_fault().await?;
    }
    Ok(())
}

const WAYS: [(&str, Transport); 4] = [
    ("1001", Transport::Events),
    ("1002", Transport::Info),
    ("1003", Transport::EventsAndInfo),
    ("1004", Transport::InBand),
];

/// Keys a card over a bad network, each field again until it is taken; returns the last four digits and the leaks.
async fn in_bad_weather(stage: &Stage, mut lane: Lane, transport: Transport) -> anyhow::Result<(String, Vec<String>)> {
    let desk = stage.desk(&lane.extension).await?;
    let call = lane.connect(stage, &desk).await?;
    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    let seed = lane.extension.parse()?;
    lane.caller.weather(Some(Weather { lost: 50, twice: 50, late: 50, seed })).await?;
    let mut asked = 0;
    for (number, (field, keys)) in [("pan", PAN), ("expiry", "1235"), ("cvv", "123")].into_iter().enumerate() {
        loop {
            lane.key(keys, Press::new(transport)).await?;
            // An INFO that got lost is sent again after half a second and a whole one.
            tokio::time::sleep(Duration::from_millis(2_000)).await;
            let view = desk.payment(&payment).await?;
            if text(&view, &format!("/fields/{number}/status")) == "ok" {
                break;
            }
            asked += 1;
            anyhow::ensure!(asked < TRIES_MAX, "{field} by {transport:?} was not taken: {view}");
            desk.act(&payment, &format!("fields/{field}/request")).await?;
        }
    }
    let Fates { lost, twice, late } = lane.caller.weather(None).await?;
    println!("{transport:?}: {lost} packets lost, {twice} doubled, {late} late; fields were asked again {asked} times");
    anyhow::ensure!(lost > 5 && twice > 5 && late > 5, "the network was too good");
    let paid = authorize(&desk, &payment).await?;
    anyhow::ensure!(text(&paid, "/state") == "approved", "{paid}");
    let leaks = leaks(stage, &lane).await?;
    lane.caller.hang_up().await?;
    Ok((text(&paid, "/card/last4").to_owned(), leaks))
}

async fn four_ways(slot: u16, masking: &'static str) -> anyhow::Result<()> {
    let (mut lanes, mut routes) = (Vec::new(), Vec::new());
    for (extension, _) in WAYS {
        let lane = Lane::new(extension).await?;
        routes.push(lane.route().await?);
        lanes.push(lane);
    }
    let stage = Stage::start(&format!("weather-{masking}"), Setting { masking, ..Setting::new(slot, routes) }).await?;
    let mut calls = lanes.into_iter().zip(WAYS).map(|(lane, (_, transport))| in_bad_weather(&stage, lane, transport));
    let mut next = || calls.next().unwrap();
    let (one, two, three, four) = tokio::join!(next(), next(), next(), next());
    for (taken, (_, transport)) in [one, two, three, four].into_iter().zip(WAYS) {
        let (last4, leaks) = taken?;
        assert_eq!((last4.as_str(), leaks), ("5556", Vec::new()), "by {transport:?}");
    }
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_bad_network_natural_takes_the_card_and_gives_nothing_away() -> anyhow::Result<()> {
    four_ways(26, "natural").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_bad_network_strict_takes_the_card_and_gives_nothing_away() -> anyhow::Result<()> {
    four_ways(27, "strict").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_masking_off_keys_are_found_over_a_bad_network_too() -> anyhow::Result<()> {
    for (transport, slot) in [(Transport::InBand, 28), (Transport::Events, 29)] {
        let scene = Scene::new("weather-off", slot, binary::masking_off()?).await?;
        scene.lane.caller.weather(Some(Weather { lost: 50, twice: 50, late: 50, seed: 1 })).await?;
        scene.lane.key(PAN, Press::new(transport)).await?;
        assert!(!scene.leaks().await?.is_empty(), "{transport:?}");
        scene.stage.passed();
    }
    Ok(())
}
