//! The contract of [`Store`].

use super::{tenant, tokens};
use crate::store::{Overdue, Reason, Record, Row, Store};
use wire::Token;

fn record(token: &Token, used_ms: i64, keep_until_ms: Option<i64>) -> Record {
    Record { token: token.clone(), pan: vec![1, 2, 3], expiry: vec![4, 5], stored_ms: 5, used_ms, keep_until_ms }
}

/// All of it, on an empty store.
pub async fn records<S: Store>(store: &S) {
    a_record_reads_back_for_its_tenant_alone(store).await;
    a_token_is_taken_for_ever(store).await;
    pages_are_in_order_and_skip_nothing(store).await;
    what_is_overdue_is_named(store).await;
    a_tenant_is_buried_alone(store).await;
}

async fn a_record_reads_back_for_its_tenant_alone<S: Store>(store: &S) {
    let (a, b, token) = (tenant("a"), tenant("b"), &tokens(1)[0]);
    assert_eq!(store.record(&a, token).await.unwrap(), None);
    assert!(store.insert(&a, &record(token, 7, Some(9))).await.unwrap());
    assert_eq!(store.record(&a, token).await.unwrap(), Some(Row::Kept(record(token, 7, Some(9)))));
    assert_eq!(store.record(&b, token).await.unwrap(), None);
    store.used(&b, token, 99).await.unwrap();
    assert_eq!(store.record(&a, token).await.unwrap(), Some(Row::Kept(record(token, 7, Some(9)))));
    store.used(&a, token, 99).await.unwrap();
    assert_eq!(store.record(&a, token).await.unwrap(), Some(Row::Kept(record(token, 99, Some(9)))));
    assert_eq!(store.count(&a).await.unwrap(), (1, 0));
    assert_eq!(store.count(&b).await.unwrap(), (0, 0));
}

async fn a_token_is_taken_for_ever<S: Store>(store: &S) {
    let (a, b, token) = (tenant("a"), tenant("b"), &tokens(1)[0]);
    let tokens = std::slice::from_ref(token);
    assert!(!store.insert(&a, &record(token, 1, None)).await.unwrap());
    assert!(!store.insert(&b, &record(token, 1, None)).await.unwrap());
    assert_eq!(store.bury(&b, tokens, 3, Reason::Shredded).await.unwrap(), 0, "another tenant's");
    assert_eq!(store.bury(&a, tokens, 3, Reason::Shredded).await.unwrap(), 1);
    assert_eq!(store.bury(&a, tokens, 4, Reason::Retention).await.unwrap(), 0, "done once");
    store.settle().await.unwrap();
    assert_eq!(store.record(&a, token).await.unwrap(), Some(Row::Gone));
    assert!(!store.insert(&a, &record(token, 1, None)).await.unwrap(), "also when its card is gone");
    assert_eq!(store.count(&a).await.unwrap(), (0, 1));
}

async fn pages_are_in_order_and_skip_nothing<S: Store>(store: &S) {
    let (c, all) = (tenant("c"), &tokens(30)[1..]);
    for token in all.iter().rev() {
        assert!(store.insert(&c, &record(token, 1, None)).await.unwrap());
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(&c, after.as_ref(), 7).await.unwrap();
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        after = Some(last.token.clone());
        seen.extend(page.into_iter().map(|record| record.token));
    }
    assert_eq!(seen, all);
}

async fn what_is_overdue_is_named<S: Store>(store: &S) {
    let (d, all) = (tenant("d"), &tokens(36)[30..]);
    let rows = [(10, None), (20, None), (30, Some(100)), (30, Some(101)), (30, None), (9, Some(1))];
    for (token, (used, keep)) in all.iter().zip(rows) {
        assert!(store.insert(&d, &record(token, used, keep)).await.unwrap());
    }
    let due = async |now_ms, unused_since_ms, limit| {
        let due = store.overdue(&d, Overdue { now_ms, unused_since_ms }, limit).await.unwrap();
        let mut places: Vec<_> = due.iter().map(|token| all.iter().position(|other| other == token).unwrap()).collect();
        places.sort_unstable();
        places
    };
    assert_eq!(due(101, None, 10).await, [2, 5]);
    assert_eq!(due(0, Some(20), 10).await, [0, 5]);
    assert_eq!(due(102, Some(30), 10).await, [0, 1, 2, 3, 5]);
    assert_eq!(due(102, Some(30), 2).await.len(), 2);
    store.bury(&d, &all[..1], 5, Reason::Retention).await.unwrap();
    assert_eq!(due(0, Some(20), 10).await, [5], "what is gone is not overdue");
}

async fn a_tenant_is_buried_alone<S: Store>(store: &S) {
    let (c, d) = (tenant("c"), tenant("d"));
    assert_eq!(store.bury_all(&d, 9).await.unwrap(), 5);
    assert_eq!(store.bury_all(&d, 9).await.unwrap(), 0);
    assert_eq!(store.count(&d).await.unwrap(), (0, 6));
    assert_eq!(store.count(&c).await.unwrap(), (29, 0));
    store.settle().await.unwrap();
}
