//! The report: one line of canonical JSON, signed.
//!
//! The form is that of RFC 8785 for what stands in a report: objects with their keys in order, no space, whole numbers
//! only. A file is a report if it is exactly the canonical form of what it says and a line feed, so that no byte of it can
//! be changed; its signature is over the canonical form without `signature`.

use super::host;
use super::key::SigningKey;
use anyhow::{Context, bail, ensure};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use node::config::Media;
use serde_json::{Map, Value, json};

const KIND: &str = "tonewall-selftest";
const FORMAT: u64 = 1;
const BYTES_MAX: usize = 1 << 20;
const TESTED: &str =
    "this program on this machine: both processes, SIP, sound, masking, keys, payment; simulated phones";
const NOT_TESTED: &str =
    "the carrier, the PBX, their phones, the network, trunks, routes, the payment gateway, two users";

/// A report that is being written.
pub(super) struct Report {
    members: Map<String, Value>,
    warnings: Vec<String>,
    cases: Vec<Value>,
    passed: bool,
}

impl Report {
    pub(super) fn begin(configured: Option<&Media>) -> anyhow::Result<Self> {
        let media = configured.map(|media| {
            // Its phones are at `address`: the other family is not tested.
            let Media { address, address_v6: _, first_port, last_port, threads, steering, masking: _, hold } = media;
            json!({"address": address, "first_port": first_port, "last_port": last_port, "threads": threads,
                "steering": format!("{steering:?}").to_lowercase(), "hold_ms": hold.samples() / 8})
        });
        let members = [
            ("kind", json!(KIND)),
            ("format", json!(FORMAT)),
            ("began", json!(now())),
            ("program", host::program()?),
            ("host", host::facts()),
            ("configured_media", json!(media)),
            ("tested", json!(TESTED)),
            ("not_tested", json!(NOT_TESTED)),
        ];
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { members, warnings: Vec::new(), cases: Vec::new(), passed: true })
    }

    /// What the running system warns of.
    pub(super) fn warned(&mut self, warnings: Vec<String>) {
        self.warnings.extend(warnings);
        self.warnings.sort();
        self.warnings.dedup();
    }

    pub(super) fn add(&mut self, case: Value, passed: bool) {
        self.cases.push(case);
        self.passed &= passed;
    }

    /// The signed line, and whether all passed.
    pub(super) fn sign(self, key: &SigningKey, complete: bool) -> anyhow::Result<(String, bool)> {
        let passed = self.passed && !self.cases.is_empty();
        let mut report = self.members;
        let rest = [
            ("ended", json!(now())),
            ("warnings", json!(self.warnings)),
            ("cases", json!(self.cases)),
            ("complete", json!(complete)),
            ("verdict", json!(verdict(passed))),
            ("public_key", json!(hex(&key.public()))),
            ("public_key_kept", json!(key.is_kept())),
        ];
        report.extend(rest.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let signed = canonical(&Value::Object(report.clone()))?;
        report.insert("signature".to_owned(), json!(hex(&key.sign(signed.as_bytes()))));
        Ok((canonical(&Value::Object(report))? + "\n", passed))
    }
}

pub(super) fn verdict(passed: bool) -> &'static str {
    if passed { "passed" } else { "failed" }
}

/// Reads a report; an error if it is not as it was signed, or not signed by the expected key.
pub(super) fn verify(bytes: &[u8], expected: Option<[u8; 32]>) -> anyhow::Result<Map<String, Value>> {
    ensure!(bytes.len() <= BYTES_MAX, "too long for a report");
    let value: Value = serde_json::from_slice(bytes).context("no report: no JSON")?;
    ensure!(
        canonical(&value)? + "\n" == String::from_utf8_lossy(bytes),
        "not as it was written: a report is one line of canonical JSON and a line feed"
    );
    let Value::Object(mut report) = value else { bail!("no report: no object") };
    ensure!(report.get("kind") == Some(&json!(KIND)), "no report of a self-test");
    ensure!(report.get("format") == Some(&json!(FORMAT)), "a report in a format that this version does not know");
    let signature = report.remove("signature");
    let signature: [u8; 64] = signature.as_ref().and_then(Value::as_str).and_then(unhex).context("no signature")?;
    let public: [u8; 32] = report.get("public_key").and_then(Value::as_str).and_then(unhex).context("no public key")?;
    let signed = canonical(&Value::Object(report.clone()))?;
    let verified = UnparsedPublicKey::new(&ED25519, public).verify(signed.as_bytes(), &signature);
    ensure!(verified.is_ok(), "CHANGED: the signature does not fit");
    ensure!(
        expected.is_none_or(|expected| expected == public),
        "signed, but by another key than the expected one: {}",
        hex(&public)
    );
    Ok(report)
}

/// The one way to write a value.
pub(crate) fn canonical(value: &Value) -> anyhow::Result<String> {
    Ok(match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let member = |(name, value): (&String, &Value)| Ok(format!("{}:{}", json!(name), canonical(value)?));
            let members: anyhow::Result<Vec<String>> = sorted.into_iter().map(member).collect();
            format!("{{{}}}", members?.join(","))
        }
        Value::Array(values) => {
            let values: anyhow::Result<Vec<String>> = values.iter().map(canonical).collect();
            format!("[{}]", values?.join(","))
        }
        Value::Number(number) => {
            ensure!(number.is_u64(), "numbers of a report are whole");
            number.to_string()
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.to_string(),
    })
}

pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        Some(digit(*high)? << 4 | digit(*low)?)
    };
    let bytes: Vec<u8> = pairs.iter().map(byte).collect::<Option<_>>()?;
    // One way to write each: a signature with another letter's case is a changed report.
    bytes.try_into().ok().filter(|bytes: &[u8; LENGTH]| rest.is_empty() && hex(bytes) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> (String, [u8; 32]) {
        let key = SigningKey::of(None).unwrap();
        let mut report = Report::begin(None).unwrap();
        report.add(json!({"keys": 23, "problems": ["a \"quote\", a tab\t, and \u{e9}"]}), true);
        (report.sign(&key, true).unwrap().0, key.public())
    }

    #[test]
    fn a_report_is_verified_and_a_change_of_any_byte_is_refused() {
        let (line, public) = report();
        assert_eq!(verify(line.as_bytes(), Some(public)).unwrap()["verdict"], "passed");
        for (place, bit) in (0..line.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
            let mut changed = line.clone().into_bytes();
            changed[place] ^= 1 << bit;
            assert!(verify(&changed, None).is_err(), "bit {bit} of byte {place} of {line}");
        }
        let more = [format!("{line} "), format!(" {line}"), line.trim_end().to_owned(), line.replace(':', ": ")];
        assert!(more.iter().all(|changed| verify(changed.as_bytes(), None).is_err()));
    }

    #[test]
    fn a_report_that_others_signed_is_refused_where_the_key_is_known() {
        let ((line, public), (_, other)) = (report(), report());
        let refusal = verify(line.as_bytes(), Some(other)).unwrap_err().to_string();
        assert!(refusal.contains("another key") && refusal.contains(&hex(&public)), "{refusal}");
    }

    #[test]
    fn a_self_test_without_a_case_has_not_passed() {
        let (_, passed) = Report::begin(None).unwrap().sign(&SigningKey::of(None).unwrap(), true).unwrap();
        assert!(!passed);
    }

    #[test]
    fn the_canonical_form_is_that_of_rfc_8785() {
        let value = json!({"b": [1, null, true], "a": {"\u{e9}": "\u{1f}\n\"\\\u{e9}/"}});
        assert_eq!(
            canonical(&value).unwrap(),
            "{\"a\":{\"\u{e9}\":\"\\u001f\\n\\\"\\\\\u{e9}/\"},\"b\":[1,null,true]}"
        );
        assert!(canonical(&json!(0.5)).is_err());
    }

    #[test]
    fn the_key_is_kept_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("tonewall-selftest-key-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let first = SigningKey::of(Some(&folder)).unwrap();
        let file = folder.join("selftest.key");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SigningKey::of(Some(&folder)).unwrap().public(), first.public());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(SigningKey::of(Some(&folder)).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
