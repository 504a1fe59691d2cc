//! What is well formed and yet cannot work, and the line on which it stands.

use super::{Config, Gateway, Merchant, Route};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// A thing that cannot work: the table, which of its name, its key, and why.
struct Problem {
    table: &'static str,
    index: usize,
    key: &'static str,
    message: String,
}

/// The first problem of a configuration, with the line of its text.
pub(super) fn find(config: &Config, text: &str) -> Option<String> {
    let problem = config.problem()?;
    Some(match line(text, &problem) {
        Some(line) => format!("line {line}: {}", problem.message),
        None => problem.message,
    })
}

impl Config {
    fn problem(&self) -> Option<Problem> {
        self.addresses_problem()
            .or_else(|| self.ports_problem())
            .or_else(|| first("route", &self.route, |route| self.route_problem(route)))
            .or_else(|| first("gateway", &self.gateway, gateway_problem))
            .or_else(|| first("merchant", &self.merchant, |merchant| self.merchant_problem(merchant)))
            .or_else(|| duplicate("trunk", "name", self.trunk.iter().map(|trunk| trunk.name.as_str())))
            .or_else(|| duplicate("gateway", "name", self.gateway.iter().map(|gateway| gateway.name.as_str())))
            .or_else(|| duplicate("merchant", "id", self.merchant.iter().map(|merchant| merchant.id.as_str())))
    }

    fn addresses_problem(&self) -> Option<Problem> {
        let problem = |table, key, address: String, written: &str| Problem {
            table,
            index: 0,
            key,
            message: format!(
                "[{table}] {key} = \"{address}\": it is written into {written}, so it must be an address that the other \
                 side can reach, not every address of this machine"
            ),
        };
        let (listen, address) = (self.sip.listen, self.media.address);
        if listen.ip().is_unspecified() {
            return Some(problem("sip", "listen", listen.to_string(), "Via and Contact"));
        }
        address.is_unspecified().then(|| problem("media", "address", address.to_string(), "SDP"))
    }

    fn ports_problem(&self) -> Option<Problem> {
        let (first, last) = (self.media.first_port, self.media.last_port);
        let key = if first < 1024 { "first_port" } else { "last_port" };
        (first < 1024 || last < first || last - first < 3).then(|| Problem {
            table: "media",
            index: 0,
            key,
            message: format!(
                "[media] first_port = {first}, last_port = {last}: expected at least four ports from 1024 up"
            ),
        })
    }

    fn route_problem(&self, route: &Route) -> Option<(&'static str, String)> {
        let known = |name: &str| self.trunk.iter().any(|trunk| trunk.name == name);
        let unknown = [("from", &route.from), ("to", &route.to)].into_iter().find(|(_, name)| !known(name));
        if let Some((key, name)) = unknown {
            return Some((key, format!("[[route]] names trunk \"{name}\", but no [[trunk]] has this name")));
        }
        let extension = route.extension.as_ref().filter(|extension| extension.parse::<wire::Extension>().is_err())?;
        Some(("extension", format!("[[route]] extension = \"{extension}\": expected letters, digits and ._-+*#")))
    }

    fn merchant_problem(&self, merchant: &Merchant) -> Option<(&'static str, String)> {
        let Merchant { id, gateway } = merchant;
        if id.parse::<wire::MerchantId>().is_err() {
            return Some(("id", format!("[[merchant]] id = \"{id}\": expected letters, digits and ._-+*#")));
        }
        let known = self.gateway.iter().any(|known| known.name == *gateway);
        (!known).then(|| {
            ("gateway", format!("[[merchant]] {id} names gateway \"{gateway}\", but no [[gateway]] has this name"))
        })
    }
}

fn gateway_problem(gateway: &Gateway) -> Option<(&'static str, String)> {
    let Gateway { name, url, .. } = gateway;
    if gateway.timeout_ms_max == 0 {
        return Some((
            "timeout_ms_max",
            format!("[[gateway]] {name}: timeout_ms_max = 0: no answer would ever be in time"),
        ));
    }
    let url = match reqwest::Url::parse(url) {
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

fn first<T>(table: &'static str, all: &[T], problem: impl Fn(&T) -> Option<(&'static str, String)>) -> Option<Problem> {
    all.iter().enumerate().find_map(|(index, one)| {
        let (key, message) = problem(one)?;
        Some(Problem { table, index, key, message })
    })
}

fn duplicate<'a>(table: &'static str, key: &'static str, names: impl Iterator<Item = &'a str>) -> Option<Problem> {
    let mut seen = BTreeSet::new();
    let (index, name) = names.enumerate().find(|(_, name)| !seen.insert(*name))?;
    Some(Problem { table, index, key, message: format!("two [[{table}]] have the name \"{name}\"") })
}

/// The keys of a table and where each stands.
type Keys = BTreeMap<String, Spanned<IgnoredAny>>;

/// The same text, read for where things stand.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tables {
    sip: Keys,
    media: Keys,
    trunk: Vec<Keys>,
    route: Vec<Keys>,
    gateway: Vec<Keys>,
    merchant: Vec<Keys>,
}

/// The line of a problem's key; of its table's first key when the key itself is not written; none when nothing is.
fn line(text: &str, problem: &Problem) -> Option<usize> {
    let tables: Tables = toml::from_str(text).ok()?;
    let keys = match problem.table {
        "sip" => Some(&tables.sip),
        "media" => Some(&tables.media),
        "trunk" => tables.trunk.get(problem.index),
        "route" => tables.route.get(problem.index),
        "gateway" => tables.gateway.get(problem.index),
        "merchant" => tables.merchant.get(problem.index),
        _ => None,
    }?;
    let at = match keys.get(problem.key) {
        Some(key) => key.span().start,
        None => keys.values().map(|key| key.span().start).min()?,
    };
    Some(text.get(..at)?.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const TRUNK: &str = "[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\n";
    const GATEWAY: &str = "[[gateway]]\nname = \"g\"\nkind = \"sandbox\"\nurl = \"http://127.0.0.1:9090\"\n";

    #[track_caller]
    fn says(text: &str, line: usize, words: &str) {
        let message = Config::parse(text, Path::new("cde.toml")).unwrap_err().to_string();
        let wanted = format!("cde.toml: line {line}: ");
        assert!(message.starts_with(&wanted) && message.contains(words), "wanted line {line}, {words}: {message}");
    }

    #[test]
    fn what_does_not_fit_together_is_said_with_its_line() {
        says(&format!("{TRUNK}[[route]]\nfrom = \"a\"\nto = \"b\"\n"), 6, "names trunk \"b\"");
        says(&format!("{TRUNK}{TRUNK}"), 5, "two [[trunk]]");
        says(&format!("{GATEWAY}\n[[merchant]]\nid = \"m\"\ngateway = \"h\"\n"), 8, "names gateway \"h\"");
        says(&GATEWAY.replace("127.0.0.1", "192.0.2.9"), 4, "https");
        says(&format!("{GATEWAY}timeout_ms_max = 0\n"), 5, "timeout_ms_max");
    }

    #[test]
    fn ports_that_are_no_range_are_refused_on_the_line_that_is_written() {
        says("[media]\nfirst_port = 20000\nlast_port = 20001\n", 3, "at least four ports");
        says("[media]\nfirst_port = 80\n", 2, "at least four ports");
        says("\n[media]\nfirst_port = 20000\n", 3, "at least four ports");
    }

    #[test]
    fn an_address_that_is_written_into_messages_is_one_of_this_machine() {
        says("[sip]\ncalls_max = 9\nlisten = \"0.0.0.0:5060\"\n", 3, "Contact");
        says("[sip]\nlisten = \"[::]:5060\"\n", 2, "Contact");
        says("[media]\naddress = \"::\"\n", 2, "SDP");
    }
}
