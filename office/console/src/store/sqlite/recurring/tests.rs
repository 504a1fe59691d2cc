//! How SQLite finds what schedulers look for. What they are promised is tested where it is decided, and by the contract.

use super::{due, outbox, tries};
use crate::store::sqlite::tests::sqlite;
use sqlx::Row;

/// Each look of the schedulers, a few times a second, must not read what is over.
#[tokio::test]
async fn what_the_schedulers_look_for_is_found_by_an_index() {
    let (store, _folder) = sqlite().await;
    for (query, index) in [
        (tries::NEXT_JOB, "USING INDEX due_payment_ready (ready_at<?)"),
        (due::DUE_AGREEMENTS, "USING INDEX agreement_next (next_at<?)"),
        (outbox::TO_REMIND, "USING INDEX agreement_to_remind (remind_at<?)"),
        (due::TOO_LATE, "USING INDEX due_payment_ready (ready_at<?)"),
        (due::MISSED, "USING INDEX due_payment_missed"),
    ] {
        let mut plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}")));
        for _ in 0..query.matches('?').count().min(3) {
            plan = plan.bind(1);
        }
        let rows = plan.fetch_all(store.writer()).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("detail").unwrap()).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{query}: {plan:?}");
        let scans = plan.iter().filter(|step| step.starts_with("SCAN") && !step.contains("USING INDEX")).count();
        assert!(scans == 0 && !plan.iter().any(|step| step.contains("TEMP B-TREE")), "{query}: {plan:?}");
    }
}
