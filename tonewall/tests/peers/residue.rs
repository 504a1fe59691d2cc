//! What is left of a card one second after its outcome.

pub mod search;

use crate::capture::Capture;
use crate::decoders::{Read, decode};
use crate::stage::lane::{Lane, authorize, capture, quick};
use crate::stage::{Setting, Stage};
use crate::tools::is_root;
use lab::desk::text;
use lab::phone::{Phone, Transport};
use search::{Needle, needles};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const PAN: &str = "4000056655665556";
const CVV: &str = "847";

fn card() -> Vec<Needle> {
    needles(PAN, CVV)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_after_the_outcome_nothing_is_left_of_the_card() -> anyhow::Result<()> {
    let mut lane = Lane::new("1001").await?;
    let stage = Stage::start("residue", Setting::new(5, vec![lane.route().await?])).await?;
    let desk = stage.desk("1001").await?;
    let call = lane.connect(&stage, &desk).await?;
    let ports = [lane.agent_rtp.port(), lane.agent.look(Phone::sip).await?.port()];
    let sniffer = Capture::start(stage.folder.path(), "agent", &ports).await?;
    let number = format!("{PAN}*");
    let keys = [number.as_str(), "1235", CVV];
    // Both ways at once: two paths through the program, two chances to leave something.
    let payment = capture(&lane, &desk, &call, 4200, &keys, quick(Transport::EventsAndInfo)).await?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "5556"));
    tokio::time::sleep(Duration::from_secs(1)).await;

    for side in ["cde", "office"] {
        let pid = stage.pid(side).await?;
        if !is_root() {
            let refused = side == "cde" && search::memory(pid, &card()).is_ok();
            assert!(!refused, "the cde's memory can be read without being root");
            eprintln!("not root: the memory of {side} is not searched");
            continue;
        }
        // The control: the payment's id is no secret, both processes know it, and it is found.
        let known = search::memory(pid, &[Needle::new("the id", payment.as_bytes())])?;
        assert!(!known.found.is_empty(), "the search does not see what is in the memory of {side}");
        let memory = search::memory(pid, &card())?;
        assert!(memory.found.is_empty(), "in the memory of {side}: {:?}", memory.found);
        assert!(memory.bytes > 1_000_000, "only {} bytes of {side} could be read", memory.bytes);
        println!("{side}: {} bytes searched, {} mappings are secret", memory.bytes, memory.secret);
    }
    lane.caller.hang_up().await?;
    if let Some(sniffer) = sniffer {
        sniffer.end().await?;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (found, files) = search::folder(stage.folder.path(), &card())?;
    assert_eq!(found, [""; 0], "in a file");
    for wanted in ["journal.db", "journal.db-wal", "office.db", "office.db-wal", "serve.log", ".wav"] {
        assert!(
            files.iter().any(|file| file.to_string_lossy().ends_with(wanted)),
            "no {wanted} was searched: {files:?}"
        );
    }
    for recording in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "wav")) {
        let nothing = Read { multimon: String::new(), spandsp: String::new() };
        assert_eq!(decode(recording).await?, nothing, "in the recording");
        assert_eq!(lab::digits_in_recording(&std::fs::read(recording)?).as_deref(), Some(""), "in the recording");
    }
    stage.passed();
    Ok(())
}

/// A folder of this test alone.
fn place(name: &str) -> PathBuf {
    let place = std::env::temp_dir().join(format!("tonewall-planted-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    place
}

#[test]
fn a_card_planted_in_a_log_or_a_recording_is_found() {
    let place = place("files");
    let mut recording = vec![0_u8; 60_000];
    recording[44_001..44_017].copy_from_slice(&PAN.bytes().map(|digit| digit - b'0').collect::<Vec<_>>());
    std::fs::write(place.join("1-call.wav"), &recording).unwrap();
    std::fs::create_dir(place.join("deep")).unwrap();
    std::fs::write(place.join("deep/serve.log"), format!("INFO sent {{\"number\":\"{PAN}\",\"cvv\":\"{CVV}\"}}"))
        .unwrap();
    let (mut found, files) = search::folder(&place, &card()).unwrap();
    found.sort();
    let found: Vec<_> = found.iter().map(|found| found.split(" in /").next().unwrap()).collect();
    assert_eq!(found, ["the code in a request", "the number as bytes 0 to 9", "the number as text"]);
    assert_eq!(files.len(), 2);
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn every_way_of_writing_a_card_is_found() {
    let wide: Vec<u8> = PAN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let other: Vec<u8> = PAN.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let packed = [0x40, 0x00, 0x05, 0x66, 0x55, 0x66, 0x55, 0x56];
    for (bytes, name) in [
        (wide.as_slice(), "the number as UTF-16"),
        (&other, "the number as UTF-16"),
        (&packed, "the number packed two digits a byte"),
        (b"4000 0566 5566 5556", "the number in groups"),
        (b"{\\\"cvv\\\":\\\"847\\\"}", "the code in a request, quotes escaped"),
        (b"Card { cvv: \"847\" }", "the code printed"),
    ] {
        let haystack = [b"before 4000 ".as_slice(), bytes, b" after"].concat();
        assert_eq!(search::find(&haystack, &card()), [name]);
    }
    assert!(search::find(b"4000056655665557 \"cvv\":\"848\"", &card()).is_empty());
}

#[test]
fn a_card_planted_in_ordinary_memory_is_found() {
    if !is_root() {
        return eprintln!("not root: no memory is searched, so none has to be found");
    }
    // A program that reads and waits: what it has read lies in a buffer of its.
    let mut holder =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat is on every system");
    let input = holder.stdin.as_mut().unwrap();
    input.write_all(format!("{{\"number\":\"{PAN}\",\"cvv\":\"{CVV}\"}}\n").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let memory = search::memory(holder.id(), &card());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let found = memory.unwrap().found;
    for name in ["the number as text", "the code in a request"] {
        assert!(found.iter().any(|found| found.starts_with(name)), "{name} was not found: {found:?}");
    }
}
