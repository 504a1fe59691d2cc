//! `t=…,v1=…` in a header, as Stripe signs webhooks (docs.stripe.com/webhooks/signature): HMAC-SHA256 of the time, a full
//! stop and the body. The sandbox acquirer signs its own the same way.

use crate::webhook::{Headers, WEBHOOK_AGE_MS_MAX, WebhookError, header};
use aws_lc_rs::{constant_time, hmac};

/// Signatures that are compared: one for each secret that an endpoint has while it is being rolled.
const SIGNATURES_MAX: usize = 8;
const SIGNATURE_BYTES: usize = 32;

/// Is the body signed with this secret, lately, in the header of that name?
pub(crate) fn verify(
    (secret, name): (&[u8], &str),
    headers: &Headers<'_>,
    body: &[u8],
    now_unix_ms: i64,
) -> Result<(), WebhookError> {
    let value = header(headers, name).ok_or(WebhookError::Signature)?;
    let parts = || value.split(',').filter_map(|part| part.trim().split_once('='));
    let time = parts().find(|(name, _)| *name == "t").map(|(_, time)| time).ok_or(WebhookError::Signature)?;
    let expected = sign(secret, time, body);
    let signatures = parts().filter(|(name, _)| *name == "v1").take(SIGNATURES_MAX);
    let genuine = signatures
        .filter_map(|(_, hex)| unhex(hex))
        .any(|signature| constant_time::verify_slices_are_equal(&signature, expected.as_ref()).is_ok());
    if !genuine {
        return Err(WebhookError::Signature);
    }
    let signed_ms = time.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1_000));
    let age_ms = signed_ms.map(|signed| now_unix_ms.saturating_sub(signed).saturating_abs());
    if age_ms.is_some_and(|age| age <= WEBHOOK_AGE_MS_MAX) { Ok(()) } else { Err(WebhookError::Stale) }
}

fn sign(secret: &[u8], time: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(time.as_bytes());
    context.update(b".");
    context.update(body);
    context.sign()
}

fn unhex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    if text.len() != 2 * SIGNATURE_BYTES {
        return None;
    }
    let mut bytes = [0; SIGNATURE_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn says(header: &str, body: &[u8], now_ms: i64) -> Result<(), WebhookError> {
        verify((b"whsec_test", "stripe-signature"), &[("Stripe-Signature", header)], body, now_ms)
    }

    fn signed(time: &str, body: &[u8]) -> String {
        sign(b"whsec_test", time, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Computed with another implementation: `printf 1700000000.{} | openssl dgst -sha256 -hmac whsec_test`.
    #[test]
    fn another_implementation_signs_the_same() {
        assert_eq!(signed("1700000000", b"{}"), OPENSSL);
    }
    const OPENSSL: &str = "35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91";

    #[test]
    fn only_what_stripe_signed_lately_is_believed() {
        let v1 = signed("1700000000", b"{}");
        let header = format!("t=1700000000,v1={},v0=x,v1={v1}", "0".repeat(64));
        assert_eq!(says(&header, b"{}", NOW_MS), Ok(()));
        assert_eq!(says(&header, b"{}", NOW_MS + WEBHOOK_AGE_MS_MAX), Ok(()));
        assert_eq!(says(&header, b"{}", NOW_MS + WEBHOOK_AGE_MS_MAX + 1), Err(WebhookError::Stale));
        assert_eq!(says(&header, b"{} ", NOW_MS), Err(WebhookError::Signature));
        let later = header.replace("t=1700000000", "t=1700000001");
        assert_eq!(says(&later, b"{}", NOW_MS), Err(WebhookError::Signature));
        for bad in ["", "t=1700000000", "v1=00", &format!("v1={v1}"), &format!("t=1700000000,v0={v1}")] {
            assert_eq!(says(bad, b"{}", NOW_MS), Err(WebhookError::Signature), "{bad}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_stale_however_it_is_signed() {
        let header = format!("t=x,v1={}", signed("x", b"{}"));
        assert_eq!(says(&header, b"{}", NOW_MS), Err(WebhookError::Stale));
    }
}
