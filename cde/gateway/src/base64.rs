//! Base 64 (RFC 4648 section 4), for headers and signatures.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// With padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|place| u32::from(chunk.get(place).copied().unwrap_or(0)));
        let bits = a << 16 | b << 8 | c;
        for place in 0..4_usize {
            let letter = usize::try_from(bits >> (18 - 6 * place) & 63).ok().and_then(|index| ALPHABET.get(index));
            text.push(if place <= chunk.len() { char::from(*letter.unwrap_or(&b'=')) } else { '=' });
        }
    }
    text
}

/// With padding; none where something else stands.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let value = |byte: u8| ALPHABET.iter().position(|letter| *letter == byte).and_then(|at| u32::try_from(at).ok());
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let groups = text.as_bytes().chunks_exact(4);
    if !groups.remainder().is_empty() {
        return None;
    }
    let last = groups.len().checked_sub(1)?;
    for (index, group) in groups.enumerate() {
        let padding = group.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && index != last) {
            return None;
        }
        let letters = group.get(..4 - padding)?;
        let bits = letters.iter().try_fold(0, |bits: u32, byte| Some(bits << 6 | value(*byte)?))? << (6 * padding);
        let [_, whole @ ..] = bits.to_be_bytes();
        bytes.extend_from_slice(whole.get(..3 - padding)?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 section 10.
    #[test]
    fn the_standards_examples() {
        for (plain, text) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(encode(b""), "");
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in ["", "Zg", "Zg=", "Z===", "Zg==Zg==", "Z*==", "===="] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
