//! The PINs of agents, as keyed hashes: nobody who reads them, or us, learns one.

use aws_lc_rs::hmac;
use card::Key;
use std::collections::BTreeMap;
use wire::Extension;

/// HMAC-SHA-256.
pub type Hash = [u8; 32];

/// What is known of the agents' PINs.
pub struct Pins {
    key: hmac::Key,
    hashes: BTreeMap<Extension, Hash>,
}

impl Pins {
    /// Under this key.
    pub fn new(key: &[u8; 32], hashes: BTreeMap<Extension, Hash>) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), hashes }
    }

    /// The hash of an agent's PIN, to be kept; none if it is not made of digits alone.
    pub fn hash(&self, extension: &Extension, pin: &str) -> Option<Hash> {
        let keys: Vec<Key> = pin.bytes().filter(u8::is_ascii_digit).filter_map(Key::from_char).collect();
        let tag = (keys.len() == pin.len()).then(|| self.context(extension, &keys))??.sign();
        tag.as_ref().try_into().ok()
    }

    pub(crate) fn has(&self, extension: &Extension) -> bool {
        self.hashes.contains_key(extension)
    }

    /// Whether these keys are the agent's PIN.
    pub(crate) fn proves(&self, extension: &Extension, keys: &[Key]) -> bool {
        let (Some(hash), Some(context)) = (self.hashes.get(extension), self.context(extension, keys)) else {
            return false;
        };
        aws_lc_rs::constant_time::verify_slices_are_equal(context.sign().as_ref(), hash).is_ok()
    }

    /// Another agent's PIN of the same digits has another hash.
    fn context(&self, extension: &Extension, keys: &[Key]) -> Option<hmac::Context> {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(extension.as_str().as_bytes());
        context.update(&[0]);
        for key in keys {
            let Key::Digit(digit) = key else { return None };
            digit.expose(|digit| context.update(&[digit]));
        }
        Some(context)
    }
}

impl Default for Pins {
    /// Nobody has one.
    fn default() -> Self {
        Self::new(&[0; 32], BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pin: &str) -> Vec<Key> {
        pin.bytes().filter_map(Key::from_char).collect()
    }

    #[test]
    fn a_pin_proves_its_own_agent_alone_and_under_its_own_key() {
        let [one, two]: [Extension; 2] = ["1001", "1002"].map(|text| text.parse().unwrap());
        let pins = Pins::new(&[7; 32], BTreeMap::new());
        let hash = pins.hash(&one, "481516").unwrap();
        assert_ne!(Some(hash), pins.hash(&two, "481516"));
        let hashes = BTreeMap::from([(one.clone(), hash), (two.clone(), hash)]);
        let pins = Pins::new(&[7; 32], hashes.clone());
        assert!(pins.proves(&one, &keys("481516")) && pins.has(&one));
        for wrong in ["481517", "48151", "4815160", "", "48151*"] {
            assert!(!pins.proves(&one, &keys(wrong)), "{wrong}");
        }
        assert!(!pins.proves(&two, &keys("481516")), "the other agent's hash");
        assert!(!Pins::new(&[8; 32], hashes).proves(&one, &keys("481516")));
        assert!(!Pins::default().proves(&one, &keys("481516")));
    }

    #[test]
    fn what_is_no_pin_has_no_hash() {
        let extension: Extension = "1001".parse().unwrap();
        assert!(Pins::default().hash(&extension, "4815a6").is_none());
    }
}
