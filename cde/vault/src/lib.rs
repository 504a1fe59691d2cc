//! Stored cards: envelope encryption, tokens, rotation, shredding. Pure but for the stores, which are behind traits.
//!
//! A card is sealed with AES-256-GCM under a key of its own (DEK); that is wrapped by a key of its tenant (KEK), and that by
//! the root key, which a [`KeyStore`] keeps. Ciphertext is in the [`Store`], wrapped keys are in the [`Keyring`]; the two are
//! never in one backup, so that what the keyring has deleted is gone, whatever copies of the ciphertext there are.
//!
//! # Invariants
//! - Only a [`card::Pan`] and a [`card::Expiry`] go in, and only these come out.
//! - Everything sealed or wrapped is bound to its tenant, token, version and field: in another place it is refused.
//! - Keys live in locked memory and are never kept between two calls: a tenant that was shredded is gone for everybody at once.
//! - A card is first deleted in the keyring, then in the store: whatever dies in between, it cannot be opened again.
//! - Every step of a rotation is a compare-and-set. It can be stopped anywhere, by `kill -9` too, and is then gone on with.
//!
//! # Layout
//! - [`key`]: keys and the cipher. [`keystore`]: the custody of the root. [`random`]: where bytes come from.
//! - [`store`]: rows, [`Store`] and [`Keyring`]. `contract`: what every implementation of them is held to.
//! - [`approval`]: what two people must have signed. [`transfer`]: cards on their way to another vault. [`hpke`]: RFC 9180.
//! - [`mod@vault`]: store, open, find, shred, purge; `rotation`: new KEKs and roots; `seal`: the form of a sealed card.
//!
//! # The wall, as a test
//! A card goes in:
//! ```
//! use card::{Expiry, Pan};
//! use vault::{Keyring, Store, Tenant, Vault, VaultError};
//! async fn keep<S: Store, R: Keyring>(vault: &Vault<S, R>, to: &Tenant, pan: &Pan, expiry: &Expiry) -> Result<(), VaultError> {
//!     vault.store(0, to, pan, expiry, None).await.map(drop)
//! }
//! ```
//! A security code does not:
//! ```compile_fail,E0308
//! use card::{Cvv, Pan};
//! use vault::{Keyring, Store, Tenant, Vault, VaultError};
//! async fn keep<S: Store, R: Keyring>(vault: &Vault<S, R>, to: &Tenant, pan: &Pan, cvv: &Cvv) -> Result<(), VaultError> {
//!     vault.store(0, to, pan, cvv, None).await.map(drop)
//! }
//! ```
//! A key cannot be printed or copied:
//! ```compile_fail,E0277
//! fn print(key: &vault::Key) { println!("{key:?}"); }
//! ```
//! ```compile_fail,E0599
//! fn copy(key: &vault::Key) -> vault::Key { key.clone() }
//! ```

pub mod approval;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod hex;
pub mod hpke;
pub mod key;
pub mod keystore;
pub mod random;
mod rotation;
mod seal;
pub mod store;
pub mod transfer;
pub mod vault;

pub use approval::{Approval, ApprovalError, Approved, Deed, Officer, Request};
pub use key::{Key, KeyError};
pub use keystore::{KeyStore, KeyStoreError, RootVersion};
pub use random::{NoRandomness, Random};
pub use rotation::Progress;
pub use store::{
    Keyring, Overdue, Purpose, Reason, Record, RecordKey, Row, Store, StoreError, Tenant, TenantError, TenantKey,
};
pub use transfer::{Import, TransferError};
pub use vault::{Fingerprint, Purged, Shred, Vault, VaultError, draw};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod transfer_tests;
