//! What takes two people: each signs the same request with a key of their own (Ed25519). There is no other way to an
//! [`Approved`], and without one no card leaves or enters the vault.

use crate::hex;
use crate::key::place;
use crate::store::Tenant;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many people it takes.
pub const APPROVALS_MIN: usize = 2;
/// The longest time from a request to its deed.
pub const HOURS_MAX: u16 = 7 * 24;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// A tenant's cards are sealed to another vault.
    Export,
    /// Cards that were sealed to this vault are taken in.
    Import,
}

impl Deed {
    fn as_str(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Import => "import",
        }
    }
}

/// What is to be approved. Every part of it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Random, so that an approval is for one request.
    #[serde(with = "hex")]
    pub id: [u8; 16],
    /// What.
    pub deed: Deed,
    /// Whose cards.
    pub tenant: Tenant,
    /// The vault that the cards are sealed to: the other one's address for an export, ours for an import.
    #[serde(with = "hex")]
    pub to: [u8; 32],
    /// SHA-256 of the file that is imported; zeros for an export.
    #[serde(with = "hex")]
    pub digest: [u8; 32],
    /// When it was made, Unix milliseconds. Cards stored later are not exported.
    pub made_ms: i64,
    /// Not done after this, Unix milliseconds.
    pub until_ms: i64,
}

impl Request {
    /// What is signed.
    pub fn bytes(&self) -> Vec<u8> {
        let Self { id, deed, tenant, to, digest, made_ms, until_ms } = self;
        let times = [made_ms.to_be_bytes(), until_ms.to_be_bytes()].concat();
        place(&[
            b"tonewall-vault-request-1",
            id,
            deed.as_str().as_bytes(),
            tenant.as_str().as_bytes(),
            to,
            digest,
            &times,
        ])
    }

    /// A person's approval.
    pub fn approve(&self, officer: &str, key: &Ed25519KeyPair) -> Approval {
        let signature = key.sign(&self.bytes());
        Approval { officer: officer.to_owned(), signature: signature.as_ref().try_into().unwrap_or([0; 64]) }
    }
}

/// One person's signature under a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who.
    pub officer: String,
    /// Ed25519.
    #[serde(with = "hex")]
    pub signature: [u8; 64],
}

/// Somebody who may approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Officer {
    /// Their name.
    pub name: String,
    /// Ed25519.
    #[serde(with = "hex")]
    pub public: [u8; 32],
}

/// Why a request is not approved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// Too late, or made for longer than that may be.
    #[error("the request has run out, or is for more than {HOURS_MAX} hours: make a new one")]
    Late,
    /// A signature that is not theirs, or not for this request.
    #[error("the approval of {0} does not fit this request")]
    Signature(String),
    /// Nobody knows them.
    #[error("{0} is not enrolled")]
    Unknown(String),
    /// One person, or the same key twice.
    #[error("it takes the approvals of {APPROVALS_MIN} people, with keys of their own")]
    TooFew,
}

/// A request that two people have approved. It can be had in no other way.
#[derive(Debug)]
pub struct Approved(Request);

impl Approved {
    /// Checks a request's approvals.
    pub fn check(
        request: Request,
        approvals: &[Approval],
        officers: &[Officer],
        now_ms: i64,
    ) -> Result<Self, ApprovalError> {
        let longest_ms = i64::from(HOURS_MAX) * 60 * 60 * 1000;
        if now_ms > request.until_ms || request.until_ms.saturating_sub(request.made_ms) > longest_ms {
            return Err(ApprovalError::Late);
        }
        let bytes = request.bytes();
        let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for Approval { officer, signature } in approvals {
            let known = officers.iter().find(|known| known.name == *officer);
            let known = known.ok_or_else(|| ApprovalError::Unknown(officer.clone()))?;
            let signed = UnparsedPublicKey::new(&ED25519, known.public).verify(&bytes, signature);
            signed.map_err(|_| ApprovalError::Signature(officer.clone()))?;
            names.insert(&known.name);
            keys.insert(known.public);
        }
        if names.len().min(keys.len()) < APPROVALS_MIN { Err(ApprovalError::TooFew) } else { Ok(Self(request)) }
    }

    /// What was approved.
    pub fn request(&self) -> &Request {
        &self.0
    }
}
