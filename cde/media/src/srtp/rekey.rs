//! Both directions of a leg over a change of keys: who repeats a key goes on where it was, and what is under way when a new
//! one comes is still understood.

use super::{Master, Receiver, Refused, Sender};
use std::time::{Duration, Instant};

/// So long after a change packets under the key before are taken.
const OVERLAP: Duration = Duration::from_secs(2);

/// What comes in.
pub(crate) struct Inbound {
    receiver: Receiver,
    before: Option<(Receiver, Instant)>,
    /// Nothing has come under the key yet.
    waits: bool,
}

impl Inbound {
    pub(crate) fn new(master: Master) -> Option<Self> {
        Some(Self { receiver: Receiver::new(master)?, before: None, waits: true })
    }

    /// Takes the key; the one that it has already changes nothing. None if it cannot be used.
    pub(crate) fn rekey(self, now: Instant, master: Master) -> Option<Self> {
        if self.receiver.has(&master) {
            return Some(self);
        }
        let until = now + OVERLAP;
        let receiver = match self.before {
            // Its windows are still good.
            Some((before, _)) if before.has(&master) => before,
            _ => self.receiver.followed_by(master)?,
        };
        Some(Self { receiver, before: Some((self.receiver, until)), waits: true })
    }

    /// Has nothing come under the key yet? It may bring another stream than the key before.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    pub(crate) fn unprotect(
        &mut self,
        now: Instant,
        packet: &[u8],
        clear: &mut [u8],
        anew: bool,
    ) -> Result<usize, Refused> {
        let result = self.receiver.unprotect(packet, clear, anew);
        self.waits &= result.is_err();
        match self.before.as_mut().filter(|(_, until)| now < *until) {
            Some((before, _)) if result == Err(Refused::NotAuthentic) => before.unprotect(packet, clear, false),
            _ => result,
        }
    }

    pub(crate) fn unprotect_rtcp(&mut self, now: Instant, packet: &[u8], clear: &mut [u8]) -> Result<usize, Refused> {
        let result = self.receiver.unprotect_rtcp(packet, clear);
        match self.before.as_mut().filter(|(_, until)| now < *until) {
            Some((before, _)) if result == Err(Refused::NotAuthentic) => before.unprotect_rtcp(packet, clear),
            _ => result,
        }
    }
}

/// What goes out.
pub(crate) struct Outbound {
    sender: Sender,
    /// Kept because a key that comes back must not use a number twice.
    before: Option<Sender>,
}

impl Outbound {
    pub(crate) fn new(master: Master) -> Option<Self> {
        Some(Self { sender: Sender::new(master)?, before: None })
    }

    /// Takes the key; the one that it has already changes nothing. None if it cannot be used.
    pub(crate) fn rekey(self, master: Master) -> Option<Self> {
        if self.sender.has(&master) {
            return Some(self);
        }
        let sender = match self.before {
            Some(before) if before.has(&master) => before,
            _ => Sender::new(master)?,
        };
        Some(Self { sender, before: Some(self.sender) })
    }

    pub(crate) fn protect(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.sender.protect(buffer, length)
    }

    pub(crate) fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.sender.protect_rtcp(buffer, length)
    }
}
