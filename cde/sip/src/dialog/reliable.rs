//! Provisional responses that are acknowledged (RFC 3262), as their sender.

use std::collections::VecDeque;

use crate::message::{Body, Headers, Name, number};

/// The most provisional responses that wait for the acknowledgment of the one before.
const WAITING_MAX: usize = 4;

/// The provisional responses to an INVITE that demands their acknowledgment. One is under way at a time (RFC 3262 §3).
pub(crate) struct Reliable {
    rseq: u32,
    has_offer: bool,
    /// Whether the one under way carries a description.
    under_way: Option<bool>,
    /// A description went out, so that the 2xx carries none (RFC 3262 §5).
    is_described: bool,
    waiting: VecDeque<(u16, Option<Body>)>,
    /// The application has accepted the call with this.
    accepted: Option<Option<Body>>,
}

/// What goes out now.
pub(crate) struct Provisional {
    pub(crate) status: u16,
    pub(crate) rseq: u32,
    pub(crate) body: Option<Body>,
}

impl Reliable {
    /// For an INVITE that demands it; `rseq` is where counting starts.
    pub(crate) fn demanded(headers: &Headers, has_offer: bool, rseq: u32) -> Option<Self> {
        let is_demanded = headers.list(Name::Require).iter().any(|tag| tag.eq_ignore_ascii_case(b"100rel"));
        is_demanded.then(|| Self {
            rseq,
            has_offer,
            under_way: None,
            is_described: false,
            waiting: VecDeque::new(),
            accepted: None,
        })
    }

    /// The application has something to say. Without an offer of the peer the first thing said would have to be ours
    /// (RFC 3262 §5); what brings none is left out.
    pub(crate) fn say(&mut self, status: u16, body: Option<Body>) -> Option<Provisional> {
        if !self.has_offer && !self.is_described && body.is_none() {
            return None;
        }
        if self.waiting.len() == WAITING_MAX {
            // Rather one that says nothing of the media than one that does.
            let least = self.waiting.iter().position(|(_, body)| body.is_none()).unwrap_or(0);
            self.waiting.remove(least);
        }
        self.waiting.push_back((status, body));
        self.next()
    }

    fn next(&mut self) -> Option<Provisional> {
        if self.under_way.is_some() {
            return None;
        }
        let (status, body) = self.waiting.pop_front()?;
        let body = body.filter(|_| !self.is_described);
        self.rseq += 1;
        self.under_way = Some(body.is_some());
        self.is_described |= body.is_some();
        Some(Provisional { status, rseq: self.rseq, body })
    }

    /// Whether the 2xx must wait; then it comes with the acknowledgment (RFC 3262 §3). What else waited is dropped.
    pub(crate) fn holds_back(&mut self, body: Option<&Body>) -> bool {
        self.waiting.clear();
        let is_held = self.under_way == Some(true);
        self.accepted = is_held.then(|| body.cloned());
        is_held
    }

    pub(crate) fn is_described(&self) -> bool {
        self.is_described
    }

    /// Whether an answer of ours has arrived at the peer: then it may make another offer (RFC 3311 §5.2).
    pub(crate) fn is_settled(&self) -> bool {
        self.has_offer && self.is_described && self.under_way != Some(true)
    }

    /// Takes a PRACK's RAck for the INVITE numbered `cseq`; false if it acknowledges nothing that is under way.
    pub(crate) fn acknowledge(&mut self, headers: &Headers, cseq: u32) -> bool {
        let value = headers.first(Name::RAck).unwrap_or_default();
        let mut parts = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|part| !part.is_empty());
        let numbers = [parts.next().and_then(number), parts.next().and_then(number)];
        let is_it = numbers == [Some(self.rseq), Some(cseq)] && parts.next() == Some(b"INVITE");
        is_it && self.under_way.take().is_some()
    }

    /// After an acknowledgment: the 2xx that waited, or the next provisional response.
    pub(crate) fn go_on(&mut self) -> (Option<Option<Body>>, Option<Provisional>) {
        let accepted = self.accepted.take();
        let next = if accepted.is_none() { self.next() } else { None };
        (accepted, next)
    }
}
