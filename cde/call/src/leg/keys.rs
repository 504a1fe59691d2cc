//! The keys of one side: those we offer, the one that was chosen, and the peer's.

use media::srtp::{self, Master};
use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use sip::offer_answer::{Agreed, Crypto, Protection, Srtp, Suite};

/// What we offer. The suite with the short tag we only take.
const OFFERED: [Suite; 4] = [Suite::Aes256Gcm, Suite::Aes128Gcm, Suite::Aes256Sha1Tag80, Suite::Aes128Sha1Tag80];

#[derive(Default)]
pub(super) struct LegKeys {
    /// Each with a key of its own, or their owners could read each other's streams.
    ours: Vec<Crypto>,
    theirs: Option<Crypto>,
}

impl LegKeys {
    /// What our next offer has: the key that is in use, or fresh ones before anything is agreed on.
    pub(super) fn offer(&mut self, rng: &mut ChaCha12Rng, srtp: Srtp, agreed: Option<&Agreed>) -> &[Crypto] {
        match agreed {
            Some(agreed) => self.ours.retain(|ours| is(ours, agreed.protection)),
            None if srtp == Srtp::Off => self.ours.clear(),
            None => self.ours = (1..).zip(OFFERED).map(|(tag, suite)| fresh(rng, tag, suite)).collect(),
        }
        &self.ours
    }

    /// The peer has had other keys since, and counts from nothing when it is told one again: so it is one that it has not had.
    pub(super) fn anew(&mut self, rng: &mut ChaCha12Rng) {
        self.ours.iter_mut().for_each(|ours| *ours = fresh(rng, ours.tag, ours.suite));
    }

    pub(super) fn offered(&self) -> &[Crypto] {
        &self.ours
    }

    /// The peer has chosen one of those, or none.
    pub(super) fn answered(&mut self, theirs: Option<&Crypto>) {
        self.theirs = theirs.map(|theirs| theirs.with_tag(theirs.tag));
    }

    /// Our key for the answer to a peer that offers this one. It is the one we have while the peer keeps its own; with a new
    /// one the peer begins to count anew, and expects that of us.
    pub(super) fn answer(&mut self, rng: &mut ChaCha12Rng, theirs: Option<&Crypto>) -> Option<&Crypto> {
        let before = self.theirs.take();
        self.answered(theirs);
        let Some(theirs) = theirs else {
            self.ours.clear();
            return None;
        };
        let kept = before.filter(|before| before.is_same_key(theirs)).and_then(|before| {
            let of_before = Some(Protection { tag: before.tag, suite: before.suite });
            self.ours.iter().find(|ours| is(ours, of_before)).map(|ours| ours.with_tag(theirs.tag))
        });
        self.ours = vec![kept.unwrap_or_else(|| fresh(rng, theirs.tag, theirs.suite))];
        self.ours.first()
    }

    /// For the media session.
    pub(super) fn of(&self, agreed: &Agreed) -> Option<Box<srtp::Keys>> {
        let ours = self.ours.iter().find(|ours| is(ours, agreed.protection))?;
        let theirs = self.theirs.as_ref().filter(|theirs| is(theirs, agreed.protection))?;
        Some(Box::new(srtp::Keys { inbound: master(theirs)?, outbound: master(ours)? }))
    }
}

fn is(crypto: &Crypto, protection: Option<Protection>) -> bool {
    protection == Some(Protection { tag: crypto.tag, suite: crypto.suite })
}

fn fresh(rng: &mut ChaCha12Rng, tag: u32, suite: Suite) -> Crypto {
    Crypto::new(tag, suite, |key| rng.fill_bytes(key))
}

fn master(crypto: &Crypto) -> Option<Master> {
    let suite = match crypto.suite {
        Suite::Aes128Sha1Tag80 => srtp::Suite::Aes128Sha1Tag80,
        Suite::Aes128Sha1Tag32 => srtp::Suite::Aes128Sha1Tag32,
        Suite::Aes256Sha1Tag80 => srtp::Suite::Aes256Sha1Tag80,
        Suite::Aes128Gcm => srtp::Suite::Aes128Gcm,
        Suite::Aes256Gcm => srtp::Suite::Aes256Gcm,
    };
    Master::new(suite, crypto.key())
}
