//! Cards on their way to another vault. They keep their tokens.
//!
//! A file of lines: the export's request, then each card and an end, numbered from 0 and sealed by HPKE to the other
//! vault's address. A line is bound to the whole request and to its number, the end to their count: none can be left out,
//! added, changed about or taken from another export. An address is a public key of X25519; its secret is a key of the
//! tenant like the others, so it is rotated with the root and dies with the tenant.

use crate::approval::{Approved, Deed, Request};
use crate::hex::{hex, unhex};
use crate::hpke::{Recipient, seal};
use crate::seal::{EXPIRY_BYTES, PAN_BYTES, expiry_bytes, expiry_of, pan_bytes, pan_of};
use crate::store::{Keyring, Purpose, Record, Store, Tenant};
use crate::vault::{BATCH, Vault, VaultError};
use card::{Expiry, Pan};
use serde::{Deserialize, Serialize};
use wire::Token;
use zeroize::Zeroizing;

const KIND: &str = "tonewall-vault-export";
const FORMAT: u32 = 1;
/// `tok_` and 24 characters.
const TOKEN_BYTES: usize = 28;
/// Token, number, expiry, whether there is an end of keeping, and that.
const CARD_BYTES: usize = TOKEN_BYTES + PAN_BYTES + EXPIRY_BYTES + 1 + 8;
/// What a line's number is of.
const CARD: &[u8] = b"card";
const END: &[u8] = b"end";

/// The first line of an export.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    kind: String,
    format: u32,
    request: Request,
}

/// Why cards do not leave or enter.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Approved was something else.
    #[error("two people have approved something else: {0}")]
    NotApproved(&'static str),
    /// Not an export, cut off, or changed.
    #[error("line {0}: not an export to this vault, or changed on its way; nothing after this line was taken in")]
    Line(u64),
    /// A card of another tenant or number has the token.
    #[error("line {0}: another card has this token here")]
    Taken(u64),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// An import that is under way.
pub struct Import {
    header: Vec<u8>,
    tenant: Tenant,
    next: u64,
    ended: bool,
}

impl Import {
    /// Lines that were taken, the first one not counted.
    pub fn cards(&self) -> u64 {
        self.next
    }

    /// Has the end come? A file without one was cut off.
    pub fn ended(&self) -> bool {
        self.ended
    }
}

impl<S: Store, R: Keyring> Vault<S, R> {
    /// Where other vaults send this tenant's cards.
    pub async fn address(&self, tenant: &Tenant) -> Result<[u8; 32], VaultError> {
        Ok(self.recipient(tenant).await?.public())
    }

    /// Opens what was sealed to a tenant's address for another purpose than cards: `info` says which.
    pub async fn open_sealed(
        &self,
        tenant: &Tenant,
        info: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.recipient(tenant).await?.open(info, aad, sealed).map_err(|_| VaultError::Refused)
    }

    async fn recipient(&self, tenant: &Tenant) -> Result<Recipient, VaultError> {
        let mut keys = self.keyring.tenant_keys(tenant).await?;
        if keys.is_empty() {
            return Err(VaultError::NoTenant);
        }
        if !keys.iter().any(|key| key.purpose == Purpose::Transfer) {
            let fresh = self.new_tenant_key(tenant, Purpose::Transfer, 1)?;
            // False: somebody else has just done it.
            self.keyring.add_tenant_keys(tenant, &[fresh]).await?;
            keys = self.keyring.tenant_keys(tenant).await?;
        }
        let (_, key) = self.newest(tenant, &keys, Purpose::Transfer)?;
        key.expose(Recipient::new).map_err(|_| VaultError::Refused)
    }

    /// Writes an export line by line. Returns how many cards are in it.
    pub async fn export(&self, approved: &Approved, mut line: impl FnMut(&str)) -> Result<u64, TransferError> {
        let request = approved.request();
        if request.deed != Deed::Export {
            return Err(TransferError::NotApproved("not an export"));
        }
        let header = Header { kind: KIND.to_owned(), format: FORMAT, request: request.clone() };
        line(&serde_json::to_string(&header).map_err(|_| TransferError::Line(0))?);
        let (mut after, mut number) = (None, 0);
        loop {
            let page = self.store.page(&request.tenant, after.as_ref(), BATCH).await.map_err(VaultError::from)?;
            let Some(last) = page.last() else { break };
            after = Some(last.token.clone());
            for record in page.iter().filter(|record| record.stored_ms <= request.made_ms) {
                let Some(plain) = self.card_line(request, record).await? else { continue };
                line(&self.sealed(request, CARD, number, &*plain)?);
                number += 1;
            }
        }
        line(&self.sealed(request, END, number, &[])?);
        Ok(number)
    }

    /// A card as it is sent; none where it was shredded meanwhile.
    async fn card_line(
        &self,
        request: &Request,
        record: &Record,
    ) -> Result<Option<Zeroizing<[u8; CARD_BYTES]>>, TransferError> {
        let (pan, expiry) = match self.open(record.used_ms, &request.tenant, &record.token).await {
            Err(VaultError::Gone) => return Ok(None),
            opened => opened?,
        };
        let mut line = Zeroizing::new([0; CARD_BYTES]);
        let (pan, expiry) = (pan_bytes(&pan), expiry_bytes(&expiry));
        let keep = [u8::from(record.keep_until_ms.is_some())];
        let until = record.keep_until_ms.unwrap_or_default().to_be_bytes();
        let parts = [record.token.as_str().as_bytes(), &*pan, &*expiry, &keep, &until];
        line.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        Ok(Some(line))
    }

    fn sealed(&self, request: &Request, what: &[u8], number: u64, plain: &[u8]) -> Result<String, TransferError> {
        let mut ephemeral = Zeroizing::new([0; 32]);
        self.random.fill(&mut *ephemeral).map_err(VaultError::from)?;
        let sealed = seal(&ephemeral, &request.to, &request.bytes(), &aad(what, number), plain);
        Ok(hex(&sealed.map_err(|_| TransferError::NotApproved("the address is no public key"))?))
    }

    /// Begins an import with the first line of a file. The file's digest must be the approved one: the caller has made it.
    pub async fn import(&self, approved: &Approved, digest: [u8; 32], first: &str) -> Result<Import, TransferError> {
        let request = approved.request();
        if request.deed != Deed::Import {
            return Err(TransferError::NotApproved("not an import"));
        }
        if request.digest != digest {
            return Err(TransferError::NotApproved("the file is another one"));
        }
        let header: Header = serde_json::from_str(first).map_err(|_| TransferError::Line(0))?;
        let ours = self.address(&request.tenant).await?;
        let fits = header.kind == KIND && header.format == FORMAT && header.request.deed == Deed::Export;
        if !fits || header.request.to != ours || request.to != ours {
            return Err(TransferError::Line(0));
        }
        Ok(Import { header: header.request.bytes(), tenant: request.tenant.clone(), next: 0, ended: false })
    }

    /// Takes the next line of an import. A card that is here already, as after an import that was cut off, is passed over;
    /// one that was cut off itself, with its key here and no record, is finished.
    pub async fn import_line(&self, now_ms: i64, import: &mut Import, line: &str) -> Result<(), TransferError> {
        let number = import.next;
        let wrong = || TransferError::Line(number + 1);
        let sealed = unhex(line).filter(|_| !import.ended).ok_or_else(wrong)?;
        let recipient = self.recipient(&import.tenant).await?;
        if recipient.open(&import.header, &aad(END, number), &sealed).is_ok() {
            import.ended = true;
            return Ok(());
        }
        let plain = recipient.open(&import.header, &aad(CARD, number), &sealed).map_err(|_| wrong())?;
        let (token, pan, expiry, keep_until_ms) = card_of(&plain).ok_or_else(wrong)?;
        let (place, card) = ((&import.tenant, &token), (&pan, &expiry));
        match self.store_as(now_ms, place, card, keep_until_ms).await {
            Err(VaultError::Taken) => {
                let taken = || TransferError::Taken(number + 1);
                let is_same = self.find(&import.tenant, &pan).await?.contains(&token);
                match self.open(now_ms, &import.tenant, &token).await {
                    Ok(_) if is_same => {}
                    Err(VaultError::NoToken) if is_same => {
                        let is_stored = self.store_on(now_ms, place, card, keep_until_ms).await?;
                        is_stored.then_some(()).ok_or_else(taken)?;
                    }
                    _ => return Err(taken()),
                }
            }
            stored => stored?,
        }
        import.next += 1;
        Ok(())
    }
}

fn aad(what: &[u8], number: u64) -> Vec<u8> {
    [what, &number.to_be_bytes()].concat()
}

fn card_of(plain: &[u8]) -> Option<(Token, Pan, Expiry, Option<i64>)> {
    let (token, rest) = plain.split_at_checked(TOKEN_BYTES)?;
    let (pan, rest) = rest.split_at_checked(PAN_BYTES)?;
    let (expiry, rest) = rest.split_at_checked(EXPIRY_BYTES)?;
    let (keep, until) = rest.split_first()?;
    let until = i64::from_be_bytes(until.try_into().ok()?);
    let token = std::str::from_utf8(token).ok()?.parse().ok()?;
    Some((token, pan_of(pan)?, expiry_of(expiry)?, (*keep == 1).then_some(until)))
}
