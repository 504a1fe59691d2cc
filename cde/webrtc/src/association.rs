//! One leg's way to its peer: which address is believed, and with which keys.

use crate::dtls::{Broken, Certificate, Event, Handshake, Keys};
use crate::stun;
use crate::terms::{Role, Terms};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// After so long without a check that shows our password, the peer does not consent any more (RFC 7675 section 5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// Addresses that have shown our password: a browser tries each of its networks.
const ADDRESSES_MAX: usize = 8;
/// What waits to be done. One input makes a flight of records at most.
const OUTPUTS_MAX: usize = 64;

/// What is to be done; drain it after every call.
pub enum Output {
    /// Send this from the leg's port.
    Send {
        /// Where to.
        to: SocketAddr,
        /// The packet.
        bytes: Vec<u8>,
    },
    /// Sound may flow, to and from this address alone, under [`Association::keys`]. It comes again when the address changes.
    Established {
        /// The peer's address.
        address: SocketAddr,
    },
    /// It is over; nothing follows.
    Failed(Failure),
}

/// Why there is no way, or no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It was not heard of for half a minute, or never.
    #[error("no connectivity check that shows our password has come for 30 seconds")]
    NoConsent,
    /// Its certificate is not the one that was announced.
    #[error("the certificate has another fingerprint than was said in SIP")]
    WrongCertificate,
    /// The handshake did not come to its end.
    #[error("the DTLS handshake failed")]
    Handshake,
}

/// The machine.
pub struct Association {
    certificate: Certificate,
    terms: Terms,
    /// Those that have shown our password, the latest last.
    addresses: Vec<SocketAddr>,
    /// The one that the peer has chosen.
    selected: Option<SocketAddr>,
    heard: Instant,
    handshake: Option<Handshake>,
    /// Its certificate is the one that was announced.
    is_known: bool,
    keys: Option<Keys>,
    is_over: bool,
    outputs: VecDeque<Output>,
}

impl Association {
    /// One that waits for the peer's first check.
    #[must_use]
    pub fn new(now: Instant, certificate: Certificate, terms: Terms) -> Self {
        let mut association = Self {
            certificate,
            terms,
            addresses: Vec::new(),
            selected: None,
            heard: now,
            handshake: None,
            is_known: false,
            keys: None,
            is_over: false,
            outputs: VecDeque::new(),
        };
        association.begin(now);
        association
    }

    /// It has failed, and will not come back.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Offer and answer have said something new. Another name for the checks asks for them anew, while sound goes on (RFC
    /// 8445 section 2.4); another certificate begins from nothing. The same terms change nothing.
    pub fn change(&mut self, now: Instant, terms: Terms) {
        if self.is_over || self.terms == terms {
            return;
        }
        let is_other = terms.fingerprint != self.terms.fingerprint;
        // Who began is who began, whatever a later description says (RFC 8842 section 5.3).
        let role = if is_other { terms.role } else { self.terms.role };
        self.terms = Terms { role, ..terms };
        self.heard = now;
        if is_other {
            (self.keys, self.is_known, self.selected) = (None, false, None);
            self.addresses.clear();
            self.begin(now);
        }
    }

    /// Takes what [`is_ours`](crate::is_ours) says is for us.
    pub fn handle_packet(&mut self, now: Instant, source: SocketAddr, packet: &[u8]) {
        if self.is_over {
            return;
        }
        match packet.first() {
            Some(0..=3) => self.check(now, source, packet),
            // Who has not shown our password may be anybody.
            Some(20..=63) if self.addresses.contains(&source) => {
                let result = self.handshake.as_mut().map(|handshake| handshake.receive(now, packet));
                self.take(result, source);
            }
            _ => {}
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_over {
            return;
        }
        if now >= self.heard + CONSENT {
            return self.fail(Failure::NoConsent);
        }
        let is_due = self.handshake.as_ref().and_then(Handshake::poll_timeout).is_some_and(|at| at <= now);
        if let Some(to) = self.partner().filter(|_| is_due) {
            let result = self.handshake.as_mut().map(|handshake| handshake.tick(now));
            self.take(result, to);
        }
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_over {
            return None;
        }
        let handshake = self.handshake.as_ref().filter(|_| self.partner().is_some()).and_then(Handshake::poll_timeout);
        Some(handshake.map_or(self.heard + CONSENT, |at| at.min(self.heard + CONSENT)))
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The keys, once the peer is known.
    #[must_use]
    pub fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// Where sound goes and comes from; none before there are keys.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.selected.filter(|_| self.keys.is_some() && !self.is_over)
    }

    /// A handshake that waits for the peer's first word, or for an address to send ours to.
    fn begin(&mut self, now: Instant) {
        match Handshake::new(now, &self.certificate, self.terms.role) {
            Ok(handshake) => self.handshake = Some(handshake),
            Err(Broken) => return self.fail(Failure::Handshake),
        }
        self.speak_first(now);
    }

    /// As a client we begin, once there is somebody to speak to.
    fn speak_first(&mut self, now: Instant) {
        let is_ours = self.handshake.as_ref().is_some_and(|handshake| handshake.role() == Role::Client);
        let has_begun = self.handshake.as_ref().is_some_and(|handshake| handshake.poll_timeout().is_some());
        if let Some(to) = self.partner().filter(|_| is_ours && !has_begun) {
            let result = self.handshake.as_mut().map(|handshake| handshake.tick(now));
            self.take(result, to);
        }
    }

    /// Whom the handshake is with: the chosen one, else who has shown our password last.
    fn partner(&self) -> Option<SocketAddr> {
        self.selected.or(self.addresses.last().copied())
    }

    fn check(&mut self, now: Instant, source: SocketAddr, packet: &[u8]) {
        let username = format!("{}:{}", self.terms.ufrag, self.terms.peer_ufrag);
        let Some(request) = stun::request(packet, &username, &self.terms.password) else { return };
        let password = &self.terms.password;
        if !request.unknown.is_empty() {
            let bytes = stun::unknown_attributes(&request, password);
            return self.send(source, bytes);
        }
        if request.is_controlled {
            let bytes = stun::role_conflict(&request, password);
            return self.send(source, bytes);
        }
        let bytes = stun::success(&request, source, password);
        self.send(source, bytes);
        self.heard = now;
        self.believe(source);
        if request.is_nominating && self.selected != Some(source) {
            self.selected = Some(source);
            self.establish();
        }
        self.speak_first(now);
    }

    /// The one that has not been heard for the longest time makes room; never the chosen one.
    fn believe(&mut self, source: SocketAddr) {
        self.addresses.retain(|address| *address != source);
        if self.addresses.len() >= ADDRESSES_MAX
            && let Some(at) = self.addresses.iter().position(|address| Some(*address) != self.selected)
        {
            self.addresses.remove(at);
        }
        self.addresses.push(source);
    }

    fn take(&mut self, result: Option<Result<Vec<Event>, Broken>>, to: SocketAddr) {
        let Some(result) = result else { return };
        let Ok(events) = result else {
            // What stands under keys stands: a word that is not understood ends no call, or a forged one would.
            return if self.keys.is_some() { self.handshake = None } else { self.fail(Failure::Handshake) };
        };
        for event in events {
            match event {
                Event::Send(bytes) => self.send(to, bytes),
                Event::Certificate(der) if self.terms.fingerprint.is_of(&der) => self.is_known = true,
                Event::Certificate(_) => return self.fail(Failure::WrongCertificate),
                Event::Keys(_) if !self.is_known => return self.fail(Failure::WrongCertificate),
                Event::Keys(keys) => {
                    self.keys = Some(keys);
                    self.establish();
                }
            }
        }
    }

    fn establish(&mut self) {
        if let Some(address) = self.address() {
            self.push(Output::Established { address });
        }
    }

    fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.push(Output::Send { to, bytes });
    }

    /// Beyond the bound a packet is lost, as one on the network would be; the owner drains after every call.
    fn push(&mut self, output: Output) {
        if self.outputs.len() < OUTPUTS_MAX {
            self.outputs.push_back(output);
        }
    }

    fn fail(&mut self, failure: Failure) {
        (self.is_over, self.keys, self.handshake) = (true, None, None);
        self.outputs.clear();
        self.outputs.push_back(Output::Failed(failure));
    }
}

#[cfg(test)]
mod tests;
