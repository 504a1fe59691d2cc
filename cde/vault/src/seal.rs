//! The form of a sealed card, and what each sealed thing is bound to.

use crate::key::{Key, KeyError, place};
use crate::random::Random;
use crate::store::{Purpose, Tenant};
use card::{Digit, Expiry, Keyed, Pan, YearMonth};
use wire::Token;
use wire::brand::PAN_LENGTH_MAX;
use zeroize::Zeroizing;

/// The form of everything below. Another form would have another number, so that neither opens as the other.
const FORM: &[u8] = b"tonewall-vault-1";
/// A number takes as many bytes as the longest, and its length: ciphertexts do not tell lengths apart.
pub(crate) const PAN_BYTES: usize = 1 + PAN_LENGTH_MAX;
/// Month, then the year in two bytes.
pub(crate) const EXPIRY_BYTES: usize = 3;

/// Fields of a record.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    Pan,
    Expiry,
}

impl Field {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Pan => b"pan",
            Self::Expiry => b"expiry",
        }
    }
}

/// A field of a record.
pub(crate) fn field_place(tenant: &Tenant, token: &Token, field: Field) -> Vec<u8> {
    place(&[FORM, b"field", tenant.as_str().as_bytes(), token.as_str().as_bytes(), field.name()])
}

/// A record's key under a KEK.
pub(crate) fn record_key_place(tenant: &Tenant, token: &Token, kek: u32) -> Vec<u8> {
    place(&[FORM, b"record-key", tenant.as_str().as_bytes(), token.as_str().as_bytes(), &kek.to_be_bytes()])
}

/// A tenant's key under a root.
pub(crate) fn tenant_key_place(tenant: &Tenant, purpose: Purpose, version: u32, root: u32) -> Vec<u8> {
    let (purpose, version, root) = (purpose.as_str().as_bytes(), version.to_be_bytes(), root.to_be_bytes());
    place(&[FORM, b"tenant-key", tenant.as_str().as_bytes(), purpose, &version, &root])
}

/// The number as it is sealed.
pub(crate) fn pan_bytes(pan: &Pan) -> Zeroizing<[u8; PAN_BYTES]> {
    let mut bytes = Zeroizing::new([0; PAN_BYTES]);
    pan.expose(|digits| {
        let length = u8::try_from(digits.len()).unwrap_or_default();
        bytes.iter_mut().zip([length].iter().chain(digits)).for_each(|(to, from)| *to = *from);
    });
    bytes
}

/// Reads it back; `None` where it is no number.
pub(crate) fn pan_of(bytes: &[u8]) -> Option<Pan> {
    let (length, digits) = bytes.split_first()?;
    Pan::parse(&keyed(digits.get(..usize::from(*length))?)?).ok()
}

fn keyed(digits: &[u8]) -> Option<Keyed> {
    let mut keyed = Keyed::new().ok()?;
    let complete = digits.iter().all(|digit| {
        let digit = digit.checked_sub(b'0').and_then(Digit::new);
        digit.is_some_and(|digit| keyed.push(&digit))
    });
    complete.then_some(keyed)
}

/// The expiry as it is sealed.
pub(crate) fn expiry_bytes(expiry: &Expiry) -> Zeroizing<[u8; EXPIRY_BYTES]> {
    expiry.expose(|date| {
        let [high, low] = date.year.to_be_bytes();
        Zeroizing::new([date.month, high, low])
    })
}

/// Reads it back; `None` where it is no month.
pub(crate) fn expiry_of(bytes: &[u8]) -> Option<Expiry> {
    let [month, high, low] = *<&[u8; EXPIRY_BYTES]>::try_from(bytes).ok()?;
    let date = YearMonth { year: u16::from_be_bytes([high, low]), month };
    (1..=12).contains(&month).then(|| Expiry::stored(date).ok())?
}

/// The two fields, sealed by a key of this record alone.
pub(crate) fn seal_card(
    key: &Key,
    random: &dyn Random,
    (tenant, token): (&Tenant, &Token),
    (pan, expiry): (&Pan, &Expiry),
) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
    let pan = key.seal(random, &field_place(tenant, token, Field::Pan), &mut *pan_bytes(pan))?;
    let expiry = key.seal(random, &field_place(tenant, token, Field::Expiry), &mut *expiry_bytes(expiry))?;
    Ok((pan, expiry))
}

/// The two fields again.
pub(crate) fn open_card(
    key: &Key,
    (tenant, token): (&Tenant, &Token),
    (pan, expiry): (&[u8], &[u8]),
) -> Result<(Pan, Expiry), KeyError> {
    let pan = key.open(&field_place(tenant, token, Field::Pan), pan, pan_of)?.ok_or(KeyError::Refused)?;
    let expiry = key.open(&field_place(tenant, token, Field::Expiry), expiry, expiry_of)?.ok_or(KeyError::Refused)?;
    Ok((pan, expiry))
}
