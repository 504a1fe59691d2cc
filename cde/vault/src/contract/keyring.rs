//! The contract of [`Keyring`].

use super::{tenant, tokens};
use crate::store::{Keyring, Purpose, RecordKey, TenantKey};
use wire::Token;

/// As long as what wraps it makes it: a newer root may be of another kind of key store.
fn wrapped(by: u32, what: u8) -> Vec<u8> {
    vec![what; 10 + usize::try_from(by).unwrap()]
}

fn kek(version: u32, root: u32) -> TenantKey {
    let wrapped = wrapped(root, u8::try_from(version).unwrap());
    TenantKey { purpose: Purpose::Records, version, root, wrapped }
}

fn fingerprints(root: u32) -> TenantKey {
    TenantKey { purpose: Purpose::Fingerprints, version: 1, root, wrapped: wrapped(root, 200) }
}

fn key(token: &Token, kek: u32, print: u8) -> RecordKey {
    RecordKey { token: token.clone(), kek, wrapped: wrapped(kek, 100 + print), fingerprint: [print; 32] }
}

/// All of it, on an empty keyring.
pub async fn keys<R: Keyring>(ring: &R) {
    a_tenant_has_its_keys_whole_or_not_at_all(ring).await;
    a_record_key_needs_its_kek_and_a_free_token(ring).await;
    a_kek_goes_only_when_it_wraps_nothing(ring).await;
    a_closed_root_takes_nothing_more(ring).await;
    what_is_removed_is_gone_for_its_tenant_alone(ring).await;
}

async fn a_tenant_has_its_keys_whole_or_not_at_all<R: Keyring>(ring: &R) {
    let (a, b) = (tenant("a"), tenant("b"));
    assert!(ring.tenants().await.unwrap().is_empty());
    assert!(ring.add_tenant_keys(&a, &[kek(1, 1), fingerprints(1)]).await.unwrap());
    assert!(!ring.add_tenant_keys(&a, &[kek(2, 1), fingerprints(1)]).await.unwrap(), "one is there: none is added");
    assert_eq!(ring.tenant_keys(&a).await.unwrap(), [kek(1, 1), fingerprints(1)]);
    assert!(ring.add_tenant_keys(&b, &[kek(1, 1), fingerprints(1)]).await.unwrap());
    assert_eq!(ring.tenants().await.unwrap(), [a, b]);
    assert!(ring.tenant_keys(&tenant("nobody")).await.unwrap().is_empty());
}

async fn a_record_key_needs_its_kek_and_a_free_token<R: Keyring>(ring: &R) {
    let (a, b, tokens) = (tenant("a"), tenant("b"), tokens(3));
    assert!(!ring.add_record_key(&a, &key(&tokens[0], 2, 1)).await.unwrap(), "there is no such KEK");
    assert!(!ring.add_record_key(&tenant("nobody"), &key(&tokens[0], 1, 1)).await.unwrap());
    assert!(ring.add_record_key(&a, &key(&tokens[0], 1, 1)).await.unwrap());
    assert!(!ring.add_record_key(&a, &key(&tokens[0], 1, 1)).await.unwrap(), "taken");
    assert!(!ring.add_record_key(&b, &key(&tokens[0], 1, 1)).await.unwrap(), "by another tenant too");
    assert!(ring.add_record_key(&a, &key(&tokens[1], 1, 1)).await.unwrap());
    assert!(ring.add_record_key(&b, &key(&tokens[2], 1, 1)).await.unwrap());
    assert_eq!(ring.record_key(&a, &tokens[0]).await.unwrap(), Some((key(&tokens[0], 1, 1), kek(1, 1))));
    assert_eq!(ring.record_key(&b, &tokens[0]).await.unwrap(), None);
    assert_eq!(ring.find(&a, &[1; 32], 9).await.unwrap(), tokens[..2]);
    assert_eq!(ring.find(&a, &[1; 32], 1).await.unwrap().len(), 1);
    assert!(ring.find(&a, &[2; 32], 9).await.unwrap().is_empty());
}

async fn a_kek_goes_only_when_it_wraps_nothing<R: Keyring>(ring: &R) {
    let (a, b, tokens) = (tenant("a"), tenant("b"), tokens(3));
    assert!(!ring.remove_kek(&a, 1).await.unwrap(), "it is the newest");
    assert!(ring.add_tenant_keys(&a, &[kek(2, 1)]).await.unwrap());
    assert!(!ring.remove_kek(&a, 1).await.unwrap(), "it wraps two");
    assert_eq!(ring.wrapped_by(&a, 1, 9).await.unwrap().len(), 2);
    assert_eq!(ring.wrapped_by(&a, 1, 1).await.unwrap().len(), 1);
    assert_eq!(ring.rewrap(&b, 1, &[key(&tokens[0], 2, 1)]).await.unwrap(), 0, "not theirs");
    let both = [key(&tokens[0], 2, 1), key(&tokens[1], 2, 1), key(&super::tokens(9)[8], 2, 1)];
    assert_eq!(ring.rewrap(&a, 1, &both).await.unwrap(), 2, "what is not there is not made");
    assert_eq!(ring.rewrap(&a, 1, &both).await.unwrap(), 0, "they are not under the old one any more");
    assert_eq!(ring.record_key(&a, &tokens[0]).await.unwrap(), Some((key(&tokens[0], 2, 1), kek(2, 1))));
    assert_eq!(ring.count(&a).await.unwrap(), [(2, 2)]);
    assert!(ring.remove_kek(&a, 1).await.unwrap());
    assert!(!ring.remove_kek(&a, 1).await.unwrap());
    assert_eq!(ring.tenant_keys(&a).await.unwrap(), [kek(2, 1), fingerprints(1)]);
    assert!(!ring.add_record_key(&a, &key(&super::tokens(9)[7], 1, 1)).await.unwrap(), "made before, come too late");
}

async fn a_closed_root_takes_nothing_more<R: Keyring>(ring: &R) {
    let (a, b) = (tenant("a"), tenant("b"));
    assert!(!ring.close_roots(2).await.unwrap(), "four keys are wrapped by it");
    for (tenant, key) in [(&a, kek(2, 2)), (&a, fingerprints(2)), (&b, kek(1, 2))] {
        assert!(ring.rewrap_tenant_key(tenant, 1, &key).await.unwrap());
        assert!(!ring.rewrap_tenant_key(tenant, 1, &key).await.unwrap(), "it is not under the old one any more");
    }
    assert!(!ring.close_roots(2).await.unwrap(), "one still is");
    assert!(ring.rewrap_tenant_key(&b, 1, &fingerprints(2)).await.unwrap());
    assert!(ring.close_roots(2).await.unwrap());
    assert!(!ring.add_tenant_keys(&tenant("late"), &[kek(1, 1), fingerprints(1)]).await.unwrap());
    assert!(!ring.rewrap_tenant_key(&a, 2, &kek(2, 1)).await.unwrap(), "nor back");
    assert!(ring.close_roots(1).await.unwrap(), "closing less changes nothing");
    assert!(!ring.add_tenant_keys(&tenant("late"), &[kek(1, 1), fingerprints(1)]).await.unwrap());
}

async fn what_is_removed_is_gone_for_its_tenant_alone<R: Keyring>(ring: &R) {
    let (a, b, tokens) = (tenant("a"), tenant("b"), tokens(3));
    assert_eq!(ring.remove(&b, &tokens[..2]).await.unwrap(), 0);
    assert_eq!(ring.remove(&a, &tokens[..1]).await.unwrap(), 1);
    assert_eq!(ring.remove(&a, &tokens[..1]).await.unwrap(), 0);
    assert_eq!(ring.record_key(&a, &tokens[0]).await.unwrap(), None);
    assert_eq!(ring.find(&a, &[1; 32], 9).await.unwrap(), tokens[1..2], "its fingerprint is gone too");
    assert_eq!(ring.remove_tenant(&a).await.unwrap(), 1);
    assert_eq!(ring.remove_tenant(&a).await.unwrap(), 0);
    ring.settle().await.unwrap();
    assert!(ring.tenant_keys(&a).await.unwrap().is_empty());
    assert_eq!(ring.record_key(&b, &tokens[2]).await.unwrap(), Some((key(&tokens[2], 1, 1), kek(1, 2))));
    assert_eq!(ring.tenants().await.unwrap(), [b]);
}
