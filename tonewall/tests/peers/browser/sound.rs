//! What is said is heard, by Opus of a browser: known notes go both ways through the codec, and of keys nothing does.

use super::{Browser, CARD, KEYS_MAX, WAIT_MAX, nothing, nowhere};
use crate::decoders::{assert_only_nines, decode, write_wav};
use crate::melody::{OF_AGENT, OF_CALLER, read_wav};
use crate::stage::lane::{authorize, phone, quick};
use crate::stage::{Page, Route, Setting, Stage, free_udp};
use anyhow::Context;
use lab::desk::{Desk, text};
use lab::line::Line;
use lab::phone::{Event, Phone, Transport};
use std::path::Path;
use std::time::Duration;

/// More than two rounds of a melody, which takes 1.92 s.
const LISTEN: Duration = Duration::from_secs(6);
/// A buffer of sound that is still to be heard.
const LATE: usize = 8_000;

/// A page that knows Opus alone and whose microphone says the agent's notes.
async fn page(folder: &Path, url: &str, user: &str) -> anyhow::Result<Browser> {
    let wav = folder.join("microphone.wav");
    OF_AGENT.write(&wav)?;
    let wav = wav.to_string_lossy().into_owned();
    Browser::with(folder, url, user, &[("TONEWALL_PHONE_SOUND", &wav), ("TONEWALL_PHONE_CODEC", "opus")]).await
}

/// Secures the line, keys the card as tones in the sound, and charges it; returns once the line is open again.
async fn pays_by_tones(caller: &Line, desk: &Desk, call: &str) -> anyhow::Result<()> {
    let payment = desk.start_payment(call, 4200, "GBP").await?;
    desk.line(call, "secure").await?;
    for keys in CARD {
        caller.press(keys, quick(Transport::InBand)).await?;
        caller.keyed(KEYS_MAX).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let paid = authorize(desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    desk.wait_for_line(call, "open", WAIT_MAX).await
}

/// The caller has G.711 alone, so all of it is coded anew, both ways. The key of the open line is heard, so the others would be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_cross_opus_both_ways_and_keys_do_not() -> anyhow::Result<()> {
    let mut caller = phone("+447700900142", free_udp()?, None).await?;
    let route = Route { extension: "1001".to_owned(), caller: caller.look(Phone::sip).await?, agent: nowhere() };
    let stage =
        Stage::start("browser-opus", Setting { page: Some(Page::Agent), ..Setting::new(23, vec![route]) }).await?;
    let folder = stage.folder.path();
    let mut page = page(folder, &format!("ws://{}", stage.pages), "1001").await?;
    let desk = stage.desk("1001").await?;
    caller.say(OF_CALLER.samples()).await?;
    caller.call("02079460018", stage.sip).await?;
    caller.wait_for(Event::Established, WAIT_MAX).await.context("calling")?;
    page.says("\"state\":\"connected\"").await.context("DTLS and ICE")?;
    let call = text(&desk.wait_for_call("talking", WAIT_MAX).await?, "/call").to_owned();
    tokio::time::sleep(LISTEN).await;
    caller.press("9", quick(Transport::InBand)).await?;
    caller.keyed(KEYS_MAX).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (open, secured, after) = (folder.join("open.wav"), folder.join("secured.wav"), folder.join("all.wav"));
    page.heard(&open).await?;

    pays_by_tones(&caller, &desk, &call).await?;
    page.heard(&secured).await?;
    tokio::time::sleep(LISTEN).await;
    page.heard(&after).await?;
    let stats = page.stats().await?;
    assert_eq!(stats["codec"], "audio/opus", "{stats}");

    let (all, opened, released) = (read_wav(&after)?, read_wav(&open)?.len(), read_wav(&secured)?.len());
    let notes = |samples: &[i16]| OF_CALLER.notes(samples);
    assert!(notes(&all[..opened]).contains("abcdefabcdef"), "on the open line: {}", notes(&all[..opened]));
    let part = &all[released - LATE..];
    assert!(notes(part).contains("abcdef"), "after the release: {}", notes(part));
    assert_only_nines(&decode(&after).await?);
    write_wav(&secured, &all[opened..released])?;
    assert_eq!(decode(&secured).await?, nothing());

    // The agent is heard all the time, keys or not.
    let heard = caller.look(|phone: &Phone| phone.ear().samples().to_vec()).await?;
    let heard = OF_AGENT.notes(&heard);
    assert!(heard.matches("abcdef").count() >= 6, "from the page: {heard}");
    caller.hang_up().await?;
    page.says("\"ended\"").await?;
    drop(page);
    stage.passed();
    Ok(())
}

/// The other way round: the browser is the caller, its notes go to an agent with G.711, and its keys are events of 48 kHz.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_in_a_browser_is_heard_by_opus_and_pays() -> anyhow::Result<()> {
    let agent = phone("1001", free_udp()?, Some(Duration::from_millis(100))).await?;
    agent.say(OF_CALLER.samples()).await?;
    let route = Route { extension: "1001".to_owned(), caller: nowhere(), agent: agent.look(Phone::sip).await? };
    let stage =
        Stage::start("browser-opus-caller", Setting { page: Some(Page::Caller), ..Setting::new(24, vec![route]) })
            .await?;
    let folder = stage.folder.path();
    let mut page = page(folder, &format!("wss://{}", stage.pages), "customer").await?;
    let desk = stage.desk("1001").await?;
    page.order("dial 02079460018")?;
    page.says("\"state\":\"connected\"").await.context("DTLS and ICE")?;
    let call = text(&desk.wait_for_call("talking", WAIT_MAX).await?, "/call").to_owned();
    tokio::time::sleep(LISTEN).await;
    let sample = async || agent.look(|phone: &Phone| phone.ear().samples().len()).await;
    let opened = sample().await?;
    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    for keys in CARD {
        page.order(&format!("keys {keys}"))?;
        tokio::time::sleep(Duration::from_millis(u64::try_from(keys.len())? * 200 + 500)).await;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    desk.wait_for_line(&call, "open", WAIT_MAX).await?;
    let released = sample().await?;
    tokio::time::sleep(LISTEN).await;
    let stats = page.stats().await?;
    assert_eq!(stats["codec"], "audio/opus", "{stats}");
    let heard_by_page = folder.join("page.wav");
    page.heard(&heard_by_page).await?;
    page.order("hangup")?;
    page.says("\"ended\"").await?;

    let (heard, events) =
        agent.look(|phone: &Phone| (phone.ear().samples().to_vec(), phone.ear().event_packets())).await?;
    let notes = |samples: &[i16]| OF_AGENT.notes(samples);
    assert!(notes(&heard[..opened]).contains("abcdefabcdef"), "on the open line: {}", notes(&heard[..opened]));
    assert!(notes(&heard[released..]).contains("abcdef"), "after the release: {}", notes(&heard[released..]));
    let wav = folder.join("agent.wav");
    write_wav(&wav, &heard[opened..released])?;
    assert_eq!((decode(&wav).await?, events), (nothing(), 0), "a key reached the agent");
    let by_page = OF_CALLER.notes(&read_wav(&heard_by_page)?);
    assert!(by_page.matches("abcdef").count() >= 6, "the agent, by the page: {by_page}");
    drop(page);
    stage.passed();
    Ok(())
}
