//! `[sip]` and `[[trunk]]`.

use super::OnDemand;
use serde::Deserialize;
use sip::{Local, Transport};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// `[sip]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// UDP addresses for SIP, one of each family at most. They are written into Via and Contact, so each must be one that
    /// the other side can reach.
    #[serde(deserialize_with = "addresses")]
    pub listen: Vec<SocketAddr>,
    /// The same for TCP.
    #[serde(deserialize_with = "addresses")]
    pub listen_tcp: Vec<SocketAddr>,
    /// The same for TLS.
    #[serde(deserialize_with = "addresses")]
    pub listen_tls: Vec<SocketAddr>,
    /// The same for telephones of web pages (RFC 7118): in the clear, for this machine or behind a proxy that ends TLS.
    #[serde(deserialize_with = "addresses")]
    pub listen_ws: Vec<SocketAddr>,
    /// The same with TLS.
    #[serde(deserialize_with = "addresses")]
    pub listen_wss: Vec<SocketAddr>,
    /// The pages that may connect by WebSocket, as `https://desk.example.com`; none: all.
    pub ws_origins: Vec<String>,
    /// PEM: our certificate and those between it and the authority. It is shown to whoever connects, and to trunks that ask.
    pub certificate: Option<PathBuf>,
    /// PEM: its key.
    pub private_key: Option<PathBuf>,
    /// PEM: the authorities whose certificate whoever connects by TLS must show.
    pub client_ca: Option<PathBuf>,
    /// Calls at once; further ones get 503.
    pub calls_max: usize,
    /// The name server that the hosts of trunks are asked for at; none: those of this machine.
    pub dns: Option<SocketAddr>,
    /// Headers of INVITEs that are passed on to the other side, beside P-Asserted-Identity, Diversion and User-to-User: `X-…`.
    pub pass_headers: Vec<String>,
    /// MiB of memory for the SIP messages of calls, without their secrets, for engineers to read; 0: none are kept.
    pub ladder_mib: u8,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5060))],
            listen_tcp: Vec::new(),
            listen_tls: Vec::new(),
            listen_ws: Vec::new(),
            listen_wss: Vec::new(),
            ws_origins: Vec::new(),
            certificate: None,
            private_key: None,
            client_ca: None,
            calls_max: 2_000,
            dns: None,
            pass_headers: Vec::new(),
            ladder_mib: 16,
        }
    }
}

impl Sip {
    /// Each transport's key and addresses.
    pub(super) fn lists(&self) -> [(&'static str, Transport, &[SocketAddr]); 5] {
        [
            ("listen", Transport::Udp, &self.listen),
            ("listen_tcp", Transport::Tcp, &self.listen_tcp),
            ("listen_tls", Transport::Tls, &self.listen_tls),
            ("listen_ws", Transport::Ws, &self.listen_ws),
            ("listen_wss", Transport::Wss, &self.listen_wss),
        ]
    }

    /// All addresses that are listened at.
    pub fn listeners(&self) -> impl Iterator<Item = Local> {
        let of = |(_, transport, addresses): (_, _, &[SocketAddr])| {
            addresses.iter().map(move |address| Local { transport, address: *address }).collect::<Vec<_>>()
        };
        self.lists().map(of).into_iter().flatten()
    }
}

/// `[[trunk]]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// One place or a list: each is called when those before it do not answer. `ADDRESS:PORT`: only datagrams from exactly
    /// there are its; `ADDRESS`: any port, calls go to 5060, over TLS 5061. A trunk of web pages has none.
    #[serde(default, deserialize_with = "places")]
    pub address: Vec<Place>,
    /// Or its name: `sip.example.com`, whose services (SRV) or addresses are looked up, or with a port, `sip.example.com:5070`.
    #[serde(default)]
    pub host: Option<Host>,
    /// How it is called, and comes.
    #[serde(default)]
    pub transport: TrunkTransport,
    /// Over UDP: requests of more than 1300 bytes go over TCP, as RFC 3261 §18.1.1 has it.
    #[serde(default)]
    pub tcp_when_large: bool,
    /// Over TLS: the name in its certificate; without one the certificate must be for its address.
    #[serde(default)]
    pub tls_name: Option<String>,
    /// Over TLS, PEM: the authorities that its certificate may be of; without them those of this machine.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Every so many seconds each of its places is asked by OPTIONS whether it is there.
    #[serde(default)]
    pub keepalive_s: Option<u32>,
    /// Whether its sound is protected, with keys that stand in the SIP messages (SDES).
    #[serde(default)]
    pub srtp: Srtp,
    /// Who we are to it, and it to us.
    #[serde(default)]
    pub username: Option<String>,
    /// The password that goes with it.
    #[serde(default)]
    pub password: Option<Password>,
    /// A file with nothing but the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// What the password may be hashed with.
    #[serde(default)]
    pub digest: Digest,
    /// Its calls are taken only if it shows name and password.
    #[serde(default)]
    pub require_digest: bool,
    /// What stands for its host in the addresses of its calls and registrations (From, To, Request-URI), if that is not its IP address.
    #[serde(default)]
    pub domain: Option<String>,
    /// The number that a test call of it goes to, such as the provider's echo test.
    #[serde(default)]
    pub test_number: Option<String>,
    /// Whether it is where its SDP and its Contact say.
    #[serde(default)]
    pub nat: Nat,
    /// It is told where we are (REGISTER).
    #[serde(default)]
    pub register: bool,
    /// It is a PBX whose agents have their callers transferred to us.
    #[serde(default)]
    pub on_demand: Option<OnDemand>,
}

impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trunk({})", self.name)
    }
}

/// A password. It cannot be printed.
#[derive(Clone)]
pub struct Password(Arc<Zeroizing<String>>);

impl Password {
    /// Gives it to `user`.
    pub fn expose<T>(&self, user: impl FnOnce(&str) -> T) -> T {
        user(&self.0)
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Arc::new(Zeroizing::new(text))))
    }
}

/// `host` of a `[[trunk]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name.
    pub name: String,
    /// A port; without one the name's services say it.
    pub port: Option<u16>,
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom("expected a host name such as \"sip.example.com\", or one with a port");
        let text = String::deserialize(deserializer)?;
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?)),
            None => (text.as_str(), None),
        };
        let is_name = super::is_domain(name) && name.parse::<IpAddr>().is_err();
        if is_name { Ok(Self { name: name.to_owned(), port }) } else { Err(wrong()) }
    }
}

/// `digest` of a `[[trunk]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// SHA-256 or SHA-512-256 (RFC 8760).
    #[default]
    Sha256,
    /// MD5 too, for what knows nothing better.
    Legacy,
}

/// `srtp` of a `[[trunk]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Srtp {
    /// It is not; an offer that wants it is refused.
    #[default]
    Off,
    /// It is if the other side can.
    Preferred,
    /// It is, or there is no call.
    Required,
}

impl Srtp {
    /// The policy.
    pub(crate) fn sip(self) -> call::Srtp {
        match self {
            Self::Off => call::Srtp::Off,
            Self::Preferred => call::Srtp::Preferred,
            Self::Required => call::Srtp::Required,
        }
    }
}

/// `nat` of a `[[trunk]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nat {
    /// It is.
    #[default]
    Off,
    /// It is behind a NAT, and its sound comes from the address that its SIP has.
    Learn,
}

impl Nat {
    pub(crate) fn call(self) -> call::Nat {
        match self {
            Self::Off => call::Nat::Off,
            Self::Learn => call::Nat::Learn,
        }
    }
}

/// `[[phone]]`: who signs in by a web page.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phone {
    /// The name that it signs in with, and the extension that it is called by.
    pub name: String,
    /// The trunk that its calls come from, and those to it go to.
    pub trunk: String,
    /// Its password.
    #[serde(default)]
    pub password: Option<Password>,
    /// A file with nothing but the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// What the password may be hashed with. "legacy" asks for MD5 alone: the libraries of web pages know nothing better.
    #[serde(default)]
    pub digest: Digest,
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({})", self.name)
    }
}

/// One place of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its address.
    pub ip: IpAddr,
    /// Its port, if one is written.
    pub port: Option<u16>,
    /// The lowest is called first.
    pub priority: u16,
    /// Among those of one priority: how many of the calls.
    pub weight: u16,
}

/// `transport` of a `[[trunk]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrunkTransport {
    /// Datagrams.
    #[default]
    Udp,
    /// Connections.
    Tcp,
    /// Encrypted connections, and nothing else either way.
    Tls,
    /// The telephones of web pages that are signed in as its `[[phone]]`s (RFC 7118).
    Ws,
    /// The same with TLS, and nothing else.
    Wss,
}

impl TrunkTransport {
    /// The transport.
    pub fn sip(self) -> Transport {
        match self {
            Self::Udp => Transport::Udp,
            Self::Tcp => Transport::Tcp,
            Self::Tls => Transport::Tls,
            Self::Ws => Transport::Ws,
            Self::Wss => Transport::Wss,
        }
    }

    /// Whether its phones are web pages.
    pub fn is_web(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// One address or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

fn addresses<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    let wrong = || serde::de::Error::custom("expected \"ADDRESS:PORT\" (IPv6: \"[ADDRESS]:PORT\"), or a list of such");
    let texts = match OneOrMore::deserialize(deserializer).map_err(|_| wrong())? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(texts) => texts,
    };
    texts.iter().map(|text| text.parse().map_err(|_| wrong())).collect()
}

/// A place as it may be written: without more, those of a list are called in its order.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Plain(String),
    Ranked {
        address: String,
        #[serde(default)]
        priority: u16,
        #[serde(default)]
        weight: u16,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMorePlaces {
    One(Written),
    More(Vec<Written>),
}

fn places<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Place>, D::Error> {
    let wrong = || {
        serde::de::Error::custom(
            "expected an IP address, or an IP address with a port, or a list of such, where each may be \
             { address = \"…\", priority = 0, weight = 0 }",
        )
    };
    let written = match OneOrMorePlaces::deserialize(deserializer).map_err(|_| wrong())? {
        OneOrMorePlaces::One(one) => vec![one],
        OneOrMorePlaces::More(more) => more,
    };
    (0..).zip(&written).map(|(index, one)| place(index, one)).collect::<Option<Vec<_>>>().ok_or_else(wrong)
}

fn place(index: u16, written: &Written) -> Option<Place> {
    let (text, priority, weight) = match written {
        Written::Plain(text) => (text, index, 0),
        Written::Ranked { address, priority, weight } => (address, *priority, *weight),
    };
    let (ip, port) = match text.parse::<SocketAddr>() {
        Ok(address) => (address.ip(), Some(address.port())),
        Err(_) => (text.parse().ok()?, None),
    };
    Some(Place { ip, port, priority, weight })
}
