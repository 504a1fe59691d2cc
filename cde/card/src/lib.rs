//! The only home of secrets: keys, digits, card numbers, expiry dates and security codes.
//!
//! # Invariants
//! - No secret has `Debug`, `Display`, `Clone`, `Copy`, `Deref`, `Serialize`, `Default` or `PartialEq`.
//! - Every field lives in locked memory (`memory::Slot`) and is wiped when dropped; a single [`Digit`] on its way to one
//!   is boxed and wiped.
//! - A secret is read only through `expose(closure)`: `rg expose` is the audit.
//! - What leaves this crate to be shown is `wire::CardView`: brand, last four, expiry.
//!
//! # Layout
//! - [`key`]: keys as pressed. [`keyed`]: digits of one field while they are keyed.
//! - [`pan`], [`expiry`], [`cvv`]: the three fields, parsed. [`Card`]: the three together.
//!
//! # The walls, as tests
//! What the walls stand around is there, or that nothing passes would prove nothing:
//! ```
//! use card::{Card, Cvv, Digit, Expiry, Key, Keyed, Pan};
//! fn authorize(_: Cvv) {}
//! fn once(cvv: Cvv) { authorize(cvv); }
//! fn needs<T: serde::Serialize>(_: &T) {}
//! fn show(card: &Card) { needs(&card.view()); println!("{:?}", card.view().clone() == card.view()); }
//! fn all(_: &Pan, _: &Expiry, _: &Digit, _: &Key, _: &Keyed) {}
//! ```
//! A card number cannot be printed:
//! ```compile_fail,E0277
//! fn print(pan: &card::Pan) { println!("{pan:?}"); }
//! ```
//! ```compile_fail,E0277
//! fn print(pan: &card::Pan) { println!("{pan}"); }
//! ```
//! nor cloned, compared or serialized:
//! ```compile_fail,E0599
//! fn copy(pan: &card::Pan) -> card::Pan { pan.clone() }
//! ```
//! ```compile_fail,E0369
//! fn compare(a: &card::Pan, b: &card::Pan) -> bool { a == b }
//! ```
//! ```compile_fail,E0277
//! fn needs<T: serde::Serialize>(_: &T) {}
//! fn serialize(pan: &card::Pan) { needs(pan); }
//! ```
//! A security code moves once; a second use does not compile:
//! ```compile_fail,E0382
//! fn authorize(_: card::Cvv) {}
//! fn twice(cvv: card::Cvv) { authorize(cvv); authorize(cvv); }
//! ```
//! ```compile_fail,E0599
//! fn copy(cvv: &card::Cvv) -> card::Cvv { cvv.clone() }
//! ```
//! ```compile_fail,E0277
//! fn print(cvv: &card::Cvv) { println!("{cvv:?}"); }
//! ```
//! ```compile_fail,E0277
//! fn print(expiry: &card::Expiry) { println!("{expiry:?}"); }
//! ```
//! ```compile_fail,E0599
//! fn copy(expiry: &card::Expiry) -> card::Expiry { expiry.clone() }
//! ```
//! A digit, a key and a half-keyed field cannot be printed either:
//! ```compile_fail,E0277
//! fn print(digit: &card::Digit) { println!("{digit:?}"); }
//! ```
//! ```compile_fail,E0277
//! fn print(key: &card::Key) { println!("{key:?}"); }
//! ```
//! ```compile_fail,E0277
//! fn print(keyed: &card::Keyed) { println!("{keyed:?}"); }
//! ```
//! ```compile_fail,E0277
//! fn print(card: &card::Card) { println!("{card:?}"); }
//! ```

pub mod cvv;
pub mod expiry;
pub mod key;
pub mod keyed;
pub mod pan;

pub use cvv::Cvv;
pub use expiry::{Expiry, YearMonth};
pub use key::{Digit, Key};
pub use keyed::Keyed;
pub use memory::Exhausted;
pub use pan::Pan;

use wire::CardView;

/// A whole card, as captured for one authorization.
pub struct Card {
    /// The number.
    pub pan: Pan,
    /// Month and year.
    pub expiry: Expiry,
    /// The security code, where it was asked.
    pub cvv: Option<Cvv>,
}

impl Card {
    /// Number and date once more, in locked memory of their own, for a vault that may only have them when the attempt with this
    /// card is approved: the card itself is wiped by then, or already when the caller hangs up. The code has no second place.
    pub fn to_be_kept(&self) -> Result<(Pan, Expiry), Exhausted> {
        Ok((self.pan.again()?, Expiry::stored(self.expiry.expose(|date| date))?))
    }

    /// What may be shown.
    pub fn view(&self) -> CardView {
        CardView { brand: self.pan.brand(), last4: self.pan.last4(), expiry: Some(self.expiry.view()) }
    }
}
