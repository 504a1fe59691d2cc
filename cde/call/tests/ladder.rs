//! What an engineer reads of a call's SIP messages, and what cannot be read there.
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
use std::time::Duration;
use wire::{Action, CallId, Field, Ladder, Refusal};
use world::{AGENT, CARRIER, World};

fn starts(ladder: &Ladder) -> Vec<String> {
    let start = |message: &wire::LadderMessage| {
        let way = if message.is_out { ">" } else { "<" };
        let words: Vec<&str> = message.text.lines().next().unwrap().split(' ').take(2).collect();
        let what = if words[0] == "SIP/2.0" { words[1] } else { words[0] };
        format!("{way} {} {what}", message.trunk.as_deref().unwrap_or("?"))
    };
    ladder.messages.iter().map(start).collect()
}

#[test]
fn a_call_is_read_from_its_invite_to_its_end_and_after_it() {
    let mut world = World::new();
    world.talk();
    let call = world.call();
    assert_eq!(
        starts(&world.ladder(call).unwrap()),
        [
            "< carrier INVITE",
            "> carrier 100",
            "> pbx INVITE",
            "< pbx 100",
            "< pbx 180",
            "> carrier 180",
            "< pbx 200",
            "> pbx ACK",
            "> carrier 200",
            "< carrier ACK",
        ]
    );
    world.caller_hangs_up();
    let ladder = world.ladder(call).unwrap();
    let end = starts(&ladder)[10..].to_vec();
    assert_eq!(end, ["< carrier BYE", "> carrier 200", "> pbx BYE", "< pbx 200"]);
    assert_eq!((ladder.messages[0].peer, ladder.messages[2].peer), (CARRIER, AGENT));
    let listed = world.ladders();
    assert_eq!((listed.len(), listed[0].call, listed[0].is_live, listed[0].messages), (1, call, false, 14));
    assert_eq!((listed[0].from.as_str(), listed[0].to.as_str()), ("447700900142", "1001"));
    assert_eq!(world.ladder(CallId::from_random(99)), Err(Refusal::UnknownCall));
}

#[test]
fn an_invite_of_a_trunk_that_became_no_call_is_kept_and_a_strangers_is_not() {
    let mut world = World::new();
    assert_eq!(world.refused_from(CARRIER, "9999"), 404);
    let listed = world.ladders();
    assert_eq!(
        (listed.len(), listed[0].to.as_str(), listed[0].last.as_str()),
        (1, "9999", "ACK sip:9999@127.0.0.1:5060 SIP/2.0")
    );
    let call = listed[0].call;
    assert_eq!(
        starts(&world.ladder(call).unwrap()),
        ["< carrier INVITE", "> carrier 100", "> carrier 404", "< carrier ACK"]
    );
    assert_eq!(world.refused_from(([198, 51, 100, 1], 5060).into(), "1001"), 403);
    assert_eq!(world.ladders().len(), 1);
}

#[test]
fn a_whole_payment_by_info_leaves_no_key_in_the_ladder_and_no_key_of_the_sound() {
    let mut world = World::with_srtp(Srtp::Required, Srtp::Required);
    world.talk();
    let call = world.call();
    world.start_payment(&[Field::Pan, Field::Expiry, Field::Cvv]);
    world.command(Action::Secure);
    for key in "4242424242424242*1235*937".chars() {
        world.caller_info("application/dtmf-relay", &format!("Signal={key}\r\nDuration=160\r\n"));
        world.keys(&key.to_string());
    }
    world.pass(Duration::from_millis(300));
    assert_eq!(world.info_keys.len(), 25, "they came");
    let ladder = world.ladder(call).unwrap();
    let all: String = ladder.messages.iter().map(|message| format!("{}\n", message.text)).collect();
    let infos: Vec<&str> =
        ladder.messages.iter().map(|message| message.text.as_str()).filter(|text| text.starts_with("INFO")).collect();
    assert_eq!(infos.len(), 25, "they are seen");
    for text in infos {
        assert!(text.ends_with("Content-Length: (not shown)\n\n(not shown)\n"), "{text}");
    }
    assert!(!all.contains("Signal") && !all.contains("4242"), "{all}");
    assert_eq!(all.matches("inline:").count(), all.matches("inline:(not shown)").count());
    assert!(all.matches("inline:").count() >= 4 && all.contains("a=crypto:"), "keys were agreed on: {all}");
}
