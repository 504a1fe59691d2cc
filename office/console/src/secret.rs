//! Passwords (Argon2id) and random tokens, which are stored only as SHA-256 hashes.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use aws_lc_rs::{digest, rand};
use std::fmt::Write;

/// The fewest characters of a password (PCI DSS 8.3.6).
pub(crate) const PASSWORD_CHARS_MIN: usize = 12;
/// The longest password that is hashed, so that nobody makes us hash megabytes.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;
const TOKEN_BYTES: usize = 32;

/// What cannot go wrong on a healthy machine: no randomness, or no memory for the hash.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the machine gave no random bytes, or no memory for a password hash")]
pub struct SecretError;

/// A new random token of 256 bits, as 64 hexadecimal characters.
pub(crate) fn token() -> Result<String, SecretError> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    rand::fill(&mut bytes).map_err(|_| SecretError)?;
    let mut text = String::with_capacity(TOKEN_BYTES * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").map_err(|_| SecretError)?;
    }
    Ok(text)
}

/// What is stored of a token: its bits are random, so a plain hash cannot be reversed by guessing.
pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// Hashes a password with a random salt. Takes tens of milliseconds and 19 MiB.
pub(crate) fn hash_password(password: &str) -> Result<String, SecretError> {
    Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|_| SecretError)
}

/// Is this the password behind the hash? Without a hash, one is made up and the answer is no, in the same time.
pub(crate) fn password_matches(password: &str, hash: Option<&str>) -> bool {
    let Some(hash) = hash.and_then(|text| PasswordHash::new(text).ok()) else {
        let spent: Result<PasswordHash, _> = Argon2::default().hash_password(password.as_bytes());
        drop(spent);
        return false;
    };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_matches_its_hash() {
        let hash = hash_password("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(password_matches("correct horse battery", Some(&hash)));
        assert!(!password_matches("correct horse batterz", Some(&hash)));
        assert!(!password_matches("correct horse battery", None));
        assert!(!password_matches("correct horse battery", Some("not a hash")));
    }

    #[test]
    fn tokens_differ_and_are_long() {
        let (one, two) = (token().unwrap(), token().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 64);
    }
}
