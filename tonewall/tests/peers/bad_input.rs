//! What comes from outside and makes no sense is answered clearly, and nobody else's call suffers.

use crate::stage::api::Api;
use crate::stage::folder::Folder;
use crate::stage::lane::Lane;
use crate::stage::{Route, Setting, Stage, binary, free_udp};
use crate::tools::{Said, run_command};
use lab::phone::Phone;
use reqwest::Method;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use tokio::net::UdpSocket;

const ANSWER_MAX: Duration = Duration::from_secs(3);

/// A SIP peer that sends whatever it is told.
struct Peer {
    socket: UdpSocket,
    sip: SocketAddr,
    sent: u32,
}

impl Peer {
    async fn at(address: SocketAddr, sip: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { socket: UdpSocket::bind(address).await?, sip, sent: 0 })
    }

    /// Sends it, with `OWN` for our own address and `#` for a fresh number; returns the status of the final answer.
    async fn ask(&mut self, message: &str) -> anyhow::Result<Option<String>> {
        self.sent += 1;
        let own = self.socket.local_addr()?.to_string();
        let message = message.replace("OWN", &own).replace('#', &self.sent.to_string()).replace('\n', "\r\n");
        self.socket.send_to(message.as_bytes(), self.sip).await?;
        let mut answer = vec![0; 65_535];
        loop {
            let Ok(received) = tokio::time::timeout(ANSWER_MAX, self.socket.recv(&mut answer)).await else {
                return Ok(None);
            };
            let answer = String::from_utf8_lossy(&answer[..received?]).into_owned();
            let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
            // An answer to an older message is sent again until it is acknowledged.
            if !status.starts_with('1') && answer.contains(&format!("Call-ID: call-{}\r\n", self.sent)) {
                return Ok(Some(status));
            }
        }
    }
}

/// A request with all that it needs; what a test wants wrong is replaced.
fn request(method: &str, extra: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
    let length = body.replace('\n', "\r\n").len();
    format!(
        "{method} sip:02079460018@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP OWN;branch=z9hG4bK-#\nMax-Forwards: 70\n\
         From: <sip:caller@127.0.0.1>;tag=t#\nTo: <sip:02079460018@127.0.0.1>\nCall-ID: call-#\n\
         CSeq: 1 {method}\nContact: <sip:OWN>\n{extra}{kind}Content-Length: {length}\n\n{body}"
    )
}

const SDP: &str = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 40000 RTP/AVP 0\n";

fn messages() -> Vec<(&'static str, String, &'static str)> {
    let video = SDP.replace("m=audio 40000 RTP/AVP 0", "m=video 40000 RTP/AVP 96");
    let strange = SDP.replace("RTP/AVP 0", "RTP/AVP 96") + "a=rtpmap:96 AMR-WB/16000\n";
    vec![
        ("no CSeq", request("INVITE", "", SDP).replace("CSeq: 1 INVITE\n", ""), "400"),
        (
            "a length longer than the message",
            request("INVITE", "", SDP).replace("Content-Length: ", "Content-Length: 9"),
            "400",
        ),
        ("two From", request("INVITE", "From: <sip:other@127.0.0.1>;tag=x\n", SDP), "400"),
        ("a CSeq of another method", request("INVITE", "", SDP).replace("CSeq: 1 INVITE", "CSeq: 1 OPTIONS"), "400"),
        ("an unknown method", request("DANCE", "", ""), "405"),
        ("another version", request("INVITE", "", SDP).replacen(" SIP/2.0\n", " SIP/7.0\n", 1), "505"),
        ("an unknown extension", request("INVITE", "Require: teleport\n", SDP), "420"),
        ("a body that is no SDP", request("INVITE", "", "hello\n"), "400"),
        ("video alone", request("INVITE", "", &video), "488"),
        ("no codec in common", request("INVITE", "", &strange), "488"),
        (
            "a BYE without a call",
            request("BYE", "", "").replace("To: <sip:02079460018@127.0.0.1>", "To: <sip:1@127.0.0.1>;tag=z"),
            "481",
        ),
        ("a question", request("OPTIONS", "", ""), "200"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sip_that_makes_no_sense_is_answered_and_calls_go_on() -> anyhow::Result<()> {
    let mut lane = Lane::new("1001").await?;
    let (odd, nowhere) = (free_udp()?, free_udp()?);
    let bad = Route { extension: "1009".to_owned(), caller: odd, agent: nowhere };
    let stage = Stage::start("bad-sip", Setting::new(8, vec![lane.route().await?, bad])).await?;
    let desk = stage.desk("1001").await?;
    let call = lane.connect(&stage, &desk).await?;
    let before = lane.agent.look(|phone| phone.ear().packets()).await?;
    let mut peer = Peer::at(odd, stage.sip).await?;
    for (what, message, wanted) in messages() {
        assert_eq!(peer.ask(&message).await?.as_deref(), Some(wanted), "{what}");
    }
    // Nothing can be said to these; nothing may break of them either.
    for noise in ["", "\r\n\r\n", "\u{0}\u{1}\u{2}", "SIP/2.0 200 OK\r\n\r\n", "INVITE"] {
        peer.socket.send_to(noise.as_bytes(), stage.sip).await?;
    }
    // A PBX calls a number that has no route, and a stranger calls at all.
    let mut pbx = Peer::at(nowhere, stage.sip).await?;
    assert_eq!(pbx.ask(&request("INVITE", "", SDP)).await?.as_deref(), Some("404"), "without a route");
    let mut stranger = Peer::at(free_udp()?, stage.sip).await?;
    assert_eq!(stranger.ask(&request("INVITE", "", SDP)).await?.as_deref(), Some("403"), "a stranger");

    tokio::time::sleep(Duration::from_millis(400)).await;
    let after = lane.agent.look(|phone| phone.ear().packets()).await?;
    assert!(after > before + 15, "the call that stood has lost its sound: {before} packets before, {after} after");
    desk.line(&call, "secure").await?;
    assert_eq!(lane.agent.look(Phone::sip).await?.ip(), stage.sip.ip());
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_that_makes_no_sense_gets_problem_details() -> anyhow::Result<()> {
    let mut lane = Lane::new("1001").await?;
    let stage = Stage::start("bad-http", Setting::new(9, vec![lane.route().await?])).await?;
    let desk = stage.desk("1001").await?;
    let call = lane.connect(&stage, &desk).await?;
    let (agent, stranger) = (Api::agent(&stage, "1001").await?, Api::stranger(&stage));
    let path = format!("/api/v1/calls/{call}/payments");
    let pan = "4242424242424242";
    let order = |rest: &str| format!("{{\"amount\":{{\"minor\":4200,\"currency\":\"GBP\"}}{rest}}}");
    for (body, status, code) in [
        (format!("{{ {pan}"), 400, "bad_json"),
        (order(&format!(",\"pan\":\"{pan}\"")), 422, "bad_field"),
        (order(&format!(",\"account\":\"{pan}\"")), 422, "looks_like_card"),
        ("{\"amount\":{\"minor\":-1,\"currency\":\"GBP\"}}".to_owned(), 422, "bad_amount"),
        (order(",\"fields\":[\"cvv\"]"), 422, "bad_fields"),
    ] {
        let answer = agent.send(Method::POST, &path, Some(body)).await?;
        assert_eq!(answer.problem(), (status, code.to_owned()));
        assert!(!answer.text.contains("4242"), "what was sent comes back: {answer:?}");
    }
    let answer = stranger.send(Method::POST, &path, Some(order(""))).await?;
    assert_eq!(answer.problem(), (401, "not_signed_in".to_owned()));
    let other = path.replace(&call, "00000000-0000-7000-8000-000000000000");
    assert_eq!(agent.send(Method::POST, &other, Some(order(""))).await?.problem(), (404, "not_found".to_owned()));
    assert_eq!(agent.send(Method::GET, "/api/v1/cards", None).await?.problem(), (404, "not_found".to_owned()));
    assert!(!stage.log().contains("4242"), "the log holds what was sent");
    // After all that the same call takes a payment.
    let answer = agent.send(Method::POST, &path, Some(order(""))).await?;
    assert_eq!(answer.status, 201, "{answer:?}");
    stage.passed();
    Ok(())
}

async fn tonewall(arguments: &[&str], folder: &Folder) -> anyhow::Result<Said> {
    let mut command = Command::new(binary::normal());
    command.args(arguments).arg("--config").arg(folder.path());
    run_command(&mut command, Duration::from_secs(15)).await
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_its_line() -> anyhow::Result<()> {
    let folder = Folder::new("bad-config")?;
    let (cde, office) = (folder.join("cde.toml"), folder.join("office.toml"));
    for (file, text, words) in [
        (&cde, "[sip]\nlisten = \"127.0.0.1:0\"\nlissten = 3\n", ["line 3", "lissten"]),
        (&cde, "[sip]\nlisten = \"here\"\n", ["line 2", "cde.toml"]),
        (&cde, "[[route]]\nfrom = \"carrier\"\nto = \"pbx\"\n", ["carrier", "no [[trunk]] has this name"]),
        (&cde, "[[gateway]]\nname = \"g\"\nkind = \"sandbox\"\nurl = \"http://example.com\"\n", ["gateway", "http"]),
        (&office, "listen = \"127.0.0.1:0\"\n\nmerchnat = \"main\"\n", ["line 3", "merchnat"]),
    ] {
        std::fs::write(file, text)?;
        for command in [&["check"][..], &["serve", "--one-user"]] {
            let said = tonewall(command, &folder).await?;
            assert!(!said.good, "{command:?} accepts {text}");
            for word in words {
                assert!(said.stderr.contains(word), "{command:?} does not say “{word}” of {text}:\n{}", said.stderr);
            }
        }
        std::fs::remove_file(file)?;
    }
    std::fs::write(&cde, "[sip]\nlisten = \"127.0.0.1:5060\"\n")?;
    let said = tonewall(&["check"], &folder).await?;
    assert!(said.good && said.stdout.contains("the configuration is usable"), "{}", said.all());
    assert!(said.stdout.contains("warning: there is no [[route]]"), "{}", said.all());
    folder.forget();
    Ok(())
}
