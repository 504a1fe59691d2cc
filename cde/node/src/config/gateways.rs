//! `[[gateway]]` and `[[merchant]]`: who charges, and whose money it is.

use gateway::routing::Rule;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use wire::{Brand, CredentialSlot, CredentialSource, Currency, MerchantId};

/// `[[gateway]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// Which adapter.
    #[serde(alias = "kind")]
    pub adapter: AdapterKind,
    /// Where it is. `http://` is allowed to this machine only. Stripe's may be left out.
    #[serde(default)]
    pub url: Option<String>,
    /// Does it move money?
    #[serde(default)]
    pub mode: Mode,
    /// A file with nothing but its key.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The environment variable that holds its key.
    #[serde(default)]
    pub key_env: Option<String>,
    /// A file with nothing but the secret that its webhooks are signed with.
    #[serde(default)]
    pub webhook_key_file: Option<PathBuf>,
    /// The environment variable that holds that secret.
    #[serde(default)]
    pub webhook_key_env: Option<String>,
    /// Its credentials are given in the office, sealed to this cde's key, and stand in no file or variable.
    #[serde(default)]
    pub key_from_office: bool,
    /// Adyen's name of the merchant.
    #[serde(default)]
    pub merchant_account: Option<String>,
    /// The operator confirms that this is a telephone-order route, for adapters that cannot flag it.
    #[serde(default)]
    pub moto_confirmed: bool,
    /// After this time without an answer the outcome is unknown.
    #[serde(default = "timeout_ms")]
    pub timeout_ms_max: u64,
}

impl Gateway {
    /// Where `cde.toml` says that a credential comes from.
    pub(crate) fn source(&self, slot: CredentialSlot) -> CredentialSource {
        let (file, variable) = match slot {
            CredentialSlot::Key => (&self.key_file, &self.key_env),
            CredentialSlot::WebhookKey => (&self.webhook_key_file, &self.webhook_key_env),
        };
        match (file, variable) {
            (Some(_), _) => CredentialSource::File,
            (None, Some(_)) => CredentialSource::Environment,
            (None, None) => CredentialSource::None,
        }
    }

    /// Where it is.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref().or_else(|| (self.adapter == AdapterKind::Stripe).then_some("https://api.stripe.com"))
    }
}

fn timeout_ms() -> u64 {
    20_000
}

/// Adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterKind {
    /// The sandbox acquirer: test cards only.
    Sandbox,
    /// Stripe.
    Stripe,
    /// Adyen.
    Adyen,
    /// Twilio's Generic Pay Connector, outwards.
    PayConnector,
}

/// `mode` of a `[[gateway]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It moves no money.
    #[default]
    Test,
    /// It does.
    Live,
}

impl Mode {
    pub(crate) fn gateway(self) -> gateway::Mode {
        match self {
            Self::Test => gateway::Mode::Test,
            Self::Live => gateway::Mode::Live,
        }
    }
}

/// `[inbound]`: where webhooks, and charges of pay connectors, come in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    /// Its address and port. Beyond this machine only with TLS.
    pub listen: SocketAddr,
    /// PEM: ours, then those up to the authority.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// PEM, not encrypted.
    #[serde(default)]
    pub private_key: Option<PathBuf>,
}

/// `[[pay_connector]]`: one who charges through us, at `/pay-connector/NAME`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayConnector {
    /// Its name, also the last part of the path.
    pub name: String,
    /// Who it says it is.
    pub username: String,
    /// A file with nothing but its password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds its password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// For whom it charges.
    pub merchant: String,
    /// The status of an answer where nothing was charged: Twilio wants 200, SignalWire another.
    #[serde(default = "failure_status")]
    pub failure_status: u16,
}

fn failure_status() -> u16 {
    200
}

/// `[[merchant]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merchant {
    /// The name that the office uses.
    pub id: String,
    /// The gateways that charge for it: the first that takes a payment gets it, the next is for when it proves that it
    /// did nothing.
    #[serde(deserialize_with = "choices")]
    pub gateway: Vec<Choice>,
    /// What becomes of an approval that comes when the caller has left.
    #[serde(default)]
    pub late_approval: LateApproval,
    /// What becomes of one whose address or security code do not match.
    #[serde(default)]
    pub checks: gateway::CheckRules,
    /// The vault's tenant, whose keys its cards are sealed by.
    #[serde(default = "main_tenant")]
    pub tenant: vault::Tenant,
    /// Who keeps a card that is to be charged again.
    #[serde(default)]
    pub keep_cards: KeepCards,
    /// How long the vault keeps one; without it until it is forgotten, or purged for not having been used.
    #[serde(default)]
    pub keep_days: Option<u32>,
    /// After so many days without use a card may go; see [`Config::unused`](super::Config::unused) for a tenant of several
    /// merchants.
    #[serde(default, deserialize_with = "super::unused::days")]
    pub unused_days: Option<NonZeroU16>,
}

fn main_tenant() -> vault::Tenant {
    vault::Tenant::main()
}

impl super::Config {
    /// The merchants whose gateway verifies a card that is only to be kept.
    pub(crate) fn code_to_keep(&self) -> BTreeSet<MerchantId> {
        let verifies = self.merchant.iter().filter(|merchant| self.verifies_what_it_keeps(merchant));
        verifies.filter_map(|merchant| merchant.id.parse().ok()).collect()
    }

    /// Does a gateway verify a card that this merchant only wants to keep? Then a security code is of use.
    fn verifies_what_it_keeps(&self, merchant: &Merchant) -> bool {
        let has_tokens = |choice: &Choice| {
            self.gateway.iter().any(|known| known.name == choice.name && known.adapter != AdapterKind::PayConnector)
        };
        merchant.keep_cards != KeepCards::Vault && merchant.gateway.iter().any(has_tokens)
    }
}

/// `keep_cards` of a `[[merchant]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepCards {
    /// The gateway where it gives a token of its own, else the vault.
    #[default]
    #[serde(rename = "gateway-or-vault")]
    Either,
    /// The gateway only.
    Gateway,
    /// The vault only.
    Vault,
    /// Each of them that can.
    Both,
}

/// `late_approval` of a `[[merchant]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LateApproval {
    /// It is kept, and somebody is told.
    #[default]
    Keep,
    /// It is given back.
    Void,
}

/// One gateway of a merchant, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// What goes there.
    pub rule: Rule,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Plain(String),
    Ruled(Box<Ruled>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ruled {
    name: String,
    #[serde(default)]
    currencies: Vec<Currency>,
    #[serde(default)]
    brands: Vec<Brand>,
    #[serde(default)]
    minor_min: i64,
    #[serde(default = "no_limit")]
    minor_max: i64,
}

fn no_limit() -> i64 {
    i64::MAX
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Written),
    More(Vec<Written>),
}

fn choices<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Choice>, D::Error> {
    let wrong = |_| {
        serde::de::Error::custom(
            "expected a gateway's name, or a list of names, where each may be { name = \"…\", currencies = [\"GBP\"], \
             brands = [\"visa\"], minor_min = 1, minor_max = 100000 }",
        )
    };
    let written = match OneOrMore::deserialize(deserializer).map_err(wrong)? {
        OneOrMore::One(one) => vec![one],
        OneOrMore::More(more) => more,
    };
    Ok(written.into_iter().map(choice).collect())
}

fn choice(written: Written) -> Choice {
    match written {
        Written::Plain(name) => Choice { name, rule: Rule::default() },
        Written::Ruled(ruled) => {
            let Ruled { name, currencies, brands, minor_min, minor_max } = *ruled;
            Choice { name, rule: Rule { currencies, brands, minor: minor_min..=minor_max } }
        }
    }
}
