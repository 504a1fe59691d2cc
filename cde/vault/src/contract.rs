//! What every [`Store`] and [`Keyring`] is held to, and a model of both in memory.
//!
//! A crate that implements them calls [`records`] and [`keys`] in a test, each with a fresh, empty one.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test suite for the tests of other crates"
)]
#![allow(clippy::indexing_slicing, reason = "as above")]

mod keyring;
mod model;
mod records;
mod roots;

pub use keyring::keys;
pub use model::Model;
pub use records::records;
pub use roots::Roots;

use crate::random::{NoRandomness, Random};
use crate::store::Tenant;
use card::{Digit, Expiry, Keyed, Pan, YearMonth};
use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use wire::Token;

/// Bytes that are the same in every run, and never twice within one (a counter through SHA-256).
pub struct Dice(Mutex<u64>);

impl Dice {
    /// From a seed.
    pub fn new(seed: u32) -> Self {
        Self(Mutex::new(u64::from(seed) << 32))
    }
}

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        for chunk in bytes.chunks_mut(32) {
            let mut count = self.0.lock().unwrap();
            *count += 1;
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &count.to_be_bytes());
            chunk.copy_from_slice(&digest.as_ref()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Runs a future that never waits, as all of the [`Model`] are.
pub fn now_or_never<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for something"),
    }
}

/// A card of a published test number.
pub fn card(number: &str, year: u16) -> (Pan, Expiry) {
    let mut keyed = Keyed::new().unwrap();
    for byte in number.bytes() {
        assert!(keyed.push(&Digit::new(byte - b'0').unwrap()));
    }
    (Pan::parse(&keyed).ok().unwrap(), Expiry::stored(YearMonth { year, month: 12 }).unwrap())
}

/// A tenant.
pub fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

/// The first of forty distinct tokens, in order.
pub fn tokens(count: usize) -> Vec<Token> {
    const ALL: usize = 40;
    let dice = Dice::new(77);
    let mut tokens = std::collections::BTreeSet::new();
    while tokens.len() < ALL {
        let mut bytes = [0; Token::BYTES];
        dice.fill(&mut bytes).unwrap();
        tokens.extend(Token::from_random(&bytes));
    }
    tokens.into_iter().take(count).collect()
}
