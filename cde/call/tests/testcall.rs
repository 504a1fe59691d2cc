//! Test calls: what they find out, and that they go to one number only.
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

use call::Srtp;
use media::{Flow, LegStats, Side};
use std::time::{Duration, Instant};
use wire::{Action, CallId, Command, CommandResult, Refusal, TestEvent, TestResult, TestSnapshot};
use world::{AGENT, Connected, World, order};

fn world_with(srtp: Srtp) -> World {
    let mut world = World::with(|config| {
        config.trunks[1].srtp = srtp;
        config.trunks[1].test_number = Some("9196".parse().unwrap());
    });
    world.peer(Side::Agent).srtp = srtp;
    world
}

fn begin(world: &mut World, trunk: &str) -> CommandResult {
    let number = u128::try_from(world.results.len()).unwrap() + 500;
    let id = wire::CommandId::from_random(number);
    let action = Action::TestCall { trunk: trunk.to_owned() };
    world.send_command(&Command { id, ..order(CallId::from_random(0), action) });
    world.result(id).unwrap()
}

fn pass(world: &mut World, time: Duration) {
    world.proofs = false;
    world.pass(time);
}

fn steps(test: &TestSnapshot) -> Vec<&TestEvent> {
    test.steps.iter().map(|step| &step.what).collect()
}

#[test]
fn a_test_call_tells_each_step_and_hangs_up() {
    let mut world = world_with(Srtp::Required);
    let reported = None;
    world.counted = media::Stats {
        agent: LegStats { accepted: 248, lost: 2, reported, ..LegStats::default() },
        agent_flow: Flow { sent: 250, jitter: Some(8) },
        ..media::Stats::default()
    };
    assert_eq!(begin(&mut world, "pbx"), CommandResult::Done);
    pass(&mut world, Duration::from_secs(6));
    let test = world.test_call().unwrap();
    let number = "9196".to_owned();
    let (codec, srtp) = ("PCMU".to_owned(), Some("AEAD_AES_256_GCM".to_owned()));
    assert_eq!(
        steps(&test),
        [
            &TestEvent::Asked { address: AGENT, status: 200 },
            &TestEvent::Called { address: AGENT, number },
            &TestEvent::Progress { status: 180 },
            &TestEvent::Answered { codec, srtp, telephone_event: Some(101) },
            &TestEvent::Sound { received: 248, lost: 2, refused: 0, jitter_us: Some(1_000), sent: 250, reported: None },
            &TestEvent::HungUp { by_them: false },
        ]
    );
    assert_eq!((test.result, test.trunk.as_str()), (Some(TestResult::Good), "pbx"));
    assert!((5_000..6_000).contains(&test.steps[4].after_ms), "{:?}", test.steps);
    assert!(matches!(world.connects[..], [(Side::Agent, Connected::Protected(_))]));
    assert_eq!((world.secures(), world.media_orders("close")), (1, 1));
    assert!(world.agent_got().last().unwrap().starts_with("BYE"));
    assert!(world.ladder(test.test).unwrap().messages.iter().any(|message| message.text.starts_with("INVITE")));
    assert!(world.board.snapshots().is_empty(), "no desk is shown a test");
    assert_eq!(begin(&mut world, "pbx"), CommandResult::Done, "everything is given back");
}

#[test]
fn without_sound_it_says_so() {
    let mut world = world_with(Srtp::Off);
    world.counted.agent_flow.sent = 250;
    begin(&mut world, "pbx");
    pass(&mut world, Duration::from_secs(6));
    assert_eq!(world.test_call().unwrap().result, Some(TestResult::NoSound));
}

#[test]
fn nothing_but_the_number_of_the_file_is_called() {
    let mut world = world_with(Srtp::Off);
    let refused = |reason| CommandResult::Refused { reason };
    assert_eq!(begin(&mut world, "carrier"), refused(Refusal::NoTestNumber));
    assert_eq!(begin(&mut world, "9196"), refused(Refusal::UnknownTrunk));
    world.peer(Side::Agent).answers_calls = false;
    assert_eq!(begin(&mut world, "pbx"), CommandResult::Done);
    assert_eq!(begin(&mut world, "pbx"), refused(Refusal::Busy), "one at a time");
    // A redirect to a number that a route would allow.
    world.agent_redirects("<sip:2001@127.0.0.1>");
    let test = world.test_call().unwrap();
    assert_eq!(steps(&test).last(), Some(&&TestEvent::Refused { status: 302 }));
    assert_eq!(test.result, Some(TestResult::Failed));
    let invites: Vec<&str> = world.agent_got().into_iter().filter(|line| line.starts_with("INVITE")).collect();
    assert_eq!(invites, ["INVITE sip:9196@127.0.0.1:5080 SIP/2.0"]);
}

#[test]
fn a_transfer_of_a_test_goes_nowhere() {
    let mut world = world_with(Srtp::Off);
    begin(&mut world, "pbx");
    world.agent_says("REFER", "Refer-To: <sip:2001@127.0.0.1>\r\n", None);
    assert!(world.agent_heard("REFER").starts_with("SIP/2.0 403"));
    world.agent_says("BYE", "", None);
    let test = world.test_call().unwrap();
    assert!(steps(&test).contains(&&TestEvent::HungUp { by_them: true }));
    assert_eq!(test.result, Some(TestResult::NoSound), "what had come by then counts");
}

#[test]
fn a_number_that_rings_for_ever_and_a_trunk_that_is_silent_are_given_up() {
    let mut world = world_with(Srtp::Off);
    world.peer(Side::Agent).answers_calls = false;
    begin(&mut world, "pbx");
    pass(&mut world, Duration::from_secs(31));
    let test = world.test_call().unwrap();
    let last = steps(&test)[3..].to_vec();
    assert_eq!(last, [&TestEvent::NotAnswered, &TestEvent::HungUp { by_them: false }]);
    assert_eq!(test.result, Some(TestResult::Failed));
    world.agent_is_deaf = true;
    begin(&mut world, "pbx");
    world.idle(Duration::from_secs(60));
    let test = world.test_call().unwrap();
    assert_eq!(steps(&test)[0], &TestEvent::Asked { address: AGENT, status: 408 });
    assert_eq!(test.result, Some(TestResult::Failed));
}

#[test]
fn who_is_stopping_ends_its_test() {
    let mut world = world_with(Srtp::Off);
    begin(&mut world, "pbx");
    world.board.drain(world.now);
    world.settle();
    assert_eq!(world.test_call().unwrap().result, Some(TestResult::Failed));
    assert_eq!(begin(&mut world, "pbx"), CommandResult::Refused { reason: Refusal::Busy });
}

/// The one leg of a test is sent generated sound, though nobody is at the other.
#[test]
fn packets_go_out_whatever_comes_in() {
    let mut now = Instant::now();
    let config = media::Config { seed: [3; 32], record: false, hold: media::Hold::default() };
    let mut session = media::Session::new(now, config);
    let remote = media::Remote::g711(([127, 0, 0, 1], 9).into(), media::g711::Law::Mu);
    session.handle_command(now, media::Command::Connect { side: Side::Agent, remote });
    session.handle_command(now, media::Command::Secure { policy: media::Policy::Strict });
    let mut sent = 0;
    for _ in 0..100 {
        now += Duration::from_millis(10);
        session.handle_timeout(now);
        while let Some(output) = session.poll_output() {
            sent += u32::from(matches!(output, media::Output::Send { side: Side::Agent, .. }));
        }
    }
    assert!((48..=51).contains(&sent), "{sent} packets in a second");
}
