//! What is told of how the legs of a call fare.
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
use media::{Flow, KeyWays, LegStats, PeerReport};
use std::time::Duration;
use wire::KeyTransport;
use world::World;

fn counted() -> media::Stats {
    let round_trip = Some(Duration::from_millis(42));
    let reported = Some(PeerReport { fraction_lost: 0, lost: -1, jitter: 8, round_trip });
    media::Stats {
        caller: LegStats {
            accepted: 500,
            lost: 3,
            refused_srtp: 2,
            refused_source: 1,
            reported,
            ..LegStats::default()
        },
        caller_flow: Flow { sent: 499, jitter: Some(16) },
        key_ways: KeyWays { events: true, infos: false, tones: true },
        ..media::Stats::default()
    }
}

#[test]
fn the_figures_of_a_call_are_told_while_it_stands_and_once_more_when_it_is_over() {
    let mut world = World::with_srtp(Srtp::Required, Srtp::Off);
    world.talk();
    assert_eq!(world.figures().0.len(), 0, "there is nothing to tell yet");
    world.counted = counted();
    world.pass(Duration::from_secs(11));
    let (shown, audited) = world.figures();
    assert_eq!((shown.len(), audited.len()), (2, 0), "every five seconds");
    let caller = &shown[1].caller;
    assert_eq!((caller.codec.as_deref(), caller.telephone_event), (Some("PCMU"), Some(101)));
    assert_eq!(caller.srtp.as_deref(), Some("AEAD_AES_128_GCM"));
    assert_eq!((caller.received, caller.lost, caller.refused, caller.sent), (500, 3, 3, 499));
    assert_eq!(caller.jitter_us, Some(2_000), "16 samples of 8 kHz");
    let reported = caller.reported.unwrap();
    assert_eq!((reported.lost, reported.jitter_us, reported.round_trip_ms), (-1, 1_000, Some(42)));
    assert_eq!(caller.keys_by, [KeyTransport::Events, KeyTransport::Tones]);
    assert_eq!((shown[1].agent.srtp.as_deref(), shown[1].agent.jitter_us), (None, None));
    world.counted.caller.accepted = 777;
    world.caller_hangs_up();
    let (shown, audited) = world.figures();
    assert_eq!((shown.len(), audited.len()), (3, 1));
    assert_eq!((&shown[2], audited[0].caller.received), (&audited[0], 777), "the last word is the session's");
    assert_eq!(audited[0].caller.codec.as_deref(), Some("PCMU"));
}

#[test]
fn a_call_that_nobody_took_has_no_figures() {
    let mut world = World::new();
    world.ring();
    world.agent_rejects(486);
    assert_eq!(world.figures(), (vec![], vec![]));
}
