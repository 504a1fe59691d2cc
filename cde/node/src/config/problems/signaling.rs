//! What cannot work of `[sip]` and `[[trunk]]`.

use super::{Problem, first};
use crate::config::{Config, Digest, Nat, OnDemand, Phone, Place, Sip, Srtp, Trunk, TrunkTransport};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;

/// Places of a trunk.
const PLACES_MAX: usize = 8;
/// More often would be a load for both.
const KEEPALIVE_S_MIN: u32 = 5;

impl Config {
    pub(super) fn sip_problem(&self) -> Option<Problem> {
        let lists = self.sip.lists();
        let found = lists.into_iter().find_map(|(key, _, addresses)| Some((key, list_problem(key, addresses)?)));
        let found = found.or_else(|| self.tls_problem()).or_else(|| self.web_problem());
        let found = found.or_else(|| {
            let is_deaf = self.sip.listeners().next().is_none();
            is_deaf.then(|| ("listen", "[sip] listen = []: there is no other address to listen at".to_owned()))
        });
        let found = found.or_else(|| headers_problem(&self.sip.pass_headers));
        let problem = found.map(|(key, message)| Problem { table: "sip", index: 0, key, message });
        problem.or_else(|| first("trunk", &self.trunk, |trunk| self.trunk_problem(trunk)))
    }

    fn tls_problem(&self) -> Option<(&'static str, String)> {
        let sip = &self.sip;
        match (&sip.certificate, &sip.private_key) {
            (None, None) if !sip.listen_tls.is_empty() => {
                Some(("listen_tls", "[sip] listen_tls needs certificate and private_key, two files in PEM".to_owned()))
            }
            (None, None) if !sip.listen_wss.is_empty() => {
                Some(("listen_wss", "[sip] listen_wss needs certificate and private_key, two files in PEM".to_owned()))
            }
            (Some(_), None) => Some(("certificate", "[sip] certificate needs its private_key".to_owned())),
            (None, Some(_)) => Some(("private_key", "[sip] private_key needs its certificate".to_owned())),
            _ if sip.client_ca.is_some() && sip.listen_tls.is_empty() => {
                Some(("client_ca", "[sip] client_ca is for those who connect by TLS: it needs listen_tls".to_owned()))
            }
            _ => None,
        }
    }

    fn web_problem(&self) -> Option<(&'static str, String)> {
        let Sip { listen_ws, listen_wss, ws_origins, .. } = &self.sip;
        if !ws_origins.is_empty() && listen_ws.is_empty() && listen_wss.is_empty() {
            return Some(("ws_origins", "[sip] ws_origins needs listen_ws or listen_wss".to_owned()));
        }
        let wrong = ws_origins.iter().find(|origin| !is_origin(origin))?;
        let expected = "expected what a browser says of a page: \"https://desk.example.com\", with its port if that is not the \
                        usual one, and no path";
        Some(("ws_origins", format!("[sip] ws_origins: \"{wrong}\": {expected}")))
    }

    /// A phone that could not sign in, or could not be called.
    pub(super) fn phone_problem(&self, phone: &Phone) -> Option<(&'static str, String)> {
        let Phone { name, trunk, password, password_file, .. } = phone;
        if name.parse::<wire::Extension>().is_err() || !name.chars().all(is_plain) {
            return Some(("name", format!("[[phone]] name = \"{name}\": expected letters, digits and ._-+*#")));
        }
        let problem = |key, message: &str| Some((key, format!("[[phone]] {name}: {message}")));
        match self.trunk.iter().find(|known| known.name == *trunk) {
            None => return problem("trunk", &format!("names trunk \"{trunk}\", but no [[trunk]] has this name")),
            Some(known) if !known.transport.is_web() => {
                return problem(
                    "trunk",
                    &format!("trunk \"{trunk}\" is none of web pages: transport = \"ws\" or \"wss\""),
                );
            }
            Some(_) => {}
        }
        match (password, password_file) {
            (None, None) => problem("name", "a phone needs password or password_file"),
            (Some(_), Some(_)) => problem("password_file", "expected password or password_file, not both"),
            _ => None,
        }
    }

    /// Its phones come from anywhere, sign in by themselves and always protect their sound.
    fn web_trunk_problem(&self, trunk: &Trunk) -> Option<(&'static str, String)> {
        let name = &trunk.name;
        if let Some(key) = web_foreign_key(trunk) {
            let why = "a trunk of web pages has phones that sign in, each a [[phone]], and always protects their sound";
            return Some((key, format!("[[trunk]] {name}: {key} means nothing here: {why}")));
        }
        let (key, _, addresses) = self.sip.lists().into_iter().find(|(_, own, _)| *own == trunk.transport.sip())?;
        addresses
            .is_empty()
            .then(|| ("transport", format!("[[trunk]] {name}: its phones have no [sip] {key} to come to")))
    }

    fn trunk_problem(&self, trunk: &Trunk) -> Option<(&'static str, String)> {
        let Trunk { name, address, transport, .. } = trunk;
        if transport.is_web() {
            return self.web_trunk_problem(trunk);
        }
        if let Some((key, problem)) = host_problem(trunk) {
            return Some((key, format!("[[trunk]] {name}: {problem}")));
        }
        if let Some(problem) = places_problem(address).filter(|_| trunk.host.is_none()) {
            return Some(("address", format!("[[trunk]] {name}: {problem}")));
        }
        if trunk.keepalive_s.is_some_and(|seconds| seconds < KEEPALIVE_S_MIN) {
            let message = format!("[[trunk]] {name}: keepalive_s: expected at least {KEEPALIVE_S_MIN} seconds");
            return Some(("keepalive_s", message));
        }
        let test_number = trunk.test_number.as_ref();
        if test_number.is_some_and(|number| trunk.transport.is_web() || number.parse::<wire::Extension>().is_err()) {
            let expected = "expected letters, digits and ._-+*#, and a trunk that is no web page";
            return Some(("test_number", format!("[[trunk]] {name}: test_number: {expected}")));
        }
        if trunk.domain.as_ref().is_some_and(|domain| !is_domain(domain)) {
            return Some((
                "domain",
                format!("[[trunk]] {name}: domain: expected a host name such as \"sip.example.com\""),
            ));
        }
        if let Some((key, problem)) = foreign_key(trunk) {
            return Some((key, format!("[[trunk]] {name}: {problem}")));
        }
        if let Some((key, problem)) = login_problem(trunk) {
            return Some((key, format!("[[trunk]] {name}: {problem}")));
        }
        if let Some(problem) = trunk.on_demand.as_ref().and_then(OnDemand::problem) {
            return Some(("on_demand", format!("[[trunk]] {name}: {problem}")));
        }
        if trunk.tls_name.clone().is_some_and(|tls_name| ServerName::try_from(tls_name).is_err()) {
            let expected = "expected the host name or the address in its certificate";
            return Some(("tls_name", format!("[[trunk]] {name}: tls_name: {expected}")));
        }
        let (key, _, addresses) = self.sip.lists().into_iter().find(|(_, own, _)| *own == transport.sip())?;
        // Of a name those places are taken that can be reached.
        let of_host = trunk.host.as_ref().and_then(|_| addresses.first()).map(SocketAddr::is_ipv4);
        let is_v4 = of_host.unwrap_or_else(|| address.first().is_none_or(|place| place.ip.is_ipv4()));
        if !addresses.iter().any(|local| local.is_ipv4() == is_v4) {
            let family = if is_v4 { "IPv4" } else { "IPv6" };
            let message = format!(
                "[[trunk]] {name}: [sip] {key} has no {family} address: the trunk has nothing to answer to or to call back"
            );
            return Some((if *transport == TrunkTransport::Udp { "address" } else { "transport" }, message));
        }
        let has_no_tcp = trunk.tcp_when_large && self.sip.listen_tcp.is_empty();
        has_no_tcp.then(|| ("tcp_when_large", format!("[[trunk]] {name}: tcp_when_large needs [sip] listen_tcp")))
    }
}

/// Name and password of a phone that is no phone of a page have other keys.
fn web_foreign_key(trunk: &Trunk) -> Option<&'static str> {
    let Trunk { address, keepalive_s, username, .. } = trunk;
    let has: [(&str, bool); 14] = [
        ("address", !address.is_empty()),
        ("keepalive_s", keepalive_s.is_some()),
        ("srtp", trunk.srtp != Srtp::Off),
        ("tls_name", trunk.tls_name.is_some()),
        ("ca", trunk.ca.is_some()),
        ("tcp_when_large", trunk.tcp_when_large),
        ("username", username.is_some()),
        ("password", trunk.password.is_some() || trunk.password_file.is_some()),
        ("require_digest", trunk.require_digest),
        ("register", trunk.register),
        ("digest", trunk.digest != Digest::default()),
        ("domain", trunk.domain.is_some()),
        ("on_demand", trunk.on_demand.is_some()),
        ("nat", trunk.nat != Nat::Off),
    ];
    has.into_iter().find(|(_, has)| *has).map(|(key, _)| key)
}

fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or(origin.strip_prefix("http://")).unwrap_or_default();
    !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | '*'))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '@' | ':' | '<' | '>')
}

/// A trunk is at addresses or has a name.
fn host_problem(trunk: &Trunk) -> Option<(&'static str, &'static str)> {
    match (&trunk.host, trunk.address.is_empty()) {
        (Some(_), false) => Some(("host", "expected address or host, not both")),
        _ => None,
    }
}

/// Headers that may be passed on by choice.
const HEADERS_MAX: usize = 16;
const HEADER_CHARACTERS_MAX: usize = 40;

fn headers_problem(names: &[String]) -> Option<(&'static str, String)> {
    let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_ours = |name: &&String| {
        let is_x = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("X-"));
        is_x && (3..=HEADER_CHARACTERS_MAX).contains(&name.len()) && is_plain(name)
    };
    if names.len() > HEADERS_MAX {
        return Some(("pass_headers", format!("[sip] pass_headers: expected at most {HEADERS_MAX} names")));
    }
    let wrong = names.iter().find(|name| !is_ours(name))?;
    Some(("pass_headers", format!("[sip] pass_headers: \"{wrong}\": expected \"X-\" and letters, digits and dashes")))
}

pub(in crate::config) fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !label.is_empty() && label.len() <= 63 && is_plain && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn places_problem(places: &[Place]) -> Option<String> {
    if places.is_empty() || places.len() > PLACES_MAX {
        return Some(format!("address: expected one to {PLACES_MAX} places"));
    }
    let is_v4 = places.iter().filter(|place| place.ip.is_ipv4()).count();
    let is_mixed = is_v4 != 0 && is_v4 != places.len();
    is_mixed.then(|| "address: its places must be of one family; make a trunk of each".to_owned())
}

/// A key that means nothing to the trunk's transport.
fn foreign_key(trunk: &Trunk) -> Option<(&'static str, &'static str)> {
    match trunk.transport {
        TrunkTransport::Udp | TrunkTransport::Tcp if trunk.tls_name.is_some() => {
            Some(("tls_name", "tls_name is for transport = \"tls\""))
        }
        TrunkTransport::Udp | TrunkTransport::Tcp if trunk.ca.is_some() => {
            Some(("ca", "ca is for transport = \"tls\""))
        }
        TrunkTransport::Tcp | TrunkTransport::Tls if trunk.tcp_when_large => {
            Some(("tcp_when_large", "tcp_when_large is for transport = \"udp\""))
        }
        _ => None,
    }
}

/// Name and password belong together, and the rest is of no use without them.
fn login_problem(trunk: &Trunk) -> Option<(&'static str, &'static str)> {
    match (&trunk.username, &trunk.password, &trunk.password_file) {
        (None, None, None) if trunk.require_digest => {
            Some(("require_digest", "require_digest needs a username and a password"))
        }
        (None, None, None) if trunk.register => Some(("register", "register needs a username and a password")),
        (None, None, None) => None,
        (None, ..) => Some(("password", "a password needs a username")),
        (Some(_), None, None) => Some(("username", "a username needs password or password_file")),
        (Some(_), Some(_), Some(_)) => Some(("password_file", "expected password or password_file, not both")),
        (Some(name), ..) if name.is_empty() || !name.chars().all(is_plain) => {
            Some(("username", "username: expected letters, digits and signs without \" \\ @ : < >"))
        }
        (Some(_), ..) => None,
    }
}

fn list_problem(key: &str, addresses: &[SocketAddr]) -> Option<String> {
    if let Some(address) = addresses.iter().find(|address| address.ip().is_unspecified()) {
        return Some(format!(
            "[sip] {key} = \"{address}\": it is written into Via and Contact, so it must be an address that the other side \
             can reach, not every address of this machine"
        ));
    }
    let of_family = |v4| addresses.iter().filter(|address| address.is_ipv4() == v4).count();
    let has_two = of_family(true) > 1 || of_family(false) > 1;
    has_two.then(|| format!("[sip] {key}: expected at most one IPv4 and one IPv6 address"))
}
