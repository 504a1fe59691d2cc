//! The name of a stored card. It says nothing of the card, and nothing can be taken with it but through the vault.

use crate::{luhn_valid, pan_like};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What every token begins with.
const PREFIX: &str = "tok_";
/// Crockford's base 32 in small letters: no i, l, o and u, which people misread.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters after the prefix: 120 bits.
const CHARS: usize = 24;

/// The token of a stored card: `tok_` and 24 characters. Its digits, taken together, fail the Luhn check, and no stretch
/// of it looks like a card number, so that no scanner for cards takes it for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

/// Not a token. The text itself is not repeated: it may be a card number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token: expected tok_ and {CHARS} characters of 0-9 and a-z without i, l, o, u")]
pub struct TokenError;

impl Token {
    /// Random bytes that a token is made of.
    pub const BYTES: usize = 15;

    /// From random bytes; `None` where they would look like a card number: draw again.
    pub fn from_random(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let bits = bytes.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let character = |place: usize| {
            let index = usize::try_from(bits >> (5 * place) & 31).unwrap_or_default();
            ALPHABET.get(index).copied().map_or('0', char::from)
        };
        let text: String = PREFIX.chars().chain((0..CHARS).rev().map(character)).collect();
        Self::try_from(text).ok()
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn card_like(text: &str) -> bool {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    luhn_valid(&digits) || pan_like(text)
}

impl TryFrom<String> for Token {
    type Error = TokenError;
    fn try_from(text: String) -> Result<Self, TokenError> {
        let body = text.strip_prefix(PREFIX).ok_or(TokenError)?;
        let is_token = body.len() == CHARS && body.bytes().all(|byte| ALPHABET.contains(&byte)) && !card_like(&text);
        if is_token { Ok(Self(text)) } else { Err(TokenError) }
    }
}

impl std::str::FromStr for Token {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Token> for String {
    fn from(token: Token) -> String {
        token.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_written() {
        let token = Token::from_random(&[0xA5; Token::BYTES]).unwrap();
        assert_eq!(token.as_str(), "tok_mpjtb9d5mpjtb9d5mpjtb9d5");
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        let json = serde_json::to_string(&token).unwrap();
        assert_eq!(serde_json::from_str::<Token>(&json).unwrap(), token);
    }

    #[test]
    fn what_looks_like_a_card_is_no_token() {
        for text in ["4242424242424242", "tok_4242424242424242abcdefgh", "tok_abcd", "", "tok_mpjtb9d5mpjtb9d5mpjtb9di"]
        {
            assert_eq!(text.parse::<Token>(), Err(TokenError), "{text}");
        }
        assert!(Token::from_random(&[0; Token::BYTES]).is_none(), "only zeros pass the Luhn check");
    }

    #[test]
    fn no_token_passes_the_luhn_check_or_looks_like_a_card() {
        let mut made = 0;
        for seed in 0..20_000_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let bytes = std::array::from_fn(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_be_bytes()[0]
            });
            let Some(token) = Token::from_random(&bytes) else { continue };
            let digits: Vec<u8> = token.as_str().bytes().filter(u8::is_ascii_digit).collect();
            assert!(!luhn_valid(&digits) && !pan_like(token.as_str()), "{token}");
            made += 1;
        }
        assert!(made > 17_000, "about nine in ten are good: {made}");
    }
}
