//! `tonewall vault purge`: what is not to be kept goes, and a signed report says what went.
//!
//! The report is a line of canonical JSON (RFC 8785), signed with Ed25519 as that of the self-test is. Of a purge that is
//! killed the report is empty; which cards went, and when, the records remember.

use super::{custody, with};
use crate::selftest::key::SigningKey;
use crate::selftest::report::{canonical, hex, now, unhex};
use crate::{Folder, print};
use anyhow::{Context, bail, ensure};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use node::custody::{Cards, Keyring, Overdue, Tenant, now_ms};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const KIND: &str = "tonewall-vault-purge";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const REPORT_BYTES_MAX: u64 = 256 << 20;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// Only this tenant's cards. Default: all tenants'.
    #[arg(long)]
    tenant: Option<Tenant>,
    /// Besides the cards that were stored with an end of their own: those not used for so many days.
    #[arg(long, value_name = "DAYS")]
    unused_days: Option<u16>,
    /// Where the signed report goes; a new file.
    #[arg(long, value_name = "FILE", required_unless_present = "verify")]
    report: Option<PathBuf>,
    /// Purges nothing: checks a report's signature against this vault's key.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["report", "tenant", "unused_days"])]
    verify: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(file) = &arguments.verify {
        let key = custody(&arguments.folder.path)?.keys.join("report.key");
        let report = verify(file, &key).with_context(|| file.display().to_string())?;
        let count = report.get("purged").and_then(Value::as_u64).unwrap_or_default();
        print(&format!("{}: as it was signed; {count} cards went", file.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let Some(file) = &arguments.report else { bail!("--report is missing") };
    let mut options = std::fs::OpenOptions::new();
    let mut out =
        options.write(true).create_new(true).mode(0o600).open(file).with_context(|| file.display().to_string())?;
    let count = with(&arguments.folder.path, async |custody, cards| {
        let key = SigningKey::in_file(&custody.keys.join("report.key"))?;
        let (began, rule) = (now(), rule(arguments.unused_days));
        let mut tokens = Map::new();
        let tenants = match &arguments.tenant {
            Some(tenant) => vec![tenant.clone()],
            None => cards.keyring().tenants().await?,
        };
        for tenant in &tenants {
            tokens.insert(tenant.to_string(), Value::Array(of_tenant(cards, tenant, rule).await?));
        }
        let count = tokens.values().filter_map(Value::as_array).map(Vec::len).sum::<usize>();
        let report = json!({"kind": KIND, "format": 1, "began": began, "ended": now(), "tokens": tokens, "purged": count,
            "rule": {"unused_days": arguments.unused_days, "keep_until": "passed"}, "public_key": hex(&key.public())});
        out.write_all(signed(report, &key)?.as_bytes()).and_then(|()| out.sync_all()).context("writing the report")?;
        Ok(count)
    })?;
    print(&format!("{count} cards purged; the signed report is {}", file.display()));
    Ok(ExitCode::SUCCESS)
}

fn rule(unused_days: Option<u16>) -> Overdue {
    let now_ms = now_ms();
    Overdue { now_ms, unused_since_ms: unused_days.map(|days| now_ms.saturating_sub(i64::from(days) * DAY_MS)) }
}

async fn of_tenant(cards: &Cards, tenant: &Tenant, rule: Overdue) -> anyhow::Result<Vec<Value>> {
    let mut tokens = Vec::new();
    loop {
        let purged = cards.purge(tenant, rule).await?;
        tokens.extend(purged.tokens.into_iter().map(|token| json!(token)));
        if !purged.more {
            return Ok(tokens);
        }
    }
}

fn signed(report: Value, key: &SigningKey) -> anyhow::Result<String> {
    let text = canonical(&report)?;
    let Value::Object(mut members) = report else { bail!("a report is an object") };
    members.insert("signature".to_owned(), json!(hex(&key.sign(text.as_bytes()))));
    Ok(canonical(&Value::Object(members))? + "\n")
}

/// Reads a report; an error if it is not as it was signed, or not signed by this vault's key.
fn verify(file: &Path, key: &Path) -> anyhow::Result<Map<String, Value>> {
    ensure!(key.exists(), "{}: this vault has signed no report yet", key.display());
    ensure!(std::fs::metadata(file)?.len() <= REPORT_BYTES_MAX, "too long for a report");
    let bytes = std::fs::read(file)?;
    let value: Value = serde_json::from_slice(&bytes).context("no report, or one of a purge that was cut off")?;
    ensure!(canonical(&value)? + "\n" == String::from_utf8_lossy(&bytes), "CHANGED: not as it was written");
    let Value::Object(mut report) = value else { bail!("no report: no object") };
    ensure!(report.get("kind") == Some(&json!(KIND)), "no report of a purge");
    let signature = report.remove("signature");
    let signature: [u8; 64] = signature.as_ref().and_then(Value::as_str).and_then(unhex).context("no signature")?;
    let signed = canonical(&Value::Object(report.clone()))?;
    let public = SigningKey::in_file(key)?.public();
    let verified = UnparsedPublicKey::new(&ED25519, public).verify(signed.as_bytes(), &signature);
    ensure!(verified.is_ok(), "CHANGED, or signed by another vault: the signature does not fit");
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_verified_and_a_change_of_any_byte_is_refused() {
        let folder = std::env::temp_dir().join(format!("tonewall-vault-report-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (key, file) = (folder.join("report.key"), folder.join("report"));
        let line = signed(json!({"kind": KIND, "purged": 1}), &SigningKey::in_file(&key).unwrap()).unwrap();
        std::fs::write(&file, &line).unwrap();
        assert_eq!(verify(&file, &key).unwrap()["purged"], 1);
        for place in 0..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[place] ^= 1;
            std::fs::write(&file, &changed).unwrap();
            assert!(verify(&file, &key).is_err(), "byte {place}");
        }
        std::fs::write(&file, &line).unwrap();
        std::fs::remove_file(&key).unwrap();
        SigningKey::in_file(&key).unwrap();
        assert!(verify(&file, &key).is_err(), "another vault's");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
