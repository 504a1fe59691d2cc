//! A leg to a browser: its names and passwords for the connectivity checks, and who begins the handshake (RFC 8839, RFC 8842).

use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use sip::offer_answer::{Hash, Setup, Web};

/// What an ICE name and password are made of: 64 of them, six bits each (RFC 8839 §5.4).
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// 48 bits, where 24 are asked for; and 144, where 128 are.
const UFRAG_LETTERS: usize = 8;
const PASSWORD_LETTERS: usize = 24;
/// What our own stream is called.
const MID: &str = "0";

/// What both sides have said, for who carries it out.
#[derive(Clone, PartialEq, Eq)]
pub struct WebTerms {
    /// Our name for the checks.
    pub ufrag: String,
    /// Our password for them.
    pub password: String,
    /// The peer's name.
    pub peer_ufrag: String,
    /// How the peer's certificate is hashed.
    pub hash: Hash,
    /// And its hash.
    pub fingerprint: Vec<u8>,
    /// We begin the handshake.
    pub is_client: bool,
    /// And show the certificate with this fingerprint (SHA-256).
    pub ours: [u8; 32],
    /// Which handshake of the leg it is. Another number is another, though nothing else be changed: no keys of before are good.
    pub handshake: u32,
}

/// One leg's part.
#[derive(Default)]
pub(super) struct WebLeg {
    ours: Option<(String, String)>,
    theirs: Option<Web>,
    is_client: Option<bool>,
    certificate: [u8; 32],
    handshake: u32,
}

impl WebLeg {
    /// What our offer says. It is the same again in every offer: nothing is asked for anew.
    pub(super) fn offer(&mut self, rng: &mut ChaCha12Rng, fingerprint: [u8; 32]) -> Web {
        let mid = self.theirs.as_ref().and_then(|theirs| theirs.mid.clone()).unwrap_or_else(|| MID.to_owned());
        self.say(rng, fingerprint, Setup::ActPass, Some(mid), true)
    }

    /// The peer has answered.
    pub(super) fn answered(&mut self, theirs: Web) {
        self.decide(&theirs, theirs.setup == Setup::Passive);
        self.theirs = Some(theirs);
    }

    /// What our answer says. A peer that has changed its name or password wants the checks anew, and gets ours new too (RFC
    /// 8839 §4.4.2).
    pub(super) fn answer(&mut self, rng: &mut ChaCha12Rng, theirs: Web, fingerprint: [u8; 32]) -> Web {
        let is_anew = |before: &Web| before.ufrag != theirs.ufrag || before.password != theirs.password;
        if self.theirs.as_ref().is_some_and(is_anew) {
            self.ours = None;
        }
        // Where we may choose we wait: we make no checks and do not know where to begin.
        self.decide(&theirs, theirs.setup == Setup::Passive);
        let setup = if self.is_client == Some(true) { Setup::Active } else { Setup::Passive };
        let (mid, is_bundled) = (theirs.mid.clone(), theirs.is_bundled);
        self.theirs = Some(theirs);
        self.say(rng, fingerprint, setup, mid, is_bundled)
    }

    /// The peer has agreed to something else meanwhile, in another call: it has neither the names nor the keys of before. What is
    /// said to it next begins anew, and nothing is looked for until it has answered that.
    pub(super) fn anew(&mut self) {
        (self.ours, self.is_client) = (None, None);
        self.handshake = self.handshake.wrapping_add(1);
    }

    pub(super) fn terms(&self) -> Option<Box<WebTerms>> {
        let ((ufrag, password), theirs) = (self.ours.clone()?, self.theirs.as_ref()?);
        let (hash, fingerprint) = (theirs.hash, theirs.fingerprint.clone());
        let (peer_ufrag, is_client) = (theirs.ufrag.clone(), self.is_client?);
        let (ours, handshake) = (self.certificate, self.handshake);
        Some(Box::new(WebTerms { ufrag, password, peer_ufrag, hash, fingerprint, is_client, ours, handshake }))
    }

    /// Who began stays who began as long as the peer's certificate is the same.
    fn decide(&mut self, theirs: &Web, is_client: bool) {
        let is_same = |before: &Web| (before.hash, &before.fingerprint) == (theirs.hash, &theirs.fingerprint);
        if !self.theirs.as_ref().is_some_and(is_same) || self.is_client.is_none() {
            self.is_client = Some(is_client);
        }
    }

    fn say(
        &mut self,
        rng: &mut ChaCha12Rng,
        fingerprint: [u8; 32],
        setup: Setup,
        mid: Option<String>,
        is_bundled: bool,
    ) -> Web {
        self.certificate = fingerprint;
        let fresh = || (word(rng, UFRAG_LETTERS), word(rng, PASSWORD_LETTERS));
        let (ufrag, password) = self.ours.get_or_insert_with(fresh).clone();
        Web { ufrag, password, hash: Hash::Sha256, fingerprint: fingerprint.to_vec(), setup, mid, is_bundled }
    }
}

fn word(rng: &mut ChaCha12Rng, letters: usize) -> String {
    let letter = |_| {
        let six = usize::try_from(rng.next_u32() >> 26).unwrap_or_default();
        char::from(LETTERS.get(six).copied().unwrap_or(b'A'))
    };
    (0..letters).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng;

    fn theirs(ufrag: &str, fingerprint: u8, setup: Setup) -> Web {
        let (ufrag, password) = (ufrag.to_owned(), format!("{ufrag}-0123456789012345678901"));
        let (hash, mid) = (Hash::Sha256, Some("audio".to_owned()));
        Web { ufrag, password, hash, fingerprint: vec![fingerprint; 32], setup, mid, is_bundled: true }
    }

    #[test]
    fn a_peer_that_wants_checks_anew_gets_new_names_and_keeps_who_began() {
        let (mut leg, mut rng) = (WebLeg::default(), ChaCha12Rng::seed_from_u64(1));
        let first = leg.answer(&mut rng, theirs("abcd", 1, Setup::ActPass), [9; 32]);
        assert!(first.setup == Setup::Passive && first.mid.as_deref() == Some("audio") && first.ufrag.len() == 8);
        let again = leg.answer(&mut rng, theirs("abcd", 1, Setup::ActPass), [9; 32]);
        assert!(again == first, "a hold");
        let anew = leg.answer(&mut rng, theirs("efgh", 1, Setup::Passive), [9; 32]);
        assert!(anew.ufrag != first.ufrag && anew.password != first.password && anew.setup == Setup::Passive);
        assert!(leg.terms().is_some_and(|terms| !terms.is_client && terms.peer_ufrag == "efgh"));
        let other = leg.answer(&mut rng, theirs("ijkl", 2, Setup::Passive), [9; 32]);
        assert!(
            other.setup == Setup::Active && leg.terms().is_some_and(|terms| terms.is_client),
            "another certificate"
        );
    }

    #[test]
    fn our_offer_lets_the_peer_choose_and_says_the_same_again() {
        let (mut leg, mut rng) = (WebLeg::default(), ChaCha12Rng::seed_from_u64(1));
        let first = leg.offer(&mut rng, [9; 32]);
        assert!(first.setup == Setup::ActPass && first.mid.as_deref() == Some("0") && leg.terms().is_none());
        leg.answered(theirs("abcd", 1, Setup::Active));
        assert!(leg.terms().is_some_and(|terms| !terms.is_client && terms.ufrag == first.ufrag));
        let again = leg.offer(&mut rng, [9; 32]);
        assert!(again.ufrag == first.ufrag && again.setup == Setup::ActPass);
        let mut leg = WebLeg::default();
        leg.offer(&mut rng, [9; 32]);
        leg.answered(theirs("abcd", 1, Setup::Passive));
        assert!(leg.terms().is_some_and(|terms| terms.is_client));
    }

    #[test]
    fn a_peer_that_was_elsewhere_is_told_all_anew_and_is_looked_for_once_it_has_answered() {
        let (mut leg, mut rng) = (WebLeg::default(), ChaCha12Rng::seed_from_u64(1));
        let first = leg.offer(&mut rng, [9; 32]);
        leg.answered(theirs("abcd", 1, Setup::Active));
        let before = leg.terms().unwrap();
        leg.anew();
        let again = leg.offer(&mut rng, [9; 32]);
        assert!(again.ufrag != first.ufrag && again.password != first.password && leg.terms().is_none());
        leg.answered(theirs("efgh", 1, Setup::Passive));
        let terms = leg.terms().unwrap();
        assert!(terms.handshake != before.handshake && terms.ufrag == again.ufrag, "no keys of before");
        assert!(terms.is_client, "who begins is asked anew with it, though the peer's certificate is the same");
    }
}
