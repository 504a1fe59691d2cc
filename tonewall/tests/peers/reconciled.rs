//! The bank's statement against the office's day, after whatever a test has done to both.

use crate::stage::api::Api;
use crate::stage::{Stage, http};
use anyhow::Context;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeSet;

const UPLOAD: &str = "/api/v1/reconciliations?format=sandbox&name=statement.csv";

/// Gives the bank's statement in, twice, and expects that each of `movements` is matched and nothing else is found. Whoever asks has the
/// right `finance`.
pub async fn reconciled(stage: &Stage, api: &Api, movements: usize) -> anyhow::Result<()> {
    let url = format!("http://{}/v1/statement.csv", stage.bank);
    let statement = http().get(url).send().await?.text().await?;
    assert_eq!(statement.lines().count(), movements + 1, "{statement}");
    let first = api.send(Method::POST, UPLOAD, Some(statement.clone())).await?;
    assert_eq!(first.status, 201, "{first:?}");
    let again = api.send(Method::POST, UPLOAD, Some(statement)).await?;
    assert_eq!(again.status, 200, "the same report again is no other: {again:?}");
    let report: Value = serde_json::from_str(&first.text)?;
    // A test may begin before midnight and end after it.
    let mut days = BTreeSet::new();
    for when in ["/report/first_at", "/report/last_at"] {
        let at = report.pointer(when).and_then(Value::as_str).context("no time")?;
        days.insert(at.get(..10).context("no date")?.to_owned());
    }
    let mut matched = 0;
    for day in days {
        let told = api.get(&format!("/api/v1/reconciliations/{day}")).await?;
        assert_eq!(told["clean"], true, "{day}: {told}");
        matched += told["counts"]["matched"].as_u64().context("no count")?;
        for total in told["totals"].as_array().context("no totals")? {
            assert_eq!(total["ours_taken"], total["theirs_taken"], "{day}");
            assert_eq!(total["ours_given_back"], total["theirs_given_back"], "{day}");
        }
    }
    assert_eq!(matched, u64::try_from(movements)?, "matched lines");
    println!("{matched} movements of the bank's statement are the office's own");
    Ok(())
}
