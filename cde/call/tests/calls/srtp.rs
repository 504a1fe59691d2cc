//! Protection by SDES: who may call whom, and what becomes of the keys.

use crate::world::{CARRIER, Connected, Peer, World};
use call::Srtp::{Off, Preferred, Required};
use media::Side;
use media::srtp::{Keys, Master, PACKET_MAX, Receiver, Sender, Suite};
use sip::offer_answer::{LocalMedia, Origin, Suite as Agreed};
use sip::{Body, Event};

/// The header of a packet of RTP; what follows is its sound.
const HEADER: [u8; 12] = [0x80, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];

/// Does one key open what the other has closed?
fn fit(closing: Master, opening: Master) -> bool {
    let mut buffer = [HEADER.as_slice(), &[7; 40 + 16]].concat();
    let length = Sender::new(closing).unwrap().protect(&mut buffer, HEADER.len() + 40).unwrap();
    let mut clear = [0; PACKET_MAX];
    Receiver::new(opening).unwrap().unprotect(&buffer[..length], &mut clear, false).is_ok()
}

fn media_suite(suite: Agreed) -> Suite {
    match suite {
        Agreed::Aes128Sha1Tag80 => Suite::Aes128Sha1Tag80,
        Agreed::Aes128Sha1Tag32 => Suite::Aes128Sha1Tag32,
        Agreed::Aes256Sha1Tag80 => Suite::Aes256Sha1Tag80,
        Agreed::Aes128Gcm => Suite::Aes128Gcm,
        Agreed::Aes256Gcm => Suite::Aes256Gcm,
    }
}

/// The peer and the media session understand each other with these keys.
fn both_understand(peer: &Peer, keys: Keys) -> bool {
    let (ours, suite) = peer.taken.clone().unwrap();
    let theirs = vec![peer.key; suite.key_length()];
    let master = |key: &[u8]| Master::new(media_suite(suite), key).unwrap();
    fit(master(&theirs), keys.inbound) && fit(keys.outbound, master(&ours))
}

fn keys(world: &mut World, side: Side) -> Keys {
    match world.connected(side) {
        Some(Connected::Protected(keys)) => *keys,
        Some(Connected::Plain) => panic!("{side:?} is plain"),
        _ => panic!("{side:?} is not connected"),
    }
}

fn text(body: &Body) -> String {
    String::from_utf8_lossy(body.as_bytes()).into_owned()
}

#[test]
fn both_legs_are_protected_each_with_keys_of_its_own() {
    for (carrier, pbx) in [(Required, Required), (Preferred, Required), (Required, Preferred), (Preferred, Preferred)] {
        let mut world = World::with_srtp(carrier, pbx);
        world.talk();
        assert!(both_understand_at(&mut world, Side::Caller) && both_understand_at(&mut world, Side::Agent));
        let ours = [Side::Caller, Side::Agent].map(|side| world.peer(side).taken.clone().unwrap().0);
        assert_ne!(ours[0][..28], ours[1][..28], "one key for two legs");
    }
}

#[test]
fn a_protected_leg_and_a_plain_one_make_a_call() {
    let mut world = World::with_srtp(Required, Off);
    world.talk();
    assert!(both_understand_at(&mut world, Side::Caller));
    assert!(matches!(world.connected(Side::Agent), Some(Connected::Plain)));
    assert!(!text(&world.agent_offer()).contains("crypto"), "the caller's protection is no matter of the agent's side");
}

fn both_understand_at(world: &mut World, side: Side) -> bool {
    let keys = keys(world, side);
    both_understand(world.peer(side), keys)
}

/// What a caller offers, under which policy of the trunk, and whether there is a call.
#[test]
fn a_caller_is_taken_and_protected_as_the_trunk_says() {
    for (trunk, caller, protected) in [
        (Off, Off, Some(false)),
        (Off, Preferred, Some(false)),
        (Off, Required, None),
        (Preferred, Off, Some(false)),
        (Preferred, Preferred, Some(true)),
        (Preferred, Required, Some(true)),
        (Required, Off, None),
        (Required, Preferred, Some(true)),
        (Required, Required, Some(true)),
    ] {
        let mut world = World::with_srtp(trunk, Off);
        world.peer(Side::Caller).srtp = caller;
        let Some(protected) = protected else {
            assert_eq!(world.refused_from(CARRIER, "1001"), 488, "{trunk:?} {caller:?}");
            continue;
        };
        world.talk();
        match world.connected(Side::Caller) {
            Some(Connected::Protected(keys)) => {
                assert!(protected && both_understand(world.peer(Side::Caller), *keys), "{trunk:?} {caller:?}");
            }
            Some(Connected::Plain) => assert!(!protected, "{trunk:?} {caller:?}"),
            _ => panic!("{trunk:?} {caller:?}"),
        }
    }
}

#[test]
fn what_we_offer_is_what_the_trunk_says() {
    for (trunk, profile, lines) in [(Off, "RTP/AVP ", 0), (Preferred, "RTP/AVP ", 4), (Required, "RTP/SAVP ", 4)] {
        let mut world = World::with_srtp(Off, trunk);
        world.talk();
        let offer = text(&world.agent_offer());
        assert!(offer.contains(profile), "{trunk:?}: {offer}");
        assert_eq!(offer.matches("a=crypto:").count(), lines, "{trunk:?}");
        assert!(!offer.contains("SHA1_32"), "the short tag is only taken");
    }
}

#[test]
fn a_phone_that_cannot_is_plain_where_protection_is_preferred() {
    let mut world = World::with_srtp(Off, Preferred);
    world.peer(Side::Agent).srtp = Off;
    world.talk();
    assert!(matches!(world.connected(Side::Agent), Some(Connected::Plain)));
    // It stays so over a hold.
    world.agent_holds(true);
    assert!(matches!(world.connected(Side::Agent), Some(Connected::Plain)));
}

#[test]
fn an_answer_without_a_key_ends_the_call_where_protection_is_required() {
    for answer in ["RTP/AVP", "RTP/SAVP"] {
        let mut world = World::with_srtp(Off, Required);
        world.ring();
        let media = LocalMedia::new(([127, 0, 0, 1], 41_000).into());
        let plain = text(&media.offer(Origin { session_id: 9, version: 1 })).replace("RTP/AVP", answer);
        world.agent_answers_with(Body::from(plain.into_bytes()));
        assert!(world.caller_saw(|event| matches!(event, Event::Failed { status: 488, .. })), "{answer}");
        assert!(!matches!(world.connected(Side::Agent), Some(Connected::Plain)), "a silent downgrade");
        assert_eq!(world.board.calls(), 0);
    }
}

#[test]
fn a_late_offer_is_protected_too() {
    let mut world = World::with_srtp(Required, Required);
    world.talk_late_offer();
    assert!(both_understand_at(&mut world, Side::Caller));
}

#[test]
fn hold_and_resume_keep_every_key() {
    for (carrier, pbx) in [(Required, Required), (Preferred, Preferred)] {
        let mut world = World::with_srtp(carrier, pbx);
        world.talk();
        let before = [keys(&mut world, Side::Caller), keys(&mut world, Side::Agent)];
        let mut before = before.into_iter();
        world.agent_holds(true);
        for side in [Side::Caller, Side::Agent] {
            let (was, is) = (before.next().unwrap(), keys(&mut world, side));
            assert!(fit(was.inbound, is.inbound) && fit(was.outbound, is.outbound), "{side:?}, held");
        }
        world.agent_holds(false);
        for side in [Side::Caller, Side::Agent] {
            assert!(both_understand_at(&mut world, side), "{side:?}, resumed");
        }
    }
}

#[test]
fn a_new_key_of_the_peer_is_answered_with_a_new_one_of_ours() {
    let mut world = World::with_srtp(Off, Required);
    world.talk();
    let _ = world.connected(Side::Caller);
    let before = world.peer(Side::Agent).taken.clone().unwrap().0;
    world.agent_offers();
    assert!(both_understand_at(&mut world, Side::Agent), "the same keys again");
    world.peer(Side::Agent).key = 77;
    world.agent_offers();
    assert!(both_understand_at(&mut world, Side::Agent));
    let after = world.peer(Side::Agent).taken.clone().unwrap().0;
    assert_ne!(before[..28], after[..28]);
    assert!(world.connected(Side::Caller).is_none(), "that is no matter of the caller's side");
}

#[test]
fn a_phone_may_give_protection_up_only_where_it_is_not_required() {
    for (trunk, plain) in [(Preferred, true), (Required, false)] {
        let mut world = World::with_srtp(Off, trunk);
        world.talk();
        world.peer(Side::Agent).srtp = Off;
        let _ = world.connected(Side::Agent);
        world.agent_offers();
        let refused = world.agent_saw(|event| matches!(event, Event::ReinviteFailed { status: 488, .. }));
        assert_eq!(refused, !plain, "{trunk:?}");
        let connected = world.connected(Side::Agent);
        assert_eq!(matches!(connected, Some(Connected::Plain)), plain, "{trunk:?}");
    }
}

#[test]
fn an_mki_and_an_unknown_suite_are_no_keys() {
    let mut world = World::with_srtp(Required, Off);
    let lines = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:4\r\n\
                 a=crypto:2 F8_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n";
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/SAVP 0\r\n{lines}"
    );
    assert_eq!(world.refused_with(CARRIER, "1001", Some(Body::from(offer.into_bytes()))), 488);
}
