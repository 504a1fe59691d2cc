//! What is well formed and yet cannot work, and the line on which it stands.

mod gateways;
mod signaling;

pub(super) use signaling::is_domain;

use super::{Bounce, Config, Route, hook, on_demand};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
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
        self.sip_problem()
            .or_else(|| self.media_problem())
            .or_else(|| self.ports_problem())
            .or_else(|| first("route", &self.route, |route| self.route_problem(route)))
            .or_else(|| first("phone", &self.phone, |phone| self.phone_problem(phone)))
            .or_else(|| first("gateway", &self.gateway, gateways::gateway))
            .or_else(|| first("gateway", &self.gateway, |gateway| self.office_key_problem(gateway)))
            .or_else(|| first("merchant", &self.merchant, |merchant| self.merchant_problem(merchant)))
            .or_else(|| {
                self.vault.as_ref().and_then(super::Vault::problem).map(|(key, message)| Problem {
                    table: "vault",
                    index: 0,
                    key,
                    message,
                })
            })
            .or_else(|| self.inbound_problem())
            .or_else(|| first("pay_connector", &self.pay_connector, |caller| self.pay_connector_problem(caller)))
            .or_else(|| duplicate("trunk", "name", self.trunk.iter().map(|trunk| trunk.name.as_str())))
            .or_else(|| duplicate("phone", "name", self.phone.iter().map(|phone| phone.name.as_str())))
            .or_else(|| duplicate("gateway", "name", self.gateway.iter().map(|gateway| gateway.name.as_str())))
            .or_else(|| {
                duplicate("pay_connector", "name", self.pay_connector.iter().map(|caller| caller.name.as_str()))
            })
            .or_else(|| duplicate("merchant", "id", self.merchant.iter().map(|merchant| merchant.id.as_str())))
    }

    fn media_problem(&self) -> Option<Problem> {
        let (address, v6) = (self.media.address, self.media.address_v6);
        let problem = |key, message| Problem { table: "media", index: 0, key, message };
        let everywhere = |key, address: IpAddr| {
            let message = format!(
                "[media] {key} = \"{address}\": it is written into SDP, so it must be an address that the other side can \
                 reach, not every address of this machine"
            );
            address.is_unspecified().then(|| problem(key, message))
        };
        let found = everywhere("address", address).or_else(|| everywhere("address_v6", IpAddr::V6(v6?)));
        found.or_else(|| {
            let is_second = v6.is_some() && address.is_ipv6();
            is_second
                .then(|| problem("address_v6", "[media] address is of IPv6 already: leave out address_v6".to_owned()))
        })
    }

    fn ports_problem(&self) -> Option<Problem> {
        let (first, last) = (self.media.first_port, self.media.last_port);
        let key = if first < 1024 { "first_port" } else { "last_port" };
        // A call takes two even ports, and the odd one above each; as many again where a recorder has it.
        let is_recorded = self.route.iter().any(|route| route.recorder.is_some());
        let (words, above) =
            if is_recorded { ("eight ports, as a [[route]] has a recorder,", 7) } else { ("four ports", 3) };
        let most_needed = first.checked_next_multiple_of(2).and_then(|even| even.checked_add(above));
        (first < 1024 || most_needed.is_none_or(|needed| last < needed)).then(|| Problem {
            table: "media",
            index: 0,
            key,
            message: format!(
                "[media] first_port = {first}, last_port = {last}: expected at least {words} from an even one up, none \
                 below 1024"
            ),
        })
    }

    fn route_problem(&self, route: &Route) -> Option<(&'static str, String)> {
        let known = |name: &str| self.trunk.iter().any(|trunk| trunk.name == name);
        let named = [("from", Some(&route.from)), ("to", Some(&route.to)), ("recorder", route.recorder.as_ref())];
        let unknown = named.into_iter().filter_map(|(key, name)| Some((key, name?))).find(|(_, name)| !known(name));
        if let Some((key, name)) = unknown {
            return Some((key, format!("[[route]] names trunk \"{name}\", but no [[trunk]] has this name")));
        }
        if self.trunk.iter().any(|trunk| trunk.transport.is_web() && Some(&trunk.name) == route.recorder.as_ref()) {
            return Some(("recorder", "[[route]] recorder: a trunk of web pages is no recorder".to_owned()));
        }
        if route.recorder_required && route.recorder.is_none() {
            return Some(("recorder_required", "[[route]] recorder_required needs a recorder".to_owned()));
        }
        if let Some((key, message)) = hook::problem(route.recorder_hook, route.recorder_call_id.as_ref()) {
            return Some((key, format!("[[route]] {message}")));
        }
        if let Some((key, message)) = rewrite_problem(route) {
            return Some((key, message.to_owned()));
        }
        if !route.feature_code.is_empty() && !on_demand::is_dialed(&route.feature_code) {
            let message = format!(
                "[[route]] feature_code = \"{}\": expected keys of a telephone, such as *9, or \"\" for none",
                route.feature_code
            );
            return Some(("feature_code", message));
        }
        if let Some(message) = route.bounce.as_ref().and_then(|bounce| self.bounce_problem(route, bounce)) {
            return Some(("bounce", message));
        }
        let extension = route.extension.as_ref().filter(|extension| extension.parse::<wire::Extension>().is_err())?;
        Some(("extension", format!("[[route]] extension = \"{extension}\": expected letters, digits and ._-+*#")))
    }

    fn bounce_problem(&self, route: &Route, bounce: &Bounce) -> Option<String> {
        if route.extension.is_none() {
            return Some("[[route]] with bounce needs an extension: where its callers go back to".to_owned());
        }
        if route.outbound {
            return Some("[[route]] with bounce is not outbound: who calls is the one who pays".to_owned());
        }
        if !self.merchant.iter().any(|merchant| merchant.id == bounce.merchant.as_str()) {
            return Some(format!("bounce names merchant \"{}\", but no [[merchant]] has this name", bounce.merchant));
        }
        let is_of = |trunk: &&super::Trunk| trunk.name == route.from;
        if self.trunk.iter().find(is_of).is_some_and(|trunk| trunk.transport.is_web()) {
            let message =
                "[[route]] with bounce: a web page is no contact centre, and nobody's word for what is to be paid";
            return Some(message.to_owned());
        }
        bounce.problem().or_else(|| self.loop_problem(route, bounce))
    }

    /// Who has the caller back may send that INVITE on as it is: where that came to such a route again, it would be a new order.
    fn loop_problem(&self, route: &Route, bounce: &Bounce) -> Option<String> {
        let from_there: Vec<&Route> = self.route.iter().filter(|other| other.from == route.to).collect();
        let is_taken = |number: &str, prefix: &str| {
            // The longest prefix decides.
            let mut others = from_there.iter().filter(|other| other.bounce.is_none());
            others.any(|other| other.prefix.len() > prefix.len() && number.starts_with(&other.prefix))
        };
        let comes_again = |number: &str| {
            from_there
                .iter()
                .filter(|other| other.bounce.is_some())
                .any(|other| super::bounce::may_begin(number, &other.prefix) && !is_taken(number, &other.prefix))
        };
        let mut numbers = route.extension.iter().chain(&bounce.returns);
        let number = numbers.find(|number| comes_again(number))?;
        Some(format!(
            "bounce: \"{number}\" at trunk \"{}\" is a number where callers pay alone again: give the route a prefix that no extension \
             to go back to begins with",
            route.to
        ))
    }
}

fn rewrite_problem(route: &Route) -> Option<(&'static str, &'static str)> {
    let changes = [("strip", route.strip > 0), ("add", !route.add.is_empty())];
    let change = changes.into_iter().find(|(_, is_there)| *is_there);
    if let (Some((key, _)), Some(_)) = (change, &route.extension) {
        return Some((
            key,
            "[[route]] extension is called whatever number was: leave out strip and add, or the extension",
        ));
    }
    let is_number = route.add.is_empty() || route.add.parse::<wire::Extension>().is_ok();
    (!is_number).then_some(("add", "[[route]] add: expected letters, digits and ._-+*#"))
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
    phone: Vec<Keys>,
    gateway: Vec<Keys>,
    merchant: Vec<Keys>,
    vault: Keys,
    inbound: Keys,
    pay_connector: Vec<Keys>,
}

/// The line of a problem's key; of its table's first key when the key itself is not written; none when nothing is.
fn line(text: &str, problem: &Problem) -> Option<usize> {
    let tables: Tables = toml::from_str(text).ok()?;
    let keys = match problem.table {
        "sip" => Some(&tables.sip),
        "media" => Some(&tables.media),
        "trunk" => tables.trunk.get(problem.index),
        "route" => tables.route.get(problem.index),
        "phone" => tables.phone.get(problem.index),
        "gateway" => tables.gateway.get(problem.index),
        "merchant" => tables.merchant.get(problem.index),
        "vault" => Some(&tables.vault),
        "inbound" => Some(&tables.inbound),
        "pay_connector" => tables.pay_connector.get(problem.index),
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
        let route = format!("{TRUNK}[[route]]\nfrom = \"a\"\nto = \"a\"\n");
        says(&format!("{route}recorder = \"c\"\n"), 7, "names trunk \"c\"");
        says(&format!("{route}recorder_required = true\n"), 7, "needs a recorder");
        assert!(Config::parse(&format!("{route}recorder = \"a\"\nrecorder_required = true\n"), Path::new("x")).is_ok());
        says(&format!("{GATEWAY}timeout_ms_max = 0\n"), 5, "timeout_ms_max");
        says(&format!("{route}extension = \"1001\"\nstrip = 1\n"), 8, "leave out strip and add");
        says(&format!("{route}add = \"a b\"\n"), 7, "expected letters, digits");
        assert!(Config::parse(&format!("{route}strip = 1\nadd = \"+44\"\n"), Path::new("x")).is_ok());
        says("[sip]\npass_headers = [\"X-Account\", \"Authorization\"]\n", 2, "\"Authorization\": expected \"X-\"");
        says("[sip]\npass_headers = [\"X-A:\"]\n", 2, "expected \"X-\"");
        says(&format!("{TRUNK}domain = \"sip example\"\n"), 4, "expected a host name");
        assert!(Config::parse(&format!("{TRUNK}domain = \"sip.example.com\"\n"), Path::new("x")).is_ok());
        says(&format!("{route}feature_code = \"star\"\n"), 7, "such as *9");
        assert!(Config::parse(&format!("{route}feature_code = \"\"\n"), Path::new("x")).is_ok());
    }

    #[test]
    fn a_gateway_needs_its_key_and_is_for_money_or_not() {
        let gateway = |adapter: &str, more: &str| format!("[[gateway]]\nname = \"g\"\nadapter = \"{adapter}\"\n{more}");
        let fine = |text: &str| assert!(Config::parse(text, Path::new("x")).is_ok(), "{text}");
        says(&gateway("stripe", ""), 2, "it needs its key");
        says(&gateway("stripe", "key_file = \"a\"\nkey_env = \"A\"\n"), 5, "one of the two");
        says(&gateway("stripe", "key_env = \"A\"\nmerchant_account = \"m\"\n"), 5, "is for Adyen");
        fine(&gateway("stripe", "key_env = \"A\"\nmode = \"live\"\n"));
        let adyen = |host: &str, more: &str| {
            gateway(
                "adyen",
                &format!("url = \"https://{host}/v71\"\nkey_env = \"A\"\nmerchant_account = \"m\"\n{more}"),
            )
        };
        fine(&adyen("checkout-test.adyen.com", ""));
        says(&adyen("checkout-test.adyen.com", "mode = \"live\"\n"), 7, "moves no money");
        says(&adyen("1a-checkout-live.adyenpayments.com", ""), 2, "moves money");
        says(&gateway("adyen", "key_env = \"A\"\n"), 2, "needs a url");
        says(&gateway("pay-connector", "url = \"https://a\"\nwebhook_key_env = \"A\"\n"), 2, "no webhooks");
        says(&format!("{GATEWAY}mode = \"live\"\n"), 5, "moves no money");
    }

    #[test]
    fn a_merchants_gateways_fit_together() {
        let merchant = |gateways: &str| format!("{GATEWAY}[[merchant]]\nid = \"m\"\ngateway = {gateways}\n");
        let config =
            Config::parse(&merchant("[\"g\", { name = \"g\", brands = [\"visa\"] }]"), Path::new("x")).unwrap();
        let choices = &config.merchant[0].gateway;
        assert_eq!((choices.len(), choices[1].rule.brands.as_slice()), (2, [wire::Brand::Visa].as_slice()));
        says(&merchant("[]"), 7, "needs a gateway");
        says(&merchant("[{ name = \"g\", minor_max = 5 }]"), 7, "in one currency");
        let range = "[{ name = \"g\", currencies = [\"GBP\"], minor_min = 9, minor_max = 5 }]";
        says(&merchant(range), 7, "nothing fits");
        let message = Config::parse(&merchant("[{ nam = \"g\" }]"), Path::new("x")).unwrap_err().to_string();
        assert!(message.contains("line 7") && message.contains("expected a gateway's name"), "{message}");
        let live = "[[gateway]]\nname = \"s\"\nadapter = \"stripe\"\nkey_env = \"A\"\nmode = \"live\"\n";
        says(&format!("{live}{}", merchant("[\"g\", \"s\"]")), 12, "some do not");
    }

    #[test]
    fn what_comes_in_from_elsewhere_comes_by_tls_and_from_somebody() {
        let inbound = |more: &str| format!("[inbound]\nlisten = \"0.0.0.0:8443\"\n{more}");
        says(&inbound(""), 2, "only with TLS");
        says(&inbound("certificate = \"a\"\n"), 3, "go together");
        let tls = inbound("certificate = \"a\"\nprivate_key = \"b\"\n");
        assert!(Config::parse(&tls, Path::new("x")).is_ok());
        let caller = |lines: &str| {
            let merchant = format!("{GATEWAY}[[merchant]]\nid = \"m\"\ngateway = \"g\"\n");
            format!("{merchant}[[pay_connector]]\nname = \"t\"\nusername = \"u\"\n{lines}")
        };
        let good = "merchant = \"m\"\npassword_env = \"P\"\n";
        says(&caller(good), 10, "needs [inbound]");
        let local = "[inbound]\nlisten = \"127.0.0.1:8443\"\n";
        assert!(Config::parse(&format!("{}{local}", caller(good)), Path::new("x")).is_ok());
        says(&format!("{}{local}", caller("merchant = \"n\"\npassword_env = \"P\"\n")), 11, "no [[merchant]]");
        says(&format!("{}{local}", caller("merchant = \"m\"\n")), 10, "password_file or password_env");
        let status = format!("{}{local}", caller(&format!("{good}failure_status = 503\n")));
        says(&status, 13, "asks again");
    }

    #[test]
    fn ports_that_are_no_range_are_refused_on_the_line_that_is_written() {
        says("[media]\nfirst_port = 20000\nlast_port = 20002\n", 3, "at least four ports");
        says("[media]\nfirst_port = 20001\nlast_port = 20004\n", 3, "at least four ports");
        says("[media]\nfirst_port = 65535\nlast_port = 65535\n", 3, "at least four ports");
        says("[media]\nfirst_port = 80\n", 2, "at least four ports");
        let recorded = format!("{TRUNK}[[route]]\nfrom = \"a\"\nto = \"a\"\nrecorder = \"a\"\n");
        let ports = |last: u16| format!("[media]\nfirst_port = 20000\nlast_port = {last}\n{recorded}");
        says(&ports(20_006), 3, "at least eight ports");
        assert!(Config::parse(&ports(20_007), Path::new("x")).is_ok());
        says("\n[media]\nfirst_port = 20000\n", 3, "at least four ports");
    }

    #[test]
    fn an_address_that_is_written_into_messages_is_one_of_this_machine() {
        says("[sip]\ncalls_max = 9\nlisten = \"0.0.0.0:5060\"\n", 3, "Contact");
        says("[sip]\nlisten = \"[::]:5060\"\n", 2, "Contact");
        says("[sip]\nlisten_tcp = [\"127.0.0.1:5060\", \"0.0.0.0:5060\"]\n", 2, "Contact");
        says("[media]\naddress = \"::\"\n", 2, "SDP");
        says("[media]\naddress_v6 = \"::\"\n", 2, "SDP");
        says("[media]\naddress = \"::1\"\naddress_v6 = \"::1\"\n", 3, "leave out address_v6");
    }

    #[test]
    fn the_places_of_a_trunk_are_few_and_of_one_family() {
        let trunk = |places: &str| TRUNK.replace("\"192.0.2.1\"", places);
        says(&trunk("[]"), 3, "one to 8 places");
        says(&trunk("[\"192.0.2.1\", \"2001:db8::1\"]"), 3, "one family");
        says(&format!("{TRUNK}keepalive_s = 1\n"), 4, "at least 5 seconds");
        let places = trunk("[\"192.0.2.1\", { address = \"192.0.2.2:5070\", priority = 3, weight = 5 }]");
        let config = Config::parse(&places, Path::new("cde.toml")).unwrap();
        let read: Vec<_> = config.trunk[0].address.iter().map(|p| (p.port, p.priority, p.weight)).collect();
        assert_eq!(read, [(None, 0, 0), (Some(5070), 3, 5)]);
    }

    #[test]
    fn one_address_of_a_family_is_listened_at() {
        says("[sip]\nlisten = [\"127.0.0.1:5060\", \"127.0.0.2:5060\"]\n", 2, "at most one IPv4 and one IPv6");
        says("[sip]\nlisten = []\n", 2, "no other address");
        let both = "[sip]\nlisten = [\"127.0.0.1:5060\", \"[::1]:5060\"]\n";
        assert!(Config::parse(both, Path::new("cde.toml")).is_ok());
        let message = Config::parse("[sip]\nlisten = \"pbx:5060\"\n", Path::new("cde.toml")).unwrap_err().to_string();
        assert!(message.contains("line 2") && message.contains("expected \"ADDRESS:PORT\""), "{message}");
    }

    #[test]
    fn tls_needs_its_files_and_a_trunk_what_its_transport_listens_at() {
        const TLS: &str = "[sip]\nlisten_tls = \"127.0.0.1:5061\"\n";
        const FILES: &str = "certificate = \"a.pem\"\nprivate_key = \"b.pem\"\n";
        says(TLS, 2, "needs certificate and private_key");
        says(&format!("{TLS}certificate = \"a.pem\"\n"), 3, "needs its private_key");
        says(&format!("[sip]\n{FILES}client_ca = \"c.pem\"\n"), 4, "needs listen_tls");
        says(&format!("{TRUNK}transport = \"tcp\"\n"), 4, "[sip] listen_tcp has no IPv4 address");
        says(&format!("{TRUNK}transport = \"tls\"\n"), 4, "[sip] listen_tls has no IPv4 address");
        says(&TRUNK.replace("192.0.2.1", "2001:db8::1"), 3, "[sip] listen has no IPv6 address");
        says(&format!("{TRUNK}tls_name = \"pbx\"\n"), 4, "is for transport = \"tls\"");
        says(&format!("{TRUNK}ca = \"ca.pem\"\n"), 4, "is for transport = \"tls\"");
        says(&format!("{TRUNK}tcp_when_large = true\n"), 4, "needs [sip] listen_tcp");
        let tls_trunk = format!("{TLS}{FILES}{TRUNK}transport = \"tls\"\n");
        says(&format!("{tls_trunk}tls_name = \"a b\"\n"), 9, "expected the host name");
        says(&format!("{tls_trunk}tcp_when_large = true\n"), 9, "is for transport = \"udp\"");
        assert!(Config::parse(&format!("{tls_trunk}tls_name = \"pbx.example\"\n"), Path::new("x")).is_ok());
    }

    #[test]
    fn pages_have_phones_and_phones_a_password_and_a_trunk_of_pages() {
        const SIP: &str = "[sip]\nlisten_ws = \"127.0.0.1:8088\"\n";
        const DESKS: &str = "[[trunk]]\nname = \"desks\"\ntransport = \"ws\"\n";
        const PHONE: &str = "[[phone]]\nname = \"1001\"\ntrunk = \"desks\"\npassword = \"p\"\n";
        let good = format!("{SIP}{DESKS}{PHONE}");
        assert!(Config::parse(&good, Path::new("x")).is_ok());
        says(&good.replace("listen_ws", "listen_wss"), 2, "needs certificate and private_key");
        says(&good.replace(SIP, "[sip]\n"), 4, "no [sip] listen_ws");
        says(&good.replace("\"ws\"\n", "\"ws\"\nsrtp = \"off\"\naddress = \"192.0.2.1\"\n"), 7, "means nothing here");
        says(&good.replace("\"ws\"\n", "\"ws\"\ndigest = \"legacy\"\n"), 6, "digest means nothing here");
        says(&good.replace("\"ws\"\n", "\"ws\"\nnat = \"learn\"\n"), 6, "nat means nothing here");
        says(&good.replace("trunk = \"desks\"", "trunk = \"pbx\""), 8, "no [[trunk]] has this name");
        says(&format!("{good}{TRUNK}").replace("trunk = \"desks\"", "trunk = \"a\""), 8, "is none of web pages");
        says(&good.replace("password = \"p\"\n", ""), 7, "needs password");
        says(&good.replace("1001", "a b"), 7, "expected letters");
        says(&format!("{good}{PHONE}"), 11, "two [[phone]]");
        says("[sip]\nws_origins = [\"https://a\"]\n", 2, "needs listen_ws");
        for wrong in ["a.example", "https://a.example/", "https://", "*"] {
            says(&format!("{SIP}ws_origins = [\"{wrong}\"]\n"), 3, "expected what a browser says");
        }
        says(
            &format!("{good}{TRUNK}[[route]]\nfrom = \"a\"\nto = \"a\"\nrecorder = \"desks\"\n"),
            16,
            "is no recorder",
        );
    }
}
