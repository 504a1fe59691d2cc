//! Credentials that are given in the office: sealed to a key of the vault's, kept as they came, opened in here alone.
//!
//! # Invariants
//! - What lies on the disk is what came over the door: only who has the vault's root opens it.
//! - Where a credential comes from is said by `cde.toml` alone (`key_from_office`): the two never compete.
//! - Nothing here gives a credential back; a digest by a key of this installation tells two apart.

use crate::clock;
use crate::config::{Config, Gateway};
use crate::custody::Cards;
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vault::hex::{hex, unhex};
use vault::{Tenant, VaultError};
use wire::credential::SEALED_FOR;
use wire::{CredentialSlot, CredentialSource, CredentialView, GatewayView, Refusal, Sealed};
use zeroize::Zeroizing;

/// Hexadecimal digits of a fingerprint.
const FINGERPRINT_CHARS: usize = 16;

/// A gateway's secrets, opened.
pub(crate) type Secrets = BTreeMap<CredentialSlot, Zeroizing<String>>;

/// Credentials that were given, and who opens them.
#[derive(Clone)]
pub(crate) struct Safe {
    folder: PathBuf,
    vault: Option<Arc<Cards>>,
    digest_key: hmac::Key,
}

/// One, as it lies on the disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    sealed: Sealed,
    set_unix_ms: i64,
    set_by: Option<i64>,
    fingerprint: String,
}

/// Whose keys credentials are sealed to: nobody's cards are here.
fn tenant() -> Tenant {
    Tenant::credentials()
}

impl Safe {
    pub(crate) fn new(data: &Path, vault: Option<Arc<Cards>>, digest_key: hmac::Key) -> Self {
        Self { folder: data.join("credentials"), vault, digest_key }
    }

    /// What is to be sealed to; none without a vault.
    pub(crate) async fn seal_to(&self) -> Result<Option<String>, VaultError> {
        let Some(cards) = &self.vault else { return Ok(None) };
        cards.found(&tenant()).await?;
        Ok(Some(hex(&cards.address(&tenant()).await?)))
    }

    /// All that was given for a gateway, opened.
    pub(crate) async fn secrets(&self, gateway: &str) -> Secrets {
        let mut secrets = Secrets::new();
        for slot in CredentialSlot::ALL {
            let Some(kept) = self.read(gateway, slot) else { continue };
            match self.open(gateway, slot, &kept.sealed).await {
                Ok(secret) => drop(secrets.insert(slot, secret)),
                Err(error) => {
                    let slot = slot.as_str();
                    tracing::error!(%gateway, slot, ?error, "a credential that was given in the office does not open: give it again");
                }
            }
        }
        secrets
    }

    /// Opens what was sealed for this gateway and slot.
    pub(crate) async fn open(
        &self,
        gateway: &str,
        slot: CredentialSlot,
        sealed: &Sealed,
    ) -> Result<Zeroizing<String>, Refusal> {
        let cards = self.vault.as_ref().ok_or(Refusal::VaultFault)?;
        let bytes = unhex(sealed.as_str()).ok_or(Refusal::NotSealed)?;
        let opened = cards.open_sealed(&tenant(), SEALED_FOR, &slot.bound_to(gateway), &bytes).await;
        let opened = opened.map_err(|error| {
            let is_not = matches!(error, VaultError::Refused | VaultError::NoTenant);
            if is_not { Refusal::NotSealed } else { Refusal::VaultFault }
        })?;
        let text = std::str::from_utf8(&opened).map_err(|_| Refusal::NotSealed)?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(Refusal::NotSealed) } else { Ok(Zeroizing::new(text.to_owned())) }
    }

    /// Keeps it, as it came, for the next start. On disk when this returns.
    pub(crate) fn keep(
        &self,
        gateway: &str,
        slot: CredentialSlot,
        (sealed, secret): (&Sealed, &str),
        set_by: Option<i64>,
    ) -> std::io::Result<()> {
        let digest = hex(hmac::sign(&self.digest_key, secret.as_bytes()).as_ref());
        let fingerprint = digest.chars().take(FINGERPRINT_CHARS).collect();
        let kept = Kept { sealed: sealed.clone(), set_unix_ms: clock::unix_ms(), set_by, fingerprint };
        let text = serde_json::to_string(&kept).map_err(std::io::Error::other)?;
        std::fs::create_dir_all(&self.folder)?;
        let (file, fresh) = (self.file(gateway, slot), self.file(gateway, slot).with_extension("new"));
        let mut options = std::fs::OpenOptions::new();
        let mut written = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        written.write_all(text.as_bytes()).and_then(|()| written.sync_all())?;
        std::fs::rename(&fresh, &file)?;
        std::fs::File::open(&self.folder)?.sync_all()
    }

    /// What may be said of every gateway's credentials.
    pub(crate) fn view(&self, gateway: &Gateway) -> GatewayView {
        let credentials = CredentialSlot::ALL.map(|slot| {
            let kept = self.read(&gateway.name, slot).filter(|_| gateway.key_from_office);
            CredentialView {
                slot,
                source: if kept.is_some() { CredentialSource::Office } else { gateway.source(slot) },
                set_unix_ms: kept.as_ref().map(|kept| kept.set_unix_ms),
                set_by: kept.as_ref().and_then(|kept| kept.set_by),
                fingerprint: kept.map(|kept| kept.fingerprint),
            }
        });
        GatewayView {
            name: gateway.name.clone(),
            from_office: gateway.key_from_office,
            credentials: credentials.to_vec(),
        }
    }

    fn read(&self, gateway: &str, slot: CredentialSlot) -> Option<Kept> {
        serde_json::from_slice(&std::fs::read(self.file(gateway, slot)).ok()?).ok()
    }

    /// A gateway's name may have any characters, a file's may not.
    fn file(&self, gateway: &str, slot: CredentialSlot) -> PathBuf {
        self.folder.join(format!("{}.{}.json", hex(gateway.as_bytes()), slot.as_str()))
    }
}

/// Seals a credential to a cde's public key (hexadecimal), as the office sends it. Whoever does this needs nothing of the cde.
///
/// # Errors
/// What is wrong with the key, in words for people.
pub fn seal_credential(to: &str, gateway: &str, slot: CredentialSlot, plain: &[u8]) -> Result<String, &'static str> {
    let to: Option<[u8; 32]> = unhex(to).and_then(|bytes| bytes.try_into().ok());
    let to = to.ok_or("expected the 64 hexadecimal characters of seal_to")?;
    let mut ephemeral = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *ephemeral).map_err(|_| "no random bytes")?;
    let sealed = vault::hpke::seal(&ephemeral, &to, SEALED_FOR, &slot.bound_to(gateway), plain);
    Ok(hex(&sealed.map_err(|_| "this is no public key")?))
}

/// For `tonewall check`: of each gateway whose credentials come from the office, which ones are there. Nothing is opened.
pub fn check_credentials(config: &Config, data: &Path) -> Vec<String> {
    let safe = Safe::new(data, None, hmac::Key::new(hmac::HMAC_SHA256, b""));
    let of_office = config.gateway.iter().filter(|gateway| gateway.key_from_office);
    let told = of_office.map(|gateway| {
        let given = safe.view(gateway).credentials.into_iter().filter(|one| one.source == CredentialSource::Office);
        let given: Vec<&str> = given.map(|one| one.slot.as_str()).collect();
        let name = &gateway.name;
        match given.as_slice() {
            [] => format!(
                "gateway {name}: its credentials are given in the office, and none is there yet: nothing is sent to it"
            ),
            given => format!(
                "gateway {name}: {} as given in the office; key_file and key_env are not used",
                given.join(" and ")
            ),
        }
    });
    told.collect()
}
