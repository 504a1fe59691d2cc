//! What of a call is changed on its way from trunk to trunk, and what is passed on.
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

use call::Rewrite;
use std::net::SocketAddr;
use std::time::Duration;
use world::{CARRIER, World};

fn last_invite(world: &World) -> String {
    world.agent_texts().iter().rfind(|text| text.starts_with("INVITE")).unwrap().clone()
}

#[test]
fn a_route_takes_from_a_number_and_adds_to_it() {
    let mut world = World::with(|config| config.routes[0].rewrite = Rewrite { strip: 1, add: "+44".to_owned() });
    world.ring_at("1004");
    assert!(last_invite(&world).starts_with("INVITE sip:+44004@127.0.0.1:5080 SIP/2.0\r\n"));
    assert_eq!(world.snapshot().extension.as_str(), "+44004", "who is called is who the desk knows");
    let mut world = World::with(|config| config.routes[0].rewrite = Rewrite { strip: 9, add: String::new() });
    assert_eq!(world.refused_from(CARRIER, "1004"), 404, "there is nothing left to call");
}

#[test]
fn a_trunks_domain_stands_in_its_addresses_and_its_place_is_where_it_is_called() {
    let mut world = World::with(|config| {
        config.trunks[1].domain = Some("sip.example.com".to_owned());
        let credentials = sip::Credentials::new("acme".to_owned(), "secret".to_owned(), false).into();
        let (user, is_demanded, registers) = ("acme".to_owned(), false, true);
        config.trunks[1].login = Some(call::config::Login { user, credentials, is_demanded, registers });
    });
    world.ring();
    let invite = last_invite(&world);
    assert!(invite.starts_with("INVITE sip:1001@sip.example.com SIP/2.0\r\n"), "{invite}");
    assert!(invite.contains("\r\nTo: <sip:1001@sip.example.com>\r\n"), "{invite}");
    assert!(invite.contains("\r\nFrom: <sip:447700900142@sip.example.com>;tag="), "{invite}");
    assert!(invite.contains("\r\nContact: <sip:127.0.0.1:5060>\r\n"), "where we are is an address: {invite}");
    let register = world.agent_texts().iter().find(|text| text.starts_with("REGISTER")).unwrap().clone();
    assert!(register.starts_with("REGISTER sip:sip.example.com SIP/2.0\r\n"), "{register}");
    assert!(register.contains("\r\nTo: <sip:acme@sip.example.com>\r\n"), "{register}");
}

#[test]
fn chosen_headers_go_on_to_the_other_side_and_no_others() {
    let mut world = World::with(|config| config.headers_passed = vec!["X-Account".to_owned()]);
    let lines = "X-Account: NW-204417\r\nX-Secret: 1\r\nP-Asserted-Identity: <tel:+442079460018>\r\nDiversion: <sip:1@a>\r\n\
                 User-to-User: 00C8315A;encoding=hex\r\nX-Account: 4242424242424242\r\n";
    world.raw_invite_to(CARRIER, "1001", lines);
    let invite = last_invite(&world);
    for line in lines.lines().filter(|line| !line.contains("Secret") && !line.contains("4242")) {
        assert!(invite.contains(&format!("\r\n{line}\r\n")), "{line} is missing in {invite}");
    }
    assert!(!invite.contains("X-Secret") && !invite.contains("4242"), "{invite}");
}

/// A page that signs in as 1001 calls a number of the carrier, with these headers; the INVITE that goes there.
fn called_by_a_page(headers: &[(&str, &str)]) -> String {
    let at: SocketAddr = "127.0.0.1:8443".parse().unwrap();
    let local = |address| vec![sip::Local { transport: sip::Transport::Wss, address }];
    let credentials = || sip::Credentials::new("1001".to_owned(), "secret".to_owned(), false).into();
    let mut world = World::with(|config| {
        config.sip.extend(local(at));
        let web = call::config::Trunk {
            name: "pages".to_owned(),
            targets: Vec::new(),
            transport: sip::Transport::Wss,
            ..config.trunks[0].clone()
        };
        config.trunks.push(web);
        config.phones = vec![call::config::Phone { name: "1001".to_owned(), trunk: 2, credentials: credentials() }];
        config.routes.push(call::config::Route { from: "pages".to_owned(), ..config.routes[0].clone() });
    });
    let theirs: SocketAddr = "192.0.2.7:50000".parse().unwrap();
    let (transactions_max, dialogs_max) = (10, 10);
    let config = sip::Config { local: local(theirs), user_agent: String::new(), transactions_max, dialogs_max };
    let mut page = sip::Endpoint::new(config, [8; 32]);
    let peer = |at| sip::Peer { connection: Some(sip::ConnectionId(1)), ..sip::Peer::new(sip::Transport::Wss, at) };
    let target = sip::Uri::sip(Some("1004"), at).unwrap();
    let invite = sip::Invite {
        to: sip::NameAddr::new(target.clone()),
        target,
        destination: Some(peer(at)),
        tcp_when_large: false,
        from: sip::NameAddr::new(sip::Uri::sip(Some("1001"), theirs).unwrap()),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
        body: Some(world.agents_offer(sip::offer_answer::Direction::SendRecv)),
        credentials: Some(credentials()),
    };
    page.invite(world.now, invite).unwrap();
    // Asked who it is, it comes again.
    for _ in 0..3 {
        let outputs = std::iter::from_fn(|| page.poll_output());
        let said: Vec<Vec<u8>> = outputs
            .filter_map(|output| if let sip::Output::Send { bytes, .. } = output { Some(bytes) } else { None })
            .collect();
        said.iter().for_each(|bytes| world.board.handle_message(world.now, peer(theirs), bytes));
        let mut rest = Vec::new();
        while let Some(output) = world.board.poll_output() {
            match output {
                call::Output::Sip { to, bytes } if to.transport == sip::Transport::Wss => {
                    page.handle_message(world.now, peer(at), &bytes);
                }
                output => rest.push(output),
            }
        }
        world.hand_over(rest);
    }
    last_invite(&world)
}

/// What broke: what a page wrote into these headers went to the carrier as if we vouched for it.
#[test]
fn a_web_page_is_who_its_account_is_whatever_it_says() {
    let invite = called_by_a_page(&[
        ("P-Asserted-Identity", "<tel:+442079460018>"),
        ("Diversion", "<sip:+442079460018@a>"),
        ("User-to-User", "00C8315A;encoding=hex"),
    ]);
    assert!(invite.contains("\r\nFrom: <sip:1001@") && invite.contains("\r\nUser-to-User: 00C8315A"), "{invite}");
    assert!(!invite.contains("2079460018"), "{invite}");
}

#[test]
fn a_trunk_is_told_to_send_no_more_calls_as_soon_as_those_that_stand_are_drained() {
    let mut world = World::with(|config| {
        let credentials = sip::Credentials::new("acme".to_owned(), "secret".to_owned(), false).into();
        let (user, is_demanded, registers) = ("acme".to_owned(), false, true);
        config.trunks[1].login = Some(call::config::Login { user, credentials, is_demanded, registers });
    });
    world.talk();
    let expiries = |world: &World| -> Vec<String> {
        let registers = world.agent_texts().iter().filter(|text| text.starts_with("REGISTER"));
        registers
            .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("Expires: ").map(str::to_owned)))
            .collect()
    };
    assert_eq!(expiries(&world), ["300"]);
    world.board.drain(world.now);
    world.settle();
    assert_eq!((expiries(&world), world.board.calls()), (vec!["300".to_owned(), "0".to_owned()], 1), "the call stands");
    world.proofs = false;
    world.pass(Duration::from_secs(1));
    world.caller_hangs_up();
    world.board.end_all(world.now);
    world.settle();
    assert_eq!(expiries(&world).len(), 2, "it is told once");
}
