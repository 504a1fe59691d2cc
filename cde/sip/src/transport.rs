//! How a peer is reached: a transport, an address, and perhaps a connection that is open (RFC 3261 §18).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::message::Uri;

/// What carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// One message a datagram.
    Udp,
    /// A stream, cut by a [`Framer`](crate::message::Framer).
    Tcp,
    /// The same under TLS.
    Tls,
    /// One message a WebSocket message (RFC 7118).
    Ws,
    /// The same under TLS.
    Wss,
}

impl Transport {
    /// Whether it repeats by itself what gets lost: then a transaction does not.
    #[must_use]
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// Whether nobody on the way can read along.
    #[must_use]
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Its name in a Via (RFC 3261 §20.42, RFC 7118 §5.2).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// Where it is listened to unless a port is written (RFC 3261 §19.1.2, RFC 7118 §5).
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// The URI parameter that leads back to it; UDP is what a URI means without one (RFC 3263 §4.1).
    pub(crate) fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
            Self::Ws | Self::Wss => ";transport=ws",
        }
    }

    /// What a URI asks for, if it does. An unknown transport is no wish that could be followed.
    fn wanted(uri: &Uri) -> Option<Self> {
        let wanted = match uri.param("transport").map(str::to_ascii_lowercase).as_deref() {
            Some("udp") => Self::Udp,
            Some("tcp") => Self::Tcp,
            Some("tls") => Self::Tls,
            Some("ws") => Self::Ws,
            _ => return uri.is_sips().then_some(Self::Tls),
        };
        Some(if uri.is_sips() { wanted.secured() } else { wanted })
    }

    fn secured(self) -> Self {
        match self {
            Self::Udp | Self::Tcp | Self::Tls => Self::Tls,
            Self::Ws | Self::Wss => Self::Wss,
        }
    }
}

/// One connection of a reliable transport. The shell numbers them and uses no number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The other end of a message.
///
/// Of what came: where it came from, and over which connection. Of what is sent: over this connection while it is open,
/// else over another to this address, which is opened if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// Over which connection; datagrams have none.
    pub connection: Option<ConnectionId>,
}

impl Peer {
    /// A peer without a connection.
    #[must_use]
    pub fn new(transport: Transport, address: SocketAddr) -> Self {
        Self { transport, address, connection: None }
    }

    /// A peer that is reached by datagrams.
    #[must_use]
    pub fn udp(address: SocketAddr) -> Self {
        Self::new(Transport::Udp, address)
    }

    /// Whether what is sent to it goes over the connection of `closed`, or went to its address over any.
    pub(crate) fn goes_over(self, closed: Self) -> bool {
        match self.connection {
            Some(connection) => closed.connection == Some(connection),
            None => self.transport == closed.transport && self.address == closed.address,
        }
    }

    /// The same peer with no connection: one has to be found or opened.
    pub(crate) fn anew(self) -> Self {
        Self { connection: None, ..self }
    }

    /// Where a URI inside this peer's dialog leads: to its host, if that is an address, by the transport that it names, else
    /// the peer's; so too if we do not have that one. An encrypted dialog stays so whatever the URI says. A connection of the peer's own host is used again:
    /// many a peer cannot be connected to. `maddr` is not followed.
    pub(crate) fn toward(self, locals: &[Local], uri: &Uri) -> Option<Self> {
        let wanted = Transport::wanted(uri).filter(|wanted| Local::has(locals, *wanted)).unwrap_or(self.transport);
        let transport = if self.transport.is_secure() && !wanted.is_secure() { self.transport } else { wanted };
        // A URI says ws whether or not it is encrypted (RFC 7118 §5.2).
        let transport =
            if self.transport == Transport::Wss && transport == Transport::Ws { Transport::Wss } else { transport };
        let address = address_of(uri, transport)?;
        let is_own = transport == self.transport && address.ip() == self.address.ip();
        Some(Self { transport, address, connection: self.connection.filter(|_| is_own) })
    }

    /// Where a URI leads outside any dialog, if its host is an address.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let transport = Transport::wanted(uri).unwrap_or(Transport::Udp);
        Some(Self::new(transport, address_of(uri, transport)?))
    }
}

fn address_of(uri: &Uri, transport: Transport) -> Option<SocketAddr> {
    Some(SocketAddr::new(uri.ip()?, uri.port().filter(|port| *port != 0).unwrap_or(transport.default_port())))
}

/// One of our own addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// What listens there.
    pub transport: Transport,
    /// Where peers reach us: it is written into Via and Contact.
    pub address: SocketAddr,
}

impl Local {
    /// An address for datagrams.
    #[must_use]
    pub fn udp(address: SocketAddr) -> Self {
        Self { transport: Transport::Udp, address }
    }

    /// What a peer is told of us: the address of its transport and its family, else the nearest there is.
    pub(crate) fn toward(locals: &[Self], peer: Peer) -> Self {
        let same_transport = |local: &&Self| local.transport == peer.transport;
        let same_family = |local: &&Self| local.address.is_ipv4() == peer.address.is_ipv4();
        let found = locals.iter().filter(same_transport).find(same_family);
        let found = found.or_else(|| locals.iter().find(same_transport)).or_else(|| locals.iter().find(same_family));
        let address = found.map_or_else(|| nowhere(peer.address), |local| local.address);
        Self { transport: peer.transport, address }
    }

    /// Whether one of these is for this transport.
    pub(crate) fn has(locals: &[Self], transport: Transport) -> bool {
        locals.iter().any(|local| local.transport == transport)
    }
}

fn nowhere(like: SocketAddr) -> SocketAddr {
    let ip = if like.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    SocketAddr::new(ip, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(transport: Transport, address: &str) -> Peer {
        Peer::new(transport, address.parse().unwrap())
    }

    const ALL: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

    fn locals() -> [Local; 5] {
        ALL.map(|transport| Local { transport, address: "192.0.2.9:5060".parse().unwrap() })
    }

    fn toward(peer: Peer, uri: &str) -> (Transport, String, bool) {
        let to = peer.toward(&locals(), &uri.parse().unwrap()).unwrap();
        (to.transport, to.address.to_string(), to.connection.is_some())
    }

    #[test]
    fn a_uri_is_followed_by_the_transport_it_names_else_by_the_dialogs() {
        let connection = Some(ConnectionId(3));
        let tcp = Peer { connection, ..at(Transport::Tcp, "192.0.2.1:40000") };
        assert_eq!(toward(tcp, "sip:a@192.0.2.1:5062"), (Transport::Tcp, "192.0.2.1:5062".to_owned(), true));
        assert_eq!(toward(tcp, "sip:a@192.0.2.7"), (Transport::Tcp, "192.0.2.7:5060".to_owned(), false));
        assert_eq!(toward(tcp, "sip:a@192.0.2.1;transport=UDP"), (Transport::Udp, "192.0.2.1:5060".to_owned(), false));
        assert_eq!(toward(tcp, "sips:a@[2001:db8::1]"), (Transport::Tls, "[2001:db8::1]:5061".to_owned(), false));
        assert!(tcp.toward(&locals(), &"sip:a@pbx.example".parse().unwrap()).is_none());
        let udp = at(Transport::Udp, "192.0.2.1:5060");
        let ours = [Local::udp(udp.address)];
        let to = udp.toward(&ours, &"sip:a@192.0.2.1:5062;transport=tcp".parse().unwrap());
        assert_eq!(to, Some(at(Transport::Udp, "192.0.2.1:5062")), "what we do not have is not used");
    }

    #[test]
    fn no_uri_leads_an_encrypted_dialog_into_the_open() {
        let connection = Some(ConnectionId(3));
        let tls = Peer { connection, ..at(Transport::Tls, "192.0.2.1:40000") };
        for uri in ["sip:a@192.0.2.1:5062", "sip:a@192.0.2.1:5062;transport=udp", "sip:a@192.0.2.1:5062;transport=tcp"]
        {
            assert_eq!(toward(tls, uri), (Transport::Tls, "192.0.2.1:5062".to_owned(), true));
        }
        let wss = Peer { connection, ..at(Transport::Wss, "192.0.2.1:40000") };
        assert_eq!(toward(wss, "sip:a@192.0.2.1;transport=ws").0, Transport::Wss);
    }

    #[test]
    fn each_peer_is_told_an_address_that_it_can_reach() {
        let local = |transport, address: &str| Local { transport, address: address.parse().unwrap() };
        let ours = [
            local(Transport::Udp, "192.0.2.9:5060"),
            local(Transport::Udp, "[2001:db8::9]:5060"),
            local(Transport::Tls, "192.0.2.9:5061"),
        ];
        let told = |peer| Local::toward(&ours, peer).address.to_string();
        assert_eq!(told(at(Transport::Udp, "192.0.2.1:1")), "192.0.2.9:5060");
        assert_eq!(told(at(Transport::Udp, "[2001:db8::1]:1")), "[2001:db8::9]:5060");
        assert_eq!(told(at(Transport::Tls, "[2001:db8::1]:1")), "192.0.2.9:5061");
        assert_eq!(told(at(Transport::Tcp, "[2001:db8::1]:1")), "[2001:db8::9]:5060");
    }

    #[test]
    fn a_closed_connection_concerns_what_went_over_it() {
        let closed = Peer { connection: Some(ConnectionId(3)), ..at(Transport::Tcp, "192.0.2.1:5060") };
        assert!(at(Transport::Tcp, "192.0.2.1:5060").goes_over(closed));
        assert!(Peer { connection: closed.connection, ..at(Transport::Tcp, "192.0.2.1:7") }.goes_over(closed));
        assert!(!Peer { connection: Some(ConnectionId(4)), ..closed }.goes_over(closed));
        assert!(!at(Transport::Tls, "192.0.2.1:5060").goes_over(closed));
        assert!(!at(Transport::Tcp, "192.0.2.1:5061").goes_over(closed));
    }
}
