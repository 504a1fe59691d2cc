//! Via (RFC 3261 §20.42, RFC 3581).

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use crate::transport::Peer;

use super::{Params, grammar, uri};

const BRANCH_COOKIE: &str = "z9hG4bK";

/// One Via value.
#[derive(Clone)]
pub struct Via {
    /// `2.0`; another only on what is refused for it.
    pub(crate) version: String,
    /// `UDP`, `TCP`, …
    pub transport: String,
    /// Host and port as written.
    pub sent_by: String,
    /// The port, if one is written.
    pub port: Option<u16>,
    /// branch, received, rport, …
    pub params: Params,
}

impl Via {
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let (protocol, rest) = grammar::split_once(value, b'/')?;
        let (version, rest) = grammar::split_once(rest, b'/')?;
        if !grammar::trim(protocol).eq_ignore_ascii_case(b"SIP") {
            return None;
        }
        let version = grammar::token(grammar::trim(version))?.to_owned();
        let rest = grammar::trim(rest);
        let blank = rest.iter().position(|b| matches!(b, b' ' | b'\t'))?;
        let transport = grammar::token(rest.get(..blank)?)?;
        let rest = rest.get(blank..)?;
        let params_at = rest.iter().position(|&b| b == b';').unwrap_or(rest.len());
        let sent_by = joined(std::str::from_utf8(grammar::trim(rest.get(..params_at)?)).ok()?);
        let (_, port) = uri::host_port(&sent_by).ok()?;
        let params = Params::parse(rest.get(params_at..)?)?;
        Some(Self { version, transport: transport.to_owned(), sent_by, port, params })
    }

    /// The branch, if it is one of RFC 3261's that are unique in space and time.
    #[must_use]
    pub fn unique_branch(&self) -> Option<&str> {
        let branch = self.params.text("branch")?;
        let cookie = branch.get(..BRANCH_COOKIE.len())?;
        (cookie.eq_ignore_ascii_case(BRANCH_COOKIE) && branch.len() > BRANCH_COOKIE.len()).then_some(branch)
    }

    /// Where a response goes (RFC 3261 §18.2.2, RFC 3581 §4): over the connection that the request came by, and always to
    /// the address it came from. To its port too if a datagram asked by `rport`; else, and when the connection is gone, to
    /// the one written here. `maddr` is not followed: it would let anybody aim us at a third party.
    #[must_use]
    pub fn response_peer(&self, from: Peer) -> Peer {
        if !from.transport.is_reliable() && self.params.find("rport").is_some() {
            return from;
        }
        let port = self.port.filter(|port| *port != 0).unwrap_or(from.transport.default_port());
        Peer { address: SocketAddr::new(from.address.ip(), port), ..from }
    }

    /// As if it asked by `rport` to be answered where it came from: its own port means nothing.
    pub(crate) fn ask_for_source(&mut self) {
        if self.params.find("rport").is_none() {
            self.params.push("rport", None);
        }
    }

    /// The value with `received` and `rport` filled in as `from` says.
    pub(crate) fn stamped(&self, from: SocketAddr) -> Vec<u8> {
        let asked = self.params.find("rport").is_some();
        let mut params = self.params.without("received");
        if asked {
            params = params.without("rport");
            params.push("rport", Some(from.port().to_string().as_bytes()));
        }
        if asked || self.host_ip() != Some(from.ip()) {
            params.push("received", Some(from.ip().to_string().as_bytes()));
        }
        let mut out = format!("SIP/{}/{} {}", self.version, self.transport, self.sent_by).into_bytes();
        out.extend_from_slice(params.as_bytes());
        out
    }

    fn host_ip(&self) -> Option<IpAddr> {
        let (length, _) = uri::host_port(&self.sent_by).ok()?;
        self.sent_by.get(..length)?.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

/// Blanks may stand around the colon of a port.
fn joined(sent_by: &str) -> String {
    match sent_by.rsplit_once(':') {
        Some((host, port)) => format!("{}:{}", host.trim_end(), port.trim_start()),
        None => sent_by.to_owned(),
    }
}

impl fmt::Debug for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Via")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{ConnectionId, Transport};

    fn via(text: &str) -> Via {
        Via::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn blanks_are_allowed_where_the_grammar_has_them() {
        let read = via("SIP  / 2.0  / UDP     [2001:db8::1] : 5070  ;  branch  =   z9hG4bK9 ;rport");
        assert_eq!(
            (read.transport.as_str(), read.sent_by.as_str(), read.port),
            ("UDP", "[2001:db8::1]:5070", Some(5070))
        );
        assert_eq!(read.unique_branch(), Some("z9hG4bK9"));
        for bad in
            ["SIP/2.0/UDP 192.0.2.15;;,;,,", "SIP/2.0/UDP", "SIP/3 0/UDP a", "SIP/2.0/UDP a b", "SIP/2.0/UDP a:x"]
        {
            assert!(Via::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert_eq!(via("SIP/2.0/UDP a;branch=z9hG4bK").unique_branch(), None);
    }

    #[test]
    fn responses_go_back_to_where_the_request_came_from() {
        let from = "192.0.2.7:4444".parse().unwrap();
        let udp = Peer::udp(from);
        let answered_to = |via: &Via, peer| via.response_peer(peer).address.to_string();
        let plain = via("SIP/2.0/UDP 10.0.0.1:5071;branch=x;maddr=203.0.113.1;received=9.9.9.9");
        assert_eq!(answered_to(&plain, udp), "192.0.2.7:5071");
        assert_eq!(plain.stamped(from), b"SIP/2.0/UDP 10.0.0.1:5071;branch=x;maddr=203.0.113.1;received=192.0.2.7");
        let rport = via("SIP/2.0/UDP 192.0.2.7;rport;branch=x");
        assert_eq!(rport.response_peer(udp), udp);
        assert_eq!(rport.stamped(from), b"SIP/2.0/UDP 192.0.2.7;branch=x;rport=4444;received=192.0.2.7");
        assert_eq!(via("SIP/2.0/UDP 192.0.2.7").stamped(from), b"SIP/2.0/UDP 192.0.2.7");
    }

    #[test]
    fn a_response_whose_connection_is_gone_goes_to_the_port_in_the_via() {
        let connection = Some(ConnectionId(7));
        let from = Peer { connection, ..Peer::new(Transport::Tls, "192.0.2.7:40000".parse().unwrap()) };
        let to = via("SIP/2.0/TLS pbx.example;rport;branch=x").response_peer(from);
        assert_eq!((to.connection, to.address.to_string()), (connection, "192.0.2.7:5061".to_owned()));
    }
}
