//! Which codec each leg gets: one for both where that can be, and each its own where not.

use crate::world::World;
use media::Side;
use media::g711::Law;
use sip::offer_answer::Codec::{self, G722, Opus, Pcma, Pcmu};

const MU: media::Codec = media::Codec::G711(Law::Mu);
const A: media::Codec = media::Codec::G711(Law::A);
const WIDE: media::Codec = media::Codec::G722;

/// A call between two peers who know these codecs.
fn talk(caller: &[Codec], agent: &[Codec]) -> World {
    let mut world = World::new();
    world.peer(Side::Caller).speaks(caller);
    world.peer(Side::Agent).speaks(agent);
    world.talk();
    world
}

fn codecs(world: &World) -> [media::Codec; 2] {
    [Side::Caller, Side::Agent].map(|side| world.codecs[&side])
}

#[test]
fn both_legs_have_the_first_of_the_callers_codecs_that_the_agent_knows() {
    assert_eq!(codecs(&talk(&[G722, Pcma, Pcmu], &[Pcmu, Pcma, G722])), [WIDE, WIDE]);
    assert_eq!(codecs(&talk(&[Pcma, G722], &[Pcmu, Pcma, G722])), [A, A]);
    assert_eq!(codecs(&talk(&[G722, Pcmu], &[Pcmu])), [MU, MU]);
}

#[test]
fn peers_without_a_common_codec_speak_to_each_other_all_the_same() {
    assert_eq!(codecs(&talk(&[G722], &[Pcmu])), [WIDE, MU]);
    assert_eq!(codecs(&talk(&[Pcma], &[G722])), [A, WIDE]);
    assert_eq!(codecs(&talk(&[Pcma], &[Pcmu])), [A, MU]);
}

/// What is coded anew loses by it, so Opus is taken where there is nothing else, and for that leg alone.
#[test]
fn opus_is_spoken_where_nothing_else_is_and_passing_codecs_come_first() {
    const OPUS: media::Codec = media::Codec::Opus;
    assert_eq!(codecs(&talk(&[Opus], &[Pcmu])), [OPUS, MU]);
    assert_eq!(codecs(&talk(&[Pcma], &[Opus])), [A, OPUS]);
    assert_eq!(codecs(&talk(&[Opus], &[Opus])), [OPUS, OPUS]);
    assert_eq!(codecs(&talk(&[Opus, Pcma], &[Opus, Pcmu, Pcma])), [A, A]);
    assert_eq!(codecs(&talk(&[Opus, Pcmu], &[Opus])), [OPUS, OPUS], "the caller likes it best");
    assert_eq!(codecs(&talk(&[Pcmu, Opus], &[Opus])), [MU, OPUS]);
}

#[test]
fn a_side_may_change_its_codec_and_the_other_keeps_its_own() {
    let mut world = talk(&[G722, Pcmu], &[G722, Pcmu]);
    world.peer(Side::Agent).speaks(&[Pcmu]);
    world.agent_offers();
    assert_eq!(codecs(&world), [WIDE, MU]);
    world.peer(Side::Agent).speaks(&[G722]);
    world.agent_offers();
    assert_eq!(codecs(&world), [WIDE, WIDE]);
}
