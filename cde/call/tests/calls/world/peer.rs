//! A carrier's or a PBX's end of SIP.

use sip::offer_answer::{Answer, Codec, Crypto, Direction, Hash, LocalMedia, Offer, Origin, Setup, Srtp, Suite, Web};
use sip::{Body, DialogId, Endpoint, Event, Local};
use std::net::SocketAddr;
use std::time::Instant;

pub(crate) struct Peer {
    pub(super) endpoint: Endpoint,
    pub(super) local: LocalMedia,
    pub(super) version: u64,
    pub(super) dialog: Option<DialogId>,
    /// Of the call that it has made.
    pub(super) called: Option<DialogId>,
    pub(super) events: Vec<Event>,
    pub(super) infos: usize,
    pub(super) answers: Vec<u16>,
    pub(super) last_offer: Option<Body>,
    pub(crate) answers_calls: bool,
    /// How it answers the next offers that come to its calls; with 200 it takes one.
    pub(crate) refuses: Vec<u16>,
    /// The codecs that it takes.
    pub(super) takes: Vec<Codec>,
    /// What it offers, and what it takes.
    pub(crate) srtp: Srtp,
    /// With which byte its key is filled.
    pub(crate) key: u8,
    /// The last key of ours that it has taken.
    pub(crate) taken: Option<(Vec<u8>, Suite)>,
    /// The last description of ours, as a browser reads it.
    pub(crate) heard: Option<String>,
}

/// A browser makes the checks: it is not the lite half, as we are.
fn full(ours: &Body) -> Body {
    Body::from(String::from_utf8_lossy(ours.as_bytes()).replace("a=ice-lite\r\n", "").into_bytes())
}

/// What a browser with this certificate says of itself.
fn web(fingerprint: [u8; 32], setup: Setup) -> Web {
    let (ufrag, password, hash) = ("page".to_owned(), "a".repeat(22), Hash::Sha256);
    let (fingerprint, mid) = (fingerprint.to_vec(), Some("0".to_owned()));
    Web { ufrag, password, hash, fingerprint, setup, mid, is_bundled: true }
}

impl Peer {
    pub(super) fn new(local: SocketAddr, rtp_port: u16, seed: u8) -> Self {
        let (transactions_max, dialogs_max) = (100, 20);
        let locals = vec![Local::udp(local)];
        let config = sip::Config { local: locals, user_agent: String::new(), transactions_max, dialogs_max };
        Self {
            endpoint: Endpoint::new(config, [seed; 32]),
            local: LocalMedia::new(SocketAddr::new(local.ip(), rtp_port)),
            version: 1,
            dialog: None,
            called: None,
            events: Vec::new(),
            infos: 0,
            answers: Vec::new(),
            last_offer: None,
            answers_calls: true,
            refuses: Vec::new(),
            takes: vec![Codec::Pcmu],
            srtp: Srtp::Off,
            key: seed,
            taken: None,
            heard: None,
        }
    }

    /// It knows these codecs and no other, and likes the first best.
    pub(crate) fn speaks(&mut self, codecs: &[Codec]) {
        self.takes = codecs.to_vec();
        self.local.codecs = codecs.iter().map(|codec| (*codec, codec.payload_type())).collect();
    }

    pub(super) fn origin(&mut self) -> Origin {
        self.version += 1;
        Origin { session_id: 7, version: self.version }
    }

    pub(super) fn offer(&mut self) -> Body {
        let origin = self.origin();
        if let Srtp::Web(certificates) = self.srtp {
            return full(&self.local.offer_web(origin, &web(certificates.ours, Setup::ActPass)));
        }
        self.local.offer_protected(origin, self.srtp.profile(), &self.lines())
    }

    /// The key that is in use, or what it can.
    pub(super) fn lines(&self) -> Vec<Crypto> {
        match (self.srtp, &self.taken) {
            (Srtp::Off | Srtp::Web(_), _) => Vec::new(),
            (_, Some((_, suite))) => vec![self.crypto(7, *suite)],
            (_, None) => vec![self.crypto(5, Suite::Aes128Gcm), self.crypto(6, Suite::Aes128Sha1Tag80)],
        }
    }

    pub(super) fn crypto(&self, tag: u32, suite: Suite) -> Crypto {
        Crypto::new(tag, suite, |key| key.fill(self.key))
    }

    pub(super) fn answer(&mut self, body: &Body) -> Body {
        // Our reader is the lite half too, and talks to no other.
        let offer = Offer::parse(&full(body)).unwrap();
        let agreed = offer.agree_under(self.srtp, &self.takes).unwrap();
        let origin = self.origin();
        self.heard = Some(String::from_utf8_lossy(body.as_bytes()).into_owned());
        if let Srtp::Web(certificates) = self.srtp {
            let ours = web(certificates.ours, Setup::Active);
            return full(&offer.answer_web(origin, &agreed, self.local.address, Direction::SendRecv, &ours));
        }
        self.take(offer.crypto(&agreed));
        match agreed.protection {
            Some(chosen) => {
                let ours = self.crypto(chosen.tag, chosen.suite);
                offer.answer_protected(origin, &agreed, self.local.address, Direction::SendRecv, &ours)
            }
            None => offer.answer(origin, &agreed, self.local.address, Direction::SendRecv),
        }
    }

    pub(super) fn take(&mut self, crypto: Option<&Crypto>) {
        self.taken = crypto.map(|crypto| (crypto.key().to_vec(), crypto.suite));
    }

    /// Reads the answer to its offer.
    pub(super) fn take_answer(&mut self, body: Option<&Body>) {
        let Some(answer) = body.and_then(|body| Answer::parse(body).ok()) else { return };
        self.heard = body.map(|body| String::from_utf8_lossy(body.as_bytes()).into_owned());
        if let Ok(agreed) = answer.agreed_under(self.srtp, &self.local, self.srtp.profile(), &self.lines()) {
            self.take(answer.crypto(&agreed));
        }
    }

    pub(super) fn handle(&mut self, now: Instant, event: Event) {
        match &event {
            Event::Incoming { dialog, invite, .. } => {
                self.dialog = Some(*dialog);
                self.last_offer = invite.body.clone();
                self.endpoint.progress(now, *dialog, 180, None);
                if self.answers_calls {
                    self.pick_up(now);
                }
            }
            Event::Answered { dialog, body } => {
                let late = self.last_offer.is_none();
                if !late {
                    self.take_answer(body.as_ref());
                }
                let answer = if late { Some(self.answer(body.as_ref().unwrap())) } else { None };
                self.endpoint.ack(now, *dialog, answer);
            }
            Event::ReinviteAnswered { dialog, body: Some(body) } if self.last_offer.is_none() => {
                let answer = self.answer(body);
                self.endpoint.ack(now, *dialog, Some(answer));
            }
            Event::ReinviteAnswered { body, .. } => self.take_answer(body.as_ref()),
            Event::Reinvite { dialog, .. } if self.refuses.first().is_some_and(|status| *status != 200) => {
                self.endpoint.reject(now, *dialog, self.refuses.remove(0), None, Vec::new());
            }
            Event::Reinvite { dialog, body } => {
                self.refuses.drain(..self.refuses.len().min(1));
                self.last_offer = body.clone();
                let answer = self.answer(body.as_ref().unwrap());
                self.endpoint.accept(now, *dialog, Some(answer));
            }
            Event::Request { request, .. } => {
                self.infos += 1;
                self.endpoint.respond(now, *request, 200);
            }
            Event::RequestAnswered { status, .. } => self.answers.push(*status),
            Event::Ended { .. } | Event::Cancelled { .. } | Event::Failed { .. } => self.dialog = None,
            _ => {}
        }
        self.events.push(event);
    }

    pub(super) fn pick_up(&mut self, now: Instant) {
        let body = self.last_offer.clone().unwrap();
        let answer = self.answer(&body);
        self.endpoint.accept(now, self.dialog.unwrap(), Some(answer));
    }
}
