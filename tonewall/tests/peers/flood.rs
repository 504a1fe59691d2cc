//! Strangers by the ten thousand: calls that somebody else would pay for, passwords that are guessed, rubbish.

use crate::stage::lane::Lane;
use crate::stage::{Setting, Stage};
use lab::desk::text;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const SLOT: u16 = 41;
const TOGETHER: usize = 50;
/// Ten thousand a second.
const PACE: Duration = Duration::from_millis(5);
/// Until a new call stands. The bar is 2 s; a machine that is busy with other tests gets more.
const SETUP_MAX: Duration = Duration::from_secs(6);

/// Sends until told otherwise; gives how many were sent, and what was answered but by a refusal.
fn flood(sip: SocketAddr, over: &AtomicBool, sent: &AtomicUsize) -> Vec<String> {
    let sockets: Vec<UdpSocket> = (88..92).map(|host| UdpSocket::bind(format!("127.0.0.{host}:0")).unwrap()).collect();
    sockets.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
    let (began, mut taken) = (Instant::now(), Vec::new());
    while !over.load(Ordering::Relaxed) {
        for _ in 0..TOGETHER {
            let number = sent.fetch_add(1, Ordering::Relaxed);
            let socket = &sockets[number % sockets.len()];
            let _ = socket.send_to(&message(number, socket.local_addr().unwrap(), sip), sip);
            let mut answer = [0; 2048];
            while let Ok((length, _)) = socket.recv_from(&mut answer) {
                let line = String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned();
                let refused = ["4", "5"].iter().any(|class| line.starts_with(&format!("SIP/2.0 {class}")));
                if !refused && !line.starts_with("SIP/2.0 100") {
                    taken.push(line);
                }
            }
        }
        let due = PACE * u32::try_from(sent.load(Ordering::Relaxed) / TOGETHER).unwrap();
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    taken
}

fn message(number: usize, from: SocketAddr, sip: SocketAddr) -> Vec<u8> {
    let request = |method: &str, user: &str, more: &str| {
        format!(
            "{method} sip:{user}{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bKf{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:1001@{sip}>;tag=f{number}\r\nTo: <sip:{user}{sip}>\r\nCall-ID: flood{number}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:1001@{from}>\r\n{more}Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    };
    let guess = format!(
        "Authorization: Digest username=\"1001\", realm=\"tonewall\", nonce=\"{number}\", uri=\"sip:{sip}\", \
         response=\"{number:032x}\", algorithm=MD5\r\n"
    );
    match number % 4 {
        0 => request("INVITE", "900442079460018@", ""),
        1 => request("INVITE", "02079460018@", &guess),
        2 => request("REGISTER", "", &guess),
        _ => format!("{number} \0\u{7f}\r\n\r\n").repeat(1 + number % 20).into_bytes(),
    }
}

async fn heard(lane: &Lane) -> anyhow::Result<usize> {
    Ok(lane.agent.look(|phone| phone.ear().packets()).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_drop_no_call_hinder_no_new_one_and_dial_nothing() -> anyhow::Result<()> {
    let (mut first, mut second) = (Lane::new("1001").await?, Lane::new("1002").await?);
    let setting = Setting::new(SLOT, vec![first.route().await?, second.route().await?]);
    let stage = Stage::start("flood", setting).await?;
    let (desk, other) = (stage.desk("1001").await?, stage.desk("1002").await?);
    let call = first.connect(&stage, &desk).await?;

    let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (sip, until, count) = (stage.sip, Arc::clone(&over), Arc::clone(&sent));
    let flooding = std::thread::spawn(move || flood(sip, &until, &count));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, began) = (heard(&first).await?, Instant::now());
    tokio::time::timeout(SETUP_MAX, second.connect(&stage, &other)).await??;
    println!("a call set up in {:?} among {} messages", began.elapsed(), sent.load(Ordering::Relaxed));
    // A minute of it: TONEWALL_FLOOD_S=60.
    let longer = std::env::var("TONEWALL_FLOOD_S").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(2);
    tokio::time::sleep(Duration::from_secs(longer)).await;
    over.store(true, Ordering::Relaxed);
    let taken = flooding.join().unwrap();

    assert!(sent.load(Ordering::Relaxed) > 30_000, "{} messages", sent.load(Ordering::Relaxed));
    assert_eq!(taken, [""; 0], "nothing was taken from a stranger");
    assert_eq!(text(&desk.wait_for_call("talking", Duration::from_secs(1)).await?, "/call"), call);
    assert!(heard(&first).await? > before + 80, "and its sound went on");
    let calls = desk.calls().await?.len() + other.calls().await?.len();
    assert_eq!(calls, 2, "and no other call was made");
    first.caller.hang_up().await?;
    second.caller.hang_up().await?;
    stage.passed();
    Ok(())
}
