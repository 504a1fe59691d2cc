//! Gateways and merchants that cannot work.

use super::super::{AdapterKind, Choice, Config, Gateway, Inbound, Merchant, Mode, PayConnector};
use super::Problem;
use reqwest::Url;

type Found = Option<(&'static str, String)>;

pub(super) fn gateway(gateway: &Gateway) -> Found {
    let name = &gateway.name;
    if gateway.timeout_ms_max == 0 {
        let message = format!("[[gateway]] {name}: timeout_ms_max = 0: no answer would ever be in time");
        return Some(("timeout_ms_max", message));
    }
    place(gateway).or_else(|| keys(gateway)).or_else(|| mode(gateway))
}

fn place(gateway: &Gateway) -> Found {
    let name = &gateway.name;
    let Some(url) = gateway.url() else {
        return Some(("url", format!("[[gateway]] {name}: it needs a url")));
    };
    let url = match Url::parse(url) {
        Ok(url) => url,
        Err(error) => return Some(("url", format!("[[gateway]] {name}: url: {error}"))),
    };
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" => None,
        "http" if local => None,
        _ => Some(("url", format!("[[gateway]] {name}: a card leaves this machine only over https://"))),
    }
}

fn keys(gateway: &Gateway) -> Found {
    let Gateway { name, adapter, key_file, key_env, webhook_key_file, webhook_key_env, merchant_account, .. } = gateway;
    let is_written = [key_file, webhook_key_file].iter().any(|file| file.is_some())
        || [key_env, webhook_key_env].iter().any(|variable| variable.is_some());
    if gateway.key_from_office && is_written {
        let message = format!(
            "[[gateway]] {name}: key_from_office and a key of a file or variable: one of the two; nobody should have to guess which is used"
        );
        return Some(("key_from_office", message));
    }
    let takes_webhooks = *adapter != AdapterKind::PayConnector;
    let has_key = gateway.key_from_office || key_file.is_some() || key_env.is_some();
    let has_webhook_key = webhook_key_file.is_some() || webhook_key_env.is_some();
    if key_file.is_some() && key_env.is_some() {
        return Some(("key_env", format!("[[gateway]] {name}: key_file and key_env: one of the two holds the key")));
    }
    if webhook_key_file.is_some() && webhook_key_env.is_some() {
        let message =
            format!("[[gateway]] {name}: webhook_key_file and webhook_key_env: one of the two holds the secret");
        return Some(("webhook_key_env", message));
    }
    if has_webhook_key && !takes_webhooks {
        return Some(("webhook_key_file", format!("[[gateway]] {name}: this adapter sends no webhooks")));
    }
    if matches!(adapter, AdapterKind::Stripe | AdapterKind::Adyen) && !has_key {
        return Some(("key_file", format!("[[gateway]] {name}: it needs its key: set key_file or key_env")));
    }
    match (adapter, merchant_account) {
        (AdapterKind::Adyen, None) => Some((
            "merchant_account",
            format!("[[gateway]] {name}: it needs merchant_account, as Adyen calls the merchant"),
        )),
        (AdapterKind::Adyen, Some(_)) | (_, None) => None,
        (_, Some(_)) => Some(("merchant_account", format!("[[gateway]] {name}: merchant_account is for Adyen"))),
    }
}

/// Adyen's keys do not tell whether they move money; its hosts do.
fn mode(gateway: &Gateway) -> Found {
    let Gateway { name, adapter, mode, .. } = gateway;
    let host = gateway.url().and_then(|url| Url::parse(url).ok()).and_then(|url| url.host_str().map(str::to_owned));
    let host = host.unwrap_or_default();
    let message = match (adapter, mode) {
        (AdapterKind::Sandbox, Mode::Live) => "the sandbox moves no money: leave out mode = \"live\"",
        (AdapterKind::Adyen, Mode::Test) if host.contains("-live") || host.ends_with("adyenpayments.com") => {
            "its url is a live one, which moves money: set mode = \"live\" if that is meant"
        }
        (AdapterKind::Adyen, Mode::Live) if host.contains("-test") => {
            "its url is a test one, which moves no money: leave out mode = \"live\""
        }
        _ => return None,
    };
    Some(("mode", format!("[[gateway]] {name}: {message}")))
}

impl Config {
    pub(super) fn office_key_problem(&self, gateway: &Gateway) -> Found {
        let opens_nothing = gateway.key_from_office && self.vault.is_none();
        opens_nothing.then(|| {
            let name = &gateway.name;
            (
                "key_from_office",
                format!("[[gateway]] {name}: key_from_office needs a [vault]: its root opens what the office gives"),
            )
        })
    }

    pub(super) fn merchant_problem(&self, merchant: &Merchant) -> Found {
        let Merchant { id, gateway, .. } = merchant;
        if id.parse::<wire::MerchantId>().is_err() {
            return Some(("id", format!("[[merchant]] id = \"{id}\": expected letters, digits and ._-+*#")));
        }
        if gateway.is_empty() {
            return Some(("gateway", format!("[[merchant]] {id}: it needs a gateway")));
        }
        gateway.iter().find_map(|choice| self.choice_problem(id, choice)).map(|message| ("gateway", message))
    }

    fn choice_problem(&self, id: &str, choice: &Choice) -> Option<String> {
        let Choice { name, rule } = choice;
        let Some(known) = self.gateway.iter().find(|known| known.name == *name) else {
            return Some(format!("[[merchant]] {id} names gateway \"{name}\", but no [[gateway]] has this name"));
        };
        let has_limit = *rule.minor.start() > 0 || *rule.minor.end() < i64::MAX;
        if has_limit && rule.currencies.len() != 1 {
            return Some(format!("[[merchant]] {id}, gateway \"{name}\": a limit is in one currency: write which"));
        }
        if rule.minor.is_empty() {
            return Some(format!("[[merchant]] {id}, gateway \"{name}\": minor_min is above minor_max: nothing fits"));
        }
        let other = self.merchant.iter().filter(|merchant| merchant.id == id).flat_map(|merchant| &merchant.gateway);
        let mode = |name: &str| self.gateway.iter().find(|known| known.name == *name).map(|known| known.mode);
        let mixed = other.filter_map(|choice| mode(&choice.name)).any(|mode| mode != known.mode);
        mixed.then(|| {
            format!(
                "[[merchant]] {id}: some of its gateways move money and some do not: a payment might be taken for one"
            )
        })
    }

    pub(super) fn inbound_problem(&self) -> Option<Problem> {
        let Inbound { listen, certificate, private_key } = self.inbound.as_ref()?;
        let problem = |key, message| Some(Problem { table: "inbound", index: 0, key, message });
        match (certificate, private_key) {
            (Some(_), Some(_)) => None,
            (None, None) if listen.ip().is_loopback() => None,
            (None, None) => problem(
                "listen",
                format!(
                    "[inbound] listen = \"{listen}\": beyond this machine only with TLS: set certificate and private_key"
                ),
            ),
            (Some(_), None) => problem("certificate", "[inbound] certificate and private_key go together".to_owned()),
            (None, Some(_)) => problem("private_key", "[inbound] certificate and private_key go together".to_owned()),
        }
    }

    pub(super) fn pay_connector_problem(&self, caller: &PayConnector) -> Found {
        let PayConnector { name, username, password_file, password_env, merchant, failure_status } = caller;
        let what = format!("[[pay_connector]] {name}");
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Some((
                "name",
                format!("{what}: expected a name of letters, digits, - and _: it is part of a path"),
            ));
        }
        if username.is_empty() || username.contains(':') {
            return Some(("username", format!("{what}: expected a username without a colon (RFC 7617)")));
        }
        if password_file.is_some() == password_env.is_some() {
            return Some((
                "username",
                format!("{what}: its password stands in password_file or password_env, one of the two"),
            ));
        }
        if !self.merchant.iter().any(|known| known.id == *merchant) {
            return Some((
                "merchant",
                format!("{what} names merchant \"{merchant}\", but no [[merchant]] has this id"),
            ));
        }
        if !matches!(failure_status, 200 | 400..=499) {
            let message = format!(
                "{what}: failure_status = {failure_status}: expected 200 or 4xx; after a 5xx a caller asks again"
            );
            return Some(("failure_status", message));
        }
        self.inbound.is_none().then(|| ("username", format!("{what} needs [inbound], which says where it connects to")))
    }
}
