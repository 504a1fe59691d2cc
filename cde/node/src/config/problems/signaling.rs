//! What cannot work of `[sip]` and `[[trunk]]`.

use super::{Problem, first};
use crate::config::{Config, Place, Trunk, TrunkTransport};
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
        let found = found.or_else(|| self.tls_problem());
        let found = found.or_else(|| {
            let is_deaf = self.sip.listeners().next().is_none();
            is_deaf.then(|| ("listen", "[sip] listen = []: there is no other address to listen at".to_owned()))
        });
        let problem = found.map(|(key, message)| Problem { table: "sip", index: 0, key, message });
        problem.or_else(|| first("trunk", &self.trunk, |trunk| self.trunk_problem(trunk)))
    }

    fn tls_problem(&self) -> Option<(&'static str, String)> {
        let sip = &self.sip;
        match (&sip.certificate, &sip.private_key) {
            (None, None) if !sip.listen_tls.is_empty() => {
                Some(("listen_tls", "[sip] listen_tls needs certificate and private_key, two files in PEM".to_owned()))
            }
            (Some(_), None) => Some(("certificate", "[sip] certificate needs its private_key".to_owned())),
            (None, Some(_)) => Some(("private_key", "[sip] private_key needs its certificate".to_owned())),
            _ if sip.client_ca.is_some() && sip.listen_tls.is_empty() => {
                Some(("client_ca", "[sip] client_ca is for those who connect by TLS: it needs listen_tls".to_owned()))
            }
            _ => None,
        }
    }

    fn trunk_problem(&self, trunk: &Trunk) -> Option<(&'static str, String)> {
        let Trunk { name, address, transport, .. } = trunk;
        if let Some(problem) = places_problem(address) {
            return Some(("address", format!("[[trunk]] {name}: {problem}")));
        }
        if trunk.keepalive_s.is_some_and(|seconds| seconds < KEEPALIVE_S_MIN) {
            let message = format!("[[trunk]] {name}: keepalive_s: expected at least {KEEPALIVE_S_MIN} seconds");
            return Some(("keepalive_s", message));
        }
        if let Some((key, problem)) = foreign_key(trunk) {
            return Some((key, format!("[[trunk]] {name}: {problem}")));
        }
        if let Some((key, problem)) = login_problem(trunk) {
            return Some((key, format!("[[trunk]] {name}: {problem}")));
        }
        if trunk.tls_name.clone().is_some_and(|tls_name| ServerName::try_from(tls_name).is_err()) {
            let expected = "expected the host name or the address in its certificate";
            return Some(("tls_name", format!("[[trunk]] {name}: tls_name: {expected}")));
        }
        let (key, _, addresses) = self.sip.lists().into_iter().find(|(_, own, _)| *own == transport.sip())?;
        let is_v4 = address.first().is_some_and(|place| place.ip.is_ipv4());
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
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '@' | ':' | '<' | '>');
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
