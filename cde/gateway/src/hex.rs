//! Hexadecimal text.

/// Pairs of digits; none where something else stands.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || !bytes.len().is_multiple_of(2) || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    bytes.chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn only_pairs_of_digits_are_read() {
        assert_eq!(decode("00fF"), Some(vec![0, 255]));
        for bad in ["", "0", "+f", "0g", "é"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
