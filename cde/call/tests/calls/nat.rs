//! Which legs are looked for by their packets, and whose.

use crate::world::{AGENT, US, World};
use call::Nat;
use media::Side;
use std::net::IpAddr;

fn learns(world: &World) -> [Option<IpAddr>; 2] {
    [Side::Caller, Side::Agent].map(|side| world.learns[&side])
}

#[test]
fn only_a_leg_of_a_trunk_that_is_behind_a_nat_is_looked_for_and_only_at_its_own_host() {
    let mut world = World::new();
    world.talk();
    assert_eq!(learns(&world), [None; 2]);
    for (trunk, side) in [(0, Side::Caller), (1, Side::Agent)] {
        let mut world = World::with(|config| config.trunks[trunk].nat = Nat::Learn);
        world.talk();
        let host = Some(AGENT.ip());
        assert_eq!(learns(&world), if side == Side::Caller { [host, None] } else { [None, host] });
        world.agent_offers();
        world.pass(std::time::Duration::from_secs(1));
        assert_eq!(world.learns[&side], host, "after a re-INVITE too");
    }
}

#[test]
fn such_a_trunk_is_answered_where_it_came_from_though_it_does_not_ask() {
    let answered_to = |nat| {
        let mut world = World::with(|config| {
            config.trunks[0].nat = nat;
            config.trunks[0].targets[0].port = None;
        });
        let from: std::net::SocketAddr = ([127, 0, 0, 1], 61_000).into();
        let text = format!(
            "OPTIONS sip:a@{US} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bKo\r\nFrom: <sip:a@b>;tag=t\r\nTo: <sip:b@c>\r\n\
             Call-ID: o\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        world.board.handle_message(world.now, sip::Peer::udp(from), text.as_bytes());
        let sent = std::iter::from_fn(|| world.board.poll_output()).find_map(|output| match output {
            call::Output::Sip { to, .. } => Some(to.address.port()),
            _ => None,
        });
        sent.unwrap()
    };
    assert_eq!((answered_to(Nat::Off), answered_to(Nat::Learn)), (5070, 61_000));
}
