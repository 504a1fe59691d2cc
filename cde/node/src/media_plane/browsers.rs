//! A media thread's part in the legs of browsers: which they are, and what it hands over to the thread of their handshakes.

use super::handshakes::{Ask, Asks, Leg};
use call::WebTerms;
use media::{Remote, Side};
use std::net::SocketAddr;
use webrtc::{Fingerprint, Hash, Role, Terms};
use wire::CallId;

/// The legs of one call that have a browser.
#[derive(Default)]
pub(super) struct Browsers {
    caller: Option<Browser>,
    agent: Option<Browser>,
}

struct Browser {
    generation: u64,
    /// Which of the call's handshakes with it.
    handshake: u32,
    /// The call has taken the leg's peer away: no news connects it until the next word of the call.
    is_muted: bool,
}

impl Browsers {
    fn at(&mut self, side: Side) -> &mut Option<Browser> {
        match side {
            Side::Caller => &mut self.caller,
            Side::Agent => &mut self.agent,
        }
    }

    pub(super) fn has(&self, side: Side) -> bool {
        match side {
            Side::Caller => self.caller.is_some(),
            Side::Agent => self.agent.is_some(),
        }
    }

    /// The leg has no peer for now.
    pub(super) fn mute(&mut self, side: Side) {
        self.at(side).iter_mut().for_each(|browser| browser.is_muted = true);
    }

    /// The leg has another peer: true if it had a browser.
    pub(super) fn forget(&mut self, side: Side) -> bool {
        self.at(side).take().is_some()
    }

    /// Whether news of a leg is of the one that is there, and wanted.
    pub(super) fn believes(&mut self, side: Side, generation: u64) -> bool {
        self.at(side).as_ref().is_some_and(|browser| browser.generation == generation && !browser.is_muted)
    }

    /// The number of the leg's browser, and whether it has only come now. One that was elsewhere meanwhile has come now.
    pub(super) fn number(&mut self, side: Side, handshake: u32, last: &mut u64) -> (u64, bool) {
        let at = self.at(side);
        let is_new = at.as_ref().is_none_or(|browser| browser.handshake != handshake);
        if is_new {
            *at = None;
        }
        let fresh = || {
            *last += 1;
            Browser { generation: *last, handshake, is_muted: false }
        };
        let browser = at.get_or_insert_with(fresh);
        browser.is_muted = false;
        (browser.generation, is_new)
    }
}

/// The way to the thread of handshakes; none where no trunk has browsers.
pub(super) struct Way {
    pub(super) asks: Option<Asks>,
    /// Which media thread this is.
    pub(super) worker: usize,
    pub(super) last: u64,
}

impl Way {
    /// False if it cannot be asked.
    pub(super) fn negotiate(&self, call: CallId, side: Side, generation: u64, remote: Remote, terms: WebTerms) -> bool {
        let (ours, terms) = (terms.ours, of(terms));
        let leg = Leg { call, side, generation, worker: self.worker, remote, ours, terms };
        self.asks.as_ref().is_some_and(|asks| asks.send(Ask::Negotiate(Box::new(leg))))
    }

    /// Hands a packet over. One too many is lost, as on the network.
    pub(super) fn packet(&self, call: CallId, side: Side, from: SocketAddr, bytes: &[u8]) {
        let ask = Ask::Packet { call, side, from, bytes: bytes.to_vec() };
        let _ = self.asks.as_ref().map(|asks| asks.send(ask));
    }

    /// Nothing more is wanted of a leg.
    pub(super) fn end(&self, call: CallId, side: Side) {
        if self.asks.as_ref().is_some_and(|asks| !asks.send(Ask::End { call, side })) {
            // Then it ends by itself when nobody consents to it any more.
            tracing::debug!("media: the thread of handshakes has too much to do");
        }
    }
}

fn of(terms: WebTerms) -> Terms {
    let WebTerms { ufrag, password, peer_ufrag, hash, fingerprint: bytes, is_client, ours: _, handshake: _ } = terms;
    let hash = match hash {
        sip::offer_answer::Hash::Sha256 => Hash::Sha256,
        sip::offer_answer::Hash::Sha384 => Hash::Sha384,
        sip::offer_answer::Hash::Sha512 => Hash::Sha512,
    };
    let role = if is_client { Role::Client } else { Role::Server };
    Terms { ufrag, password, peer_ufrag, fingerprint: Fingerprint { hash, bytes }, role }
}
