//! Calls that a recorder elsewhere has (RFC 7866), through the switchboard.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code"
)]

#[path = "calls/world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod world;

use call::{Config, Recorder, Srtp, Target, Trunk};
use media::Side;
use media::g711::Law;
use sip::offer_answer::Codec;
use std::time::Duration;
use wire::record::{AlarmKind, RecordingState};
use wire::{Action, AuditAction, CallEnd, Field};
use world::{DEAD, RECORDER, World};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.8\r\ns=-\r\nc=IN IP4 127.0.0.8\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n\
                   a=recvonly\r\nm=audio 6002 RTP/AVP 0\r\na=recvonly\r\n";

/// Calls from the carrier to 10… are to be recorded.
fn recorded(is_required: bool, srtp: Srtp) -> World {
    World::with(|config| configure(config, is_required, srtp))
}

fn configure(config: &mut Config, is_required: bool, srtp: Srtp) {
    let targets = vec![Target { ip: RECORDER.ip(), port: Some(RECORDER.port()), priority: 0, weight: 0 }];
    let recorder = Trunk { name: "recorder".to_owned(), targets, srtp, ..config.trunks[0].clone() };
    config.trunks.push(recorder);
    config.ports = (10_000, 10_023);
    config.routes[0].recorder = Some(Recorder { trunk: 2, is_required });
}

trait Recording {
    fn took(&mut self, method: &str) -> Vec<String>;
    fn answers(&mut self, status: &str, body: &str) -> String;
    fn says(&mut self, request: &str);
    fn told(&self, state: RecordingState) -> bool;
}

impl Recording for World {
    /// The requests of this method that have come to the recorder; said once.
    fn took(&mut self, method: &str) -> Vec<String> {
        let (of_method, rest) = std::mem::take(&mut self.to_recorder)
            .into_iter()
            .partition(|message| message.starts_with(&format!("{method} ")));
        self.to_recorder = rest;
        of_method
    }

    /// The recorder answers the INVITE that has come last, and gives that back.
    fn answers(&mut self, status: &str, body: &str) -> String {
        let invite = self.took("INVITE").pop().expect("an INVITE");
        let same =
            ["Via", "From", "Call-ID", "CSeq"].map(|name| format!("{name}: {}\r\n", header(&invite, name))).concat();
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.says(&format!(
            "SIP/2.0 {status}\r\n{same}To: {};tag=srs\r\nContact: <sip:{RECORDER}>;+sip.srs\r\n{content}Content-Length: {}\r\n\r\n{body}",
            header(&invite, "To"),
            body.len()
        ));
        invite
    }

    fn says(&mut self, message: &str) {
        self.receive(RECORDER, message.as_bytes());
        self.settle();
    }

    fn told(&self, state: RecordingState) -> bool {
        self.audited(|action| *action == AuditAction::Recording { recording: state })
    }
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {message}"))
}

/// A request of the recorder in the session that this INVITE has opened.
fn request(invite: &str, method: &str, cseq: u32, body: &str) -> String {
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {RECORDER};branch=z9hG4bKsrs{cseq}\r\nMax-Forwards: 70\r\n\
         From: {};tag=srs\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <sip:{RECORDER}>\r\n{content}\
         Content-Length: {}\r\n\r\n{body}",
        header(invite, "To"),
        header(invite, "From"),
        header(invite, "Call-ID"),
        body.len()
    )
}

#[test]
fn an_answered_call_is_offered_to_the_recorder_as_rfc_7866_has_it() {
    let mut world = recorded(false, Srtp::Off);
    world.ring();
    assert!(world.to_recorder.is_empty(), "not before it is answered");
    let mut world = recorded(false, Srtp::Off);
    world.talk();
    let invite = world.answers("200 OK", SDP);
    assert_eq!(header(&invite, "Require"), "siprec");
    assert!(header(&invite, "Contact").ends_with(">;+sip.src"), "{invite}");
    assert_eq!(header(&invite, "Content-Type"), "multipart/mixed;boundary=recording-session-parts");
    let parts: Vec<&str> = invite.split("--recording-session-parts").collect();
    assert_eq!((parts.len(), parts[3]), (4, "--\r\n"), "{invite}");
    assert!(parts[1].starts_with("\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"), "{}", parts[1]);
    assert_eq!(parts[1].matches("a=sendonly\r\n").count(), 2);
    assert!(!parts[1].contains("telephone-event"));
    let [agent, caller] = world.copies_from.unwrap().map(|address| address.port());
    let streams: Vec<&str> = parts[1].split("m=audio ").skip(1).collect();
    assert!(
        streams[0].starts_with(&format!("{agent} RTP/AVP 0\r\n")) && streams[0].contains("a=label:1\r\n"),
        "{}",
        parts[1]
    );
    assert!(
        streams[1].starts_with(&format!("{caller} RTP/AVP 0\r\n")) && streams[1].contains("a=label:2\r\n"),
        "{}",
        parts[1]
    );
    let about = parts[2].strip_prefix(
        "\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n",
    );
    let about = about.unwrap();
    assert!(
        about.contains("aor=\"sip:447700900142@127.0.0.1:5060\"") && about.contains("aor=\"sip:1001@127.0.0.1:5060\""),
        "{about}"
    );
    assert!(about.contains("<label>1</label>") && about.contains("<datamode>complete</datamode>"), "{about}");
    assert!(world.told(RecordingState::Started) && world.took("ACK").len() == 1);
    let copies: Vec<_> =
        world.copies.iter().map(|(side, remote, keys)| (*side, remote.address.port(), keys.is_some())).collect();
    assert_eq!(copies, [(Side::Agent, 6000, false), (Side::Caller, 6002, false)]);
    assert!(
        world.copies.iter().all(|(_, remote, _)| remote.receives && !remote.sends && remote.telephone_event.is_none())
    );
}

#[test]
fn the_recorder_is_told_nothing_of_what_is_keyed() {
    let mut world = recorded(false, Srtp::Off);
    world.talk();
    world.answers("200 OK", SDP);
    world.start_payment(&[Field::Pan, Field::Expiry]);
    world.command(Action::Secure);
    world.keys("4242424242424242");
    world.caller_info("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n");
    world.pass(Duration::from_secs(5));
    assert_eq!(world.to_recorder.len(), 1, "the ACK");
    assert!(world.copies.len() == 2, "and the copies stand as they were");
}

#[test]
fn the_recording_ends_with_the_call_and_its_ports_are_free_again() {
    let mut world = recorded(false, Srtp::Off);
    // There is room for three.
    for _ in 0..6 {
        world.talk();
        world.answers("200 OK", SDP);
        world.caller_hangs_up();
        assert_eq!(world.took("BYE").len(), 1);
    }
}

#[test]
fn ports_that_cannot_be_bound_are_others_for_the_copies_too() {
    let mut world = recorded(false, Srtp::Off);
    world.taken_pairs = 2;
    world.talk();
    let invite = world.answers("200 OK", SDP);
    let [agent, caller] = world.copies_from.unwrap().map(|address| address.port());
    assert_eq!((world.tried.len(), agent, caller), (3, 10_020, 10_022));
    assert!(invite.contains("m=audio 10020 ") && invite.contains("m=audio 10022 "), "{invite}");
}

#[test]
fn a_recorder_that_refuses_is_asked_three_times_and_the_call_goes_on() {
    let mut world = recorded(false, Srtp::Off);
    world.talk();
    for number in 0..3 {
        assert!(!world.told(RecordingState::Failed), "after {number}");
        world.answers("486 Busy Here", "");
        world.pass(Duration::from_secs(3));
    }
    assert!(world.told(RecordingState::Failed) && !world.told(RecordingState::Started));
    world.pass(Duration::from_secs(60));
    assert!(world.took("INVITE").is_empty());
    assert_eq!(world.ended(), None);
}

#[test]
fn a_recorder_that_is_silent_is_given_up_too_and_an_answer_that_comes_late_is_ended() {
    let mut world = recorded(false, Srtp::Off);
    world.talk();
    world.pass(Duration::from_secs(6));
    world.answers("200 OK", SDP);
    assert!(!world.told(RecordingState::Started) && world.copies.is_empty());
    assert_eq!(world.took("BYE").len(), 1);
    world.pass(Duration::from_secs(20));
    assert!(world.told(RecordingState::Failed) && world.ended().is_none());
}

#[test]
fn an_answer_that_cannot_be_used_is_a_failure() {
    let one_stream = SDP.split_inclusive("recvonly\r\n").next().unwrap();
    let (other_codec, refused) = (SDP.replace("AVP 0", "AVP 8"), SDP.replace("m=audio 6002", "m=audio 0"));
    for body in ["", "v=0\r\n", one_stream, &other_codec, &refused] {
        let mut world = recorded(true, Srtp::Off);
        world.talk();
        world.answers("200 OK", body);
        assert_eq!(world.took("BYE").len(), 1, "{body}");
        assert!(world.copies.is_empty() && !world.told(RecordingState::Started));
    }
}

#[test]
fn a_call_that_must_be_recorded_ends_when_it_cannot_be() {
    let mut world = recorded(true, Srtp::Off);
    world.talk();
    let invite = world.answers("200 OK", SDP);
    world.says(&request(&invite, "BYE", 1, ""));
    assert!(world.told(RecordingState::Lost) && world.copies.is_empty());
    assert_eq!(world.ended(), None);
    world.pass(Duration::from_secs(3));
    world.answers("503 Service Unavailable", "");
    world.pass(Duration::from_secs(3));
    world.answers("503 Service Unavailable", "");
    assert!(world.audited(|action| *action == AuditAction::Alarm { kind: AlarmKind::NotRecorded }));
    assert_eq!((world.ended(), world.board.calls()), (Some(CallEnd::Failed), 0));
}

#[test]
fn a_recorder_that_has_left_is_called_again() {
    let mut world = recorded(false, Srtp::Off);
    world.talk();
    let invite = world.answers("200 OK", SDP);
    world.says(&request(&invite, "BYE", 1, ""));
    world.pass(Duration::from_secs(3));
    let again = world.answers("200 OK", SDP);
    assert_ne!(header(&again, "Call-ID"), header(&invite, "Call-ID"));
    assert_eq!(world.copies.len(), 2);
}

#[test]
fn a_recorder_whose_first_place_is_dead_is_called_at_the_next() {
    let mut world = World::with(|config| {
        configure(config, false, Srtp::Off);
        let dead = Target { ip: DEAD.ip(), port: Some(DEAD.port()), priority: 0, weight: 0 };
        config.trunks[2].targets[0].priority = 1;
        config.trunks[2].targets.push(dead);
    });
    world.talk();
    assert!(world.to_recorder.is_empty());
    world.pass(Duration::from_secs(6));
    world.answers("200 OK", SDP);
    assert!(world.told(RecordingState::Started) && !world.told(RecordingState::Lost));
}

#[test]
fn sides_that_come_to_another_codec_are_recorded_in_a_session_of_that() {
    let mut world = recorded(false, Srtp::Off);
    world.talk();
    let invite = world.answers("200 OK", SDP);
    world.agent_offers_a_law();
    assert!(!world.told(RecordingState::Lost) && world.copies.is_empty());
    assert_eq!(world.took("BYE").len(), 1);
    let again = world.to_recorder.last().unwrap().clone();
    assert_ne!(header(&again, "Call-ID"), header(&invite, "Call-ID"));
    let types: Vec<&str> =
        again.lines().filter(|line| line.starts_with("m=audio")).map(|line| &line[line.len() - 1..]).collect();
    assert_eq!(types, ["8", "0"], "the agent's, and the caller's");
    world.answers("200 OK", &SDP.replacen("AVP 0", "AVP 8", 1));
    assert_eq!(world.copies.len(), 2);
}

/// Recorders know no Opus: such a leg is offered to them, and copied, in G.711.
#[test]
fn a_leg_of_opus_is_recorded_in_g711() {
    let mut world = recorded(false, Srtp::Off);
    world.peer(Side::Caller).speaks(&[Codec::Opus]);
    world.peer(Side::Agent).speaks(&[Codec::Pcma]);
    world.talk();
    let invite = world.answers("200 OK", &SDP.replacen("AVP 0", "AVP 8", 1));
    let types: Vec<&str> =
        invite.lines().filter(|line| line.starts_with("m=audio")).map(|line| &line[line.len() - 1..]).collect();
    assert_eq!((types, invite.contains("opus")), (vec!["8", "0"], false), "the agent's, and the caller's");
    let codecs: Vec<media::Codec> = world.copies.iter().map(|(_, remote, _)| remote.codec).collect();
    assert_eq!(codecs, [media::Codec::G711(Law::A), media::Codec::G711(Law::Mu)]);
}

#[test]
fn a_call_that_is_transferred_is_recorded_as_the_new_agents() {
    let mut world = recorded(false, Srtp::Off);
    world.talk();
    world.answers("200 OK", SDP);
    world.command(Action::Secure);
    world.agent_says("REFER", "Refer-To: <sip:2001@127.0.0.1>\r\n", None);
    assert_eq!(world.copies.len(), 2, "until the new agent is there");
    world.agent_picks_up();
    assert_eq!((world.took("BYE").len(), world.copies.len()), (1, 0));
    let again = world.answers("200 OK", SDP);
    assert!(again.contains("aor=\"sip:2001@127.0.0.1:5060\"") && !again.contains("sip:1001@"), "{again}");
    assert!(world.copies.len() == 2 && !world.told(RecordingState::Lost));
}

#[test]
fn a_recorder_may_pause_and_go_on_and_nothing_more() {
    let mut world = recorded(false, Srtp::Off);
    world.talk();
    let invite = world.answers("200 OK", SDP);
    let sends = |world: &World| world.copies.iter().rev().take(2).all(|(_, remote, _)| remote.receives);
    for (cseq, direction, wanted) in [(1, "inactive", false), (2, "recvonly", true), (3, "sendrecv", true)] {
        let pause = SDP.replace("recvonly", direction);
        world.says(&request(&invite, "INVITE", cseq, &pause));
        let answer = world.took("SIP/2.0").pop().unwrap();
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        let ours = if wanted { "a=sendonly" } else { "a=inactive" };
        assert_eq!(answer.matches(ours).count(), 2, "{answer}");
        world.says(&request(&invite, "ACK", cseq, ""));
        assert_eq!(sends(&world), wanted, "{direction}");
    }
    for (cseq, method, body, status) in [(4, "INVITE", "v=0\r\n", "400"), (5, "INFO", "", "415")] {
        world.says(&request(&invite, method, cseq, body));
        let answer = world.took("SIP/2.0").pop().unwrap();
        assert!(answer.starts_with(&format!("SIP/2.0 {status}")), "{answer}");
    }
    assert_eq!(world.ended(), None);
}

#[test]
fn sound_to_a_recorder_is_protected_as_its_trunk_says() {
    let mut world = recorded(false, Srtp::Required);
    world.talk();
    let invite = world.to_recorder.last().unwrap().clone();
    assert_eq!(invite.matches("RTP/SAVP 0\r\n").count(), 2, "{invite}");
    let keys: Vec<&str> = invite.lines().filter(|line| line.starts_with("a=crypto:1 ")).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "a key of its own each");
    world.answers("200 OK", SDP);
    assert!(world.copies.is_empty(), "not in the clear");
    world.pass(Duration::from_secs(3));
    let (suite, key) = (keys[0].split(' ').nth(1).unwrap(), keys[0].split(' ').nth(2).unwrap());
    let line = format!("a=crypto:1 {suite} {key}\r\na=recvonly");
    world.answers("200 OK", &SDP.replace("RTP/AVP", "RTP/SAVP").replace("a=recvonly", &line));
    assert_eq!(world.copies.iter().filter(|(_, _, keys)| keys.is_some()).count(), 2);
}
