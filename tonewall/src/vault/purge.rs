//! `tonewall vault purge`: what is not to be kept goes, and a signed report says what went.
//!
//! The report is a line of canonical JSON (RFC 8785), signed with Ed25519 as that of the self-test is. Of a purge that is
//! killed the report is empty; which cards went, and when, the records remember.
//!
//! Its format is 2: `rules` has each tenant's rule. Format 1 had one `rule` for all of them; such reports are still verified.

use super::{custody, with};
use crate::selftest::key::SigningKey;
use crate::selftest::report::{canonical, hex, now, unhex};
use crate::{Folder, print};
use anyhow::{Context, bail, ensure};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use node::config::Unused;
use node::custody::{Cards, Keyring, Overdue, Tenant, now_ms};
use node::journal::merchants_with_cards;
use node::{Config, Places};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::num::NonZeroU16;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const KIND: &str = "tonewall-vault-purge";
const FORMAT: u32 = 2;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const REPORT_BYTES_MAX: u64 = 256 << 20;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// Only this tenant's cards. Default: all tenants'.
    #[arg(long)]
    tenant: Option<Tenant>,
    /// Besides the cards that were stored with an end of their own: those not used for so many days, of every tenant of this run.
    /// Default: what the merchants of each tenant say in cde.toml (`unused_days`).
    #[arg(long, value_name = "DAYS", value_parser = days)]
    unused_days: Option<NonZeroU16>,
    /// Where the signed report goes; a new file.
    #[arg(long, value_name = "FILE", required_unless_present = "verify")]
    report: Option<PathBuf>,
    /// Purges nothing: checks a report's signature against this vault's key.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["report", "tenant", "unused_days"])]
    verify: Option<PathBuf>,
}

fn days(text: &str) -> Result<NonZeroU16, &'static str> {
    text.parse().map_err(|_| "expected 1 to 65535 days; `tonewall vault shred --whole-tenant` is for every card")
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
    // First, so that another user's run, or a file that is refused, leaves no empty report.
    custody(&arguments.folder.path)?;
    let config = Config::load(&arguments.folder.path.join("cde.toml"))?;
    let mut out = new_file(file)?;
    let count = with(&arguments.folder.path, async |custody, cards| {
        let key = SigningKey::in_file(&custody.keys.join("report.key"))?;
        let began = now();
        let places = Places::new(&config, &arguments.folder.path);
        let keeping = merchants_with_cards(&places.data.join("journal.db")).await.context("reading the journal")?;
        let gone = keeping.iter().find(|name| !config.merchant.iter().any(|merchant| merchant.id == **name));
        let purged = all(cards, arguments, (&config, gone.map(String::as_str))).await?;
        let report = report(&began, &purged, &key.public());
        out.write_all(signed(report, &key)?.as_bytes()).and_then(|()| out.sync_all()).context("writing the report")?;
        Ok(count(&purged))
    })?;
    print(&format!("{count} cards purged; the signed report is {}", file.display()));
    Ok(ExitCode::SUCCESS)
}

fn new_file(path: &Path) -> anyhow::Result<File> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.with_context(|| path.display().to_string())
}

/// Which of a tenant's cards go for not having been used, and who says so.
#[derive(Clone, Copy)]
enum Rule<'a> {
    Option(NonZeroU16),
    Merchants(Unused<'a>),
    /// This merchant has cards and is not in the file any more: what it wants is not known.
    Missing(&'a str),
}

impl<'a> Rule<'a> {
    fn of(tenant: &Tenant, option: Option<NonZeroU16>, (config, gone): (&'a Config, Option<&'a str>)) -> Self {
        match (option, config.unused(tenant), gone) {
            (Some(days), ..) => Self::Option(days),
            (None, Unused::Days(_), Some(gone)) => Self::Missing(gone),
            (None, unused, _) => Self::Merchants(unused),
        }
    }

    fn days(self) -> Option<NonZeroU16> {
        match self {
            Self::Option(days) | Self::Merchants(Unused::Days(days)) => Some(days),
            Self::Merchants(Unused::KeptFor(_) | Unused::NoMerchant) | Self::Missing(_) => None,
        }
    }

    fn overdue(self, now_ms: i64) -> Overdue {
        let since_ms = |days: NonZeroU16| now_ms.saturating_sub(i64::from(days.get()) * DAY_MS);
        Overdue { now_ms, unused_since_ms: self.days().map(since_ms) }
    }

    fn json(self) -> Value {
        let by = match self {
            Self::Option(_) => Some("--unused-days"),
            Self::Merchants(_) | Self::Missing(_) => self.days().map(|_| "cde.toml"),
        };
        json!({"keep_until": "passed", "unused_days": self.days(), "unused_days_by": by})
    }

    fn said(self) -> String {
        match self {
            Self::Option(days) => format!("past their own end, or unused for {days} days (--unused-days)"),
            Self::Merchants(Unused::Days(days)) => {
                format!("past their own end, or unused for {days} days (unused_days in cde.toml)")
            }
            Self::Missing(merchant) => format!(
                "past their own end only (merchant {merchant} has cards in the vault and is not in cde.toml: put it there with \
                 unused_days, or say --unused-days)"
            ),
            Self::Merchants(Unused::KeptFor(merchant)) => {
                format!("past their own end only (merchant {merchant} has no unused_days)")
            }
            Self::Merchants(Unused::NoMerchant) => {
                "past their own end only (no merchant in cde.toml has this tenant)".to_owned()
            }
        }
    }
}

/// What went of a tenant's cards.
struct Gone<'a> {
    tenant: Tenant,
    rule: Rule<'a>,
    tokens: Vec<Value>,
}

fn count(purged: &[Gone<'_>]) -> usize {
    purged.iter().map(|gone| gone.tokens.len()).sum()
}

/// Purges each tenant by its own rule, and says so as soon as it is done.
async fn all<'a>(
    cards: &Cards,
    arguments: &Arguments,
    config: (&'a Config, Option<&'a str>),
) -> anyhow::Result<Vec<Gone<'a>>> {
    let tenants = match &arguments.tenant {
        Some(tenant) => vec![tenant.clone()],
        None => cards.keyring().tenants().await?,
    };
    let (now_ms, mut purged) = (now_ms(), Vec::new());
    for tenant in tenants {
        let rule = Rule::of(&tenant, arguments.unused_days, config);
        let tokens = of_tenant(cards, &tenant, rule.overdue(now_ms)).await?;
        print(&format!("tenant {tenant}: {} cards purged: {}", tokens.len(), rule.said()));
        purged.push(Gone { tenant, rule, tokens });
    }
    Ok(purged)
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

fn report(began: &str, purged: &[Gone<'_>], public: &[u8; 32]) -> Value {
    let rules: Map<_, _> = purged.iter().map(|gone| (gone.tenant.to_string(), gone.rule.json())).collect();
    let tokens: Map<_, _> = purged.iter().map(|gone| (gone.tenant.to_string(), json!(gone.tokens))).collect();
    json!({"kind": KIND, "format": FORMAT, "began": began, "ended": now(), "tokens": tokens, "purged": count(purged),
        "rules": rules, "public_key": hex(public)})
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
    let is_known =
        report.get("format").and_then(Value::as_u64).is_some_and(|format| (1..=u64::from(FORMAT)).contains(&format));
    ensure!(is_known, "a report in a format that this version does not know");
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

    /// A merchant was taken out of the file for a while, and the next purge took the cards that it wanted to keep.
    #[test]
    fn cards_are_kept_of_a_merchant_who_is_not_in_the_file_any_more() {
        let text = "[[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\nurl = \"http://127.0.0.1:9090\"\n\
            [[merchant]]\nid = \"b\"\ngateway = \"g\"\nunused_days = 30\n";
        let config = Config::parse(text, Path::new("cde.toml")).unwrap();
        let rule = |option, gone| Rule::of(&Tenant::main(), option, (&config, gone));
        assert_eq!(rule(None, None).days(), NonZeroU16::new(30));
        assert_eq!(rule(None, Some("a")).days(), None);
        assert!(rule(None, Some("a")).said().contains("merchant a has cards in the vault and is not in cde.toml"));
        assert_eq!(rule(NonZeroU16::new(9), Some("a")).days(), NonZeroU16::new(9), "it was said");
    }

    #[test]
    fn a_report_is_verified_and_a_change_of_any_byte_is_refused() {
        let folder = std::env::temp_dir().join(format!("tonewall-vault-report-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (key, file) = (folder.join("report.key"), folder.join("report"));
        let line =
            signed(json!({"kind": KIND, "format": FORMAT, "purged": 1}), &SigningKey::in_file(&key).unwrap()).unwrap();
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

    #[test]
    fn a_report_of_the_format_before_is_verified_and_one_of_the_next_is_not() {
        let folder = std::env::temp_dir().join(format!("tonewall-vault-formats-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (key, file) = (folder.join("report.key"), folder.join("report"));
        let verified = |format: Value| {
            let line = signed(json!({"kind": KIND, "format": format}), &SigningKey::in_file(&key).unwrap()).unwrap();
            std::fs::write(&file, &line).unwrap();
            verify(&file, &key).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!((verified(json!(1)), verified(json!(2))), (Ok(()), Ok(())));
        for format in [json!(3), json!(0), Value::Null] {
            assert!(verified(format.clone()).unwrap_err().contains("does not know"), "{format}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    /// Merchants a, b, … of one gateway, each with these lines.
    fn config(merchants: &[&str]) -> Config {
        let one = |(id, lines): (char, &&str)| format!("[[merchant]]\nid = \"{id}\"\ngateway = \"g\"\n{lines}\n");
        let merchants: String = ('a'..).zip(merchants).map(one).collect();
        let gateway = "[[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\nurl = \"http://127.0.0.1:9\"\n";
        Config::parse(&format!("{gateway}{merchants}"), Path::new("cde.toml")).unwrap()
    }

    #[test]
    fn each_tenant_has_the_rule_of_its_merchants_and_the_option_overrides_it_for_all() {
        let config = config(&["unused_days = 400", "unused_days = 30", "tenant = \"kept\""]);
        let rules = |option: Option<NonZeroU16>| {
            ["main", "kept", "nobody"].map(|tenant| Rule::of(&tenant.parse().unwrap(), option, (&config, None)))
        };
        let since = |rule: Rule<'_>| rule.overdue(1_000 * DAY_MS).unused_since_ms.map(|since_ms| since_ms / DAY_MS);
        assert_eq!(rules(None).map(since), [Some(600), None, None]);
        let [main, kept, nobody] = rules(None).map(Rule::said);
        assert!(main.contains("unused for 400 days (unused_days in cde.toml)"), "{main}");
        assert!(kept.contains("own end only (merchant c has no unused_days)"), "{kept}");
        assert!(nobody.contains("own end only (no merchant"), "{nobody}");
        let option = NonZeroU16::new(500);
        assert_eq!(rules(option).map(since), [Some(500); 3], "also where it is longer, and where there was none");
        for said in rules(option).map(Rule::said) {
            assert!(said.contains("unused for 500 days (--unused-days)"), "{said}");
        }
    }

    #[test]
    fn a_report_names_the_rule_of_each_tenant() {
        let config = config(&["unused_days = 400", "tenant = \"kept\""]);
        let named = |option: Option<NonZeroU16>| {
            let purged = ["main", "kept"].map(|name| {
                let tenant = name.parse().unwrap();
                Gone { rule: Rule::of(&tenant, option, (&config, None)), tenant, tokens: vec![json!("a")] }
            });
            report("then", &purged, &[0; 32])
        };
        let rule = |days: Option<u16>, by: Option<&str>| json!({"keep_until": "passed", "unused_days": days, "unused_days_by": by});
        let report = named(None);
        assert_eq!(report["rules"], json!({"main": rule(Some(400), Some("cde.toml")), "kept": rule(None, None)}));
        assert_eq!((&report["format"], report.get("rule")), (&json!(2), None), "a reader of format 1 finds no rule");
        assert_eq!((&report["purged"], &report["tokens"]), (&json!(2), &json!({"main": ["a"], "kept": ["a"]})));
        let by_option = rule(Some(9), Some("--unused-days"));
        assert_eq!(named(NonZeroU16::new(9))["rules"], json!({"main": by_option, "kept": by_option}));
    }

    #[test]
    fn days_that_would_take_every_card_are_refused_with_the_way_out() {
        assert_eq!(days("400"), Ok(NonZeroU16::new(400).unwrap()));
        for wrong in ["0", "65536", "-1", ""] {
            assert!(days(wrong).unwrap_err().contains("shred --whole-tenant"), "{wrong}");
        }
    }
}
