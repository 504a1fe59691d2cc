//! Where calls may come from and go to.

pub use crate::bounce::Bounce;
pub use crate::rewrite::Rewrite;
use payment::Rules;
pub use sip::offer_answer::Srtp;
use sip::{Credentials, Local, NameAddr, Peer, Registration, Transport, Uri};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use wire::{Extension, HookRule, MerchantId};

/// What the shell read from `cde.toml`.
#[derive(Clone)]
pub struct Config {
    /// Our SIP addresses, as written into Via and Contact: at most one for a transport and family.
    pub sip: Vec<Local>,
    /// Our media address.
    pub media: IpAddr,
    /// And the one of IPv6, where that is another.
    pub media_v6: Option<Ipv6Addr>,
    /// First and last RTP port; a call uses two, and two more where it is recorded elsewhere.
    pub ports: (u16, u16),
    /// Calls at once.
    pub calls_max: usize,
    /// Trunks.
    pub trunks: Vec<Trunk>,
    /// Those who sign in by a web page.
    pub phones: Vec<Phone>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Merchants that have a gateway.
    pub merchants: BTreeSet<MerchantId>,
    /// Those whose gateway verifies a card that is only to be kept, so that a security code is of use.
    pub code_to_keep: BTreeSet<MerchantId>,
    /// Capture rules.
    pub rules: Rules,
    /// Record the agent side.
    pub record: bool,
    /// Headers of INVITEs that are passed on beside those that always are.
    pub headers_passed: Vec<String>,
    /// Bytes of SIP messages that are kept for engineers, of all calls together; 0: none.
    pub ladder_bytes_max: usize,
    /// How lines are masked while no security code is asked for. While one is, always strictly.
    pub masking: media::Policy,
}

/// A neighbor.
#[derive(Clone)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// Where it is: all of one family.
    pub targets: Vec<Target>,
    /// How it is called. TLS means that nothing else is taken from it either, and TCP too; a trunk of datagrams may come over
    /// TCP with what is too large for one.
    pub transport: Transport,
    /// Whether it takes such requests over TCP itself (RFC 3261 §18.1.1).
    pub tcp_when_large: bool,
    /// How often each of its places is asked by OPTIONS whether it is there.
    pub keepalive: Option<Duration>,
    /// Whether sound to it and from it is protected.
    pub srtp: Srtp,
    /// A name and a password that it and we share.
    pub login: Option<Login>,
    /// What stands for its host in the addresses of its calls and registrations, where that is not its IP address.
    pub domain: Option<String>,
    /// Of a PBX whose agents have their callers transferred to us. A carrier's trunk has none.
    pub on_demand: Option<OnDemand>,
    /// The one number that a test call of it goes to.
    pub test_number: Option<Extension>,
    /// Whether it is where it says.
    pub nat: Nat,
}

/// What is made of the addresses that a trunk says of itself, in SDP and Contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nat {
    /// They are believed.
    #[default]
    Off,
    /// It is behind a NAT that it does not know of: requests go where its own come from, and where its sound comes from is
    /// learned, from packets of the host that its SIP has.
    Learn,
}

/// How a PBX's agents have their lines secured on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDemand {
    /// The extensions of its agents, where an `x` is any digit. Nobody else is called back, and none of them is a caller.
    pub extensions: Vec<String>,
    /// What transfer codes that are dialed by keys begin with; none: there are none.
    pub number: Option<String>,
    /// The keys of a caller who is transferred pass through the PBX.
    pub keys_cross_pbx: bool,
    /// Callers may be extensions of its agents, which is for trials.
    pub internal_callers: bool,
    /// It transfers attended calls by INVITE with Replaces (RFC 3891): an agent may call the code first.
    pub attended: bool,
    /// Its agents may add us to conferences; none: they may not. Nothing is masked there.
    pub conference: Option<Conferences>,
    /// What is wanted of recorders elsewhere, such as its own.
    pub hook: Option<Hook>,
}

/// What may be taken in a conference, whose members and recorders hear every key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conferences {
    /// Security codes too.
    pub code: bool,
}

impl OnDemand {
    /// Whether this is the number of one of its agents.
    pub fn has_agent(&self, number: &str) -> bool {
        self.fit(number).is_some()
    }

    /// How many characters of the number the closest of its patterns says; none if none fits.
    fn fit(&self, number: &str) -> Option<usize> {
        let said = |pattern: &String| pattern.bytes().filter(|byte| *byte != b'x').count();
        self.extensions.iter().filter(|pattern| fits(pattern, number)).map(said).max()
    }
}

/// Whether a number is one of a pattern, in which an `x` is any digit.
pub(crate) fn fits(pattern: &str, number: &str) -> bool {
    let is = |(own, other): (u8, u8)| own == other || own == b'x' && other.is_ascii_digit();
    pattern.len() == number.len() && pattern.bytes().zip(number.bytes()).all(is)
}

/// A telephone in a web page. It has no address: it is where it has signed in.
#[derive(Clone)]
pub struct Phone {
    /// The name that it signs in with, and the extension that it is called by.
    pub name: String,
    /// The trunk that it is of, as its place in the list.
    pub trunk: usize,
    /// The password.
    pub credentials: Arc<Credentials>,
}

/// One place of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its address.
    pub ip: IpAddr,
    /// Its port; without one, datagrams from any port are its, and calls go to the transport's own. A connection comes from
    /// any port in either case.
    pub port: Option<u16>,
    /// The lowest is called first, the others when it does not answer.
    pub priority: u16,
    /// How much of the calls it gets among those of its priority.
    pub weight: u16,
}

/// What a trunk's name and password are for. They are shown to it wherever it asks.
#[derive(Clone)]
pub struct Login {
    /// The name, which calls for us are made to where we register.
    pub user: String,
    /// Both.
    pub credentials: Arc<Credentials>,
    /// Its calls are taken only if it shows them.
    pub is_demanded: bool,
    /// It must be told where we are.
    pub registers: bool,
}

impl Trunk {
    fn sends_from(&self, peer: Peer) -> bool {
        let is_large = self.transport == Transport::Udp && peer.transport == Transport::Tcp;
        let is_port =
            |port: Option<u16>| peer.transport.is_reliable() || port.is_none_or(|port| port == peer.address.port());
        let is_place = self.targets.iter().any(|target| target.ip == peer.address.ip() && is_port(target.port));
        is_place && (peer.transport == self.transport || is_large)
    }

    /// Whether a peer is this trunk, as it calls or as it is called.
    fn is(&self, peer: Peer) -> bool {
        self.sends_from(peer) || self.targets.iter().any(|target| self.destination(target) == peer)
    }

    /// Where calls to a place of it go.
    pub fn destination(&self, target: &Target) -> Peer {
        let port = target.port.unwrap_or(self.transport.default_port());
        Peer::new(self.transport, SocketAddr::new(target.ip, port))
    }

    /// Somebody at the trunk, which is called there: at its domain if it has one.
    pub(crate) fn uri(&self, user: Option<&str>, destination: Peer) -> Option<Uri> {
        match &self.domain {
            Some(domain) => Uri::sip_at(user, domain).ok(),
            None => Uri::sip(user, destination.address).ok(),
        }
    }

    /// Must its places know where we are?
    pub(crate) fn registers(&self) -> bool {
        self.login.as_ref().is_some_and(|login| login.registers)
    }

    /// What to tell each of its places, if they must know where we are.
    pub(crate) fn registrations(&self) -> Vec<Registration> {
        let Some(login) = self.login.as_ref().filter(|login| login.registers) else { return Vec::new() };
        let at = |target: &Target| {
            let destination = self.destination(target);
            let registrar = self.uri(None, destination)?;
            let address = NameAddr::new(self.uri(Some(&login.user), destination)?);
            Some(Registration { registrar, destination, address, credentials: Arc::clone(&login.credentials) })
        };
        self.targets.iter().filter_map(at).collect()
    }
}

/// A way through.
#[derive(Clone, Debug)]
pub struct Route {
    /// The trunk that the call comes from.
    pub from: String,
    /// The trunk that it goes to.
    pub to: String,
    /// What the called number begins with.
    pub prefix: String,
    /// The extension to call instead.
    pub extension: Option<Extension>,
    /// Else how the called number is changed.
    pub rewrite: Rewrite,
    /// What six keys in a row on an open line mean here.
    pub open_line_keys: OpenLineKeys,
    /// The agent calls, and who is called is the one who pays.
    pub outbound: bool,
    /// Who records its calls.
    pub recorder: Option<Recorder>,
    /// What is wanted of recorders elsewhere.
    pub hook: Option<Hook>,
    /// What an agent with a PIN presses before it to secure the line by keys; empty: they cannot.
    pub feature_code: String,
    /// The callers of these calls pay alone, and go then where the route leads.
    pub bounce: Option<Bounce>,
}

/// A recorder elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorder {
    /// The trunk that it is, as its place in the list.
    pub trunk: usize,
    /// A call that it does not record is ended.
    pub is_required: bool,
}

/// What is wanted of recorders that are no part of Tonewall and hear what it does not mask: that they pause while the line is not
/// open. The office asks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// How much hangs on them.
    pub rule: HookRule,
    /// The header of the INVITE in which the customer's own name of the call stands.
    pub call_id_header: Option<String>,
}

/// What is done when a caller presses six keys in a row on an open line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenLineKeys {
    /// Nothing: a menu may ask for them.
    #[default]
    Ignore,
    /// An alarm in the audit trail: an agent may be taking a card without securing the line.
    Alarm,
    /// The alarm, and the line is secured.
    Secure,
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The trunk's place in the list.
    pub(crate) trunk: usize,
    pub(crate) tcp_when_large: bool,
    pub(crate) extension: Extension,
    pub(crate) open_line_keys: OpenLineKeys,
    pub(crate) outbound: bool,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) hook: Option<Hook>,
    pub(crate) feature_code: String,
    pub(crate) bounce: Option<Bounce>,
    /// What was dialed behind the route's number.
    pub(crate) behind: String,
    /// Whether the side that calls is protected, and the one that is called.
    pub(crate) srtp: (Srtp, Srtp),
}

/// Why a call goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoWay {
    /// Not from a trunk of ours.
    Stranger,
    /// No route fits.
    NoRoute,
}

impl Config {
    /// Where a call from this address to this number goes, and under which extension.
    ///
    /// `user`: whose phone it comes from, where it has signed in.
    pub(crate) fn way(&self, from: Peer, user: Option<&str>, called: &str) -> Result<Way, NoWay> {
        let sources: Vec<&str> = self.trunks_of(from, user).map(|trunk| trunk.name.as_str()).collect();
        if sources.is_empty() {
            return Err(NoWay::Stranger);
        }
        let fits = |route: &&Route| sources.contains(&route.from.as_str()) && called.starts_with(&route.prefix);
        let route = self.routes.iter().filter(fits).max_by_key(|route| route.prefix.len()).ok_or(NoWay::NoRoute)?;
        let named = |name: &str| self.trunks.iter().position(|trunk| trunk.name == name).ok_or(NoWay::NoRoute);
        let place = named(&route.to)?;
        let [source, trunk] = [named(&route.from)?, place].map(|at| self.trunks.get(at));
        let (source, trunk) = source.zip(trunk).ok_or(NoWay::NoRoute)?;
        let extension = match &route.extension {
            Some(extension) => extension.clone(),
            None => route.rewrite.apply(called).ok_or(NoWay::NoRoute)?,
        };
        Ok(Way {
            trunk: place,
            tcp_when_large: trunk.tcp_when_large,
            extension,
            open_line_keys: route.open_line_keys,
            outbound: route.outbound,
            recorder: route.recorder.clone(),
            hook: route.hook.clone(),
            feature_code: route.feature_code.clone(),
            bounce: route.bounce.clone(),
            behind: called.strip_prefix(&route.prefix).unwrap_or_default().to_owned(),
            srtp: (source.srtp, trunk.srtp),
        })
    }

    /// Whether a call from this address can come to this extension of a trunk, whatever number is called for it.
    pub(crate) fn leads_to(&self, from: Peer, user: Option<&str>, trunk: usize, extension: &Extension) -> bool {
        let number = |route: &Route| match &route.extension {
            Some(own) => (own == extension).then(|| route.prefix.clone()),
            None => route.rewrite.undo(&route.prefix, extension.as_str()),
        };
        let leads = |number: String| {
            self.way(from, user, &number).is_ok_and(|way| way.trunk == trunk && way.extension == *extension)
        };
        self.routes.iter().filter_map(number).any(leads)
    }

    /// Those that a peer may be of: by its address, or as a phone that has signed in.
    fn trunks_of(&self, peer: Peer, user: Option<&str>) -> impl Iterator<Item = &Trunk> {
        let phone = self.phones.iter().find(|phone| Some(phone.name.as_str()) == user);
        let of_phone = phone.and_then(|phone| self.trunks.get(phone.trunk));
        // A phone that comes by ws is none of a trunk that is encrypted.
        let of_phone = of_phone.filter(move |trunk| trunk.transport == peer.transport);
        let by_address = self.trunks.iter().filter(move |trunk| trunk.sends_from(peer));
        by_address.filter(move |_| !is_web(peer.transport)).chain(of_phone.filter(|_| is_web(peer.transport)))
    }

    /// Whether a trunk's phones are web pages, which are called where they have signed in.
    pub(crate) fn is_web(&self, trunk: usize) -> bool {
        self.trunks.get(trunk).is_some_and(|trunk| is_web(trunk.transport))
    }

    /// Whether this is a phone of the trunk.
    pub(crate) fn has_phone(&self, trunk: usize, name: &str) -> bool {
        self.phones.iter().any(|phone| phone.trunk == trunk && phone.name == name)
    }

    /// The trunk whose agent this is: of several the one that says most of the extension.
    pub(crate) fn trunk_of_agent(&self, extension: &Extension) -> Option<usize> {
        let said =
            |(at, trunk): (usize, &Trunk)| Some((trunk.on_demand.as_ref()?.fit(extension.as_str())?, Reverse(at)));
        let (_, Reverse(at)) = self.trunks.iter().enumerate().filter_map(said).max()?;
        Some(at)
    }

    /// How a trunk's agent is called back: there, and nowhere else.
    pub(crate) fn way_back(&self, trunk: usize, extension: Extension) -> Option<Way> {
        let one = self.trunks.get(trunk).filter(|one| one.on_demand.is_some())?;
        Some(Way {
            trunk,
            tcp_when_large: one.tcp_when_large,
            extension,
            open_line_keys: OpenLineKeys::Alarm,
            outbound: false,
            recorder: None,
            hook: one.on_demand.as_ref().and_then(|on_demand| on_demand.hook.clone()),
            feature_code: String::new(),
            bounce: None,
            behind: String::new(),
            srtp: (one.srtp, one.srtp),
        })
    }

    /// Those that a peer may be of by its address, with their places in the list.
    pub(crate) fn neighbors(&self, from: Peer) -> impl Iterator<Item = (usize, &Trunk)> {
        self.trunks.iter().enumerate().filter(move |(_, trunk)| trunk.sends_from(from))
    }

    /// Whether what a peer says of its own address is not believed.
    pub(crate) fn is_behind_nat(&self, peer: Peer) -> bool {
        self.trunks.iter().any(|trunk| trunk.nat == Nat::Learn && trunk.is(peer))
    }

    /// A peer of sound, as the trunk of its leg has it.
    pub(crate) fn behind_nat(&self, peer: Peer, remote: media::Remote) -> media::Remote {
        media::Remote { learns_from: self.is_behind_nat(peer).then(|| peer.address.ip()), ..remote }
    }

    /// Whether this is the number of one of a trunk's agents.
    pub(crate) fn is_agent(&self, trunk: usize, number: &str) -> bool {
        let on_demand = self.trunks.get(trunk).and_then(|trunk| trunk.on_demand.as_ref());
        on_demand.is_some_and(|on_demand| on_demand.has_agent(number))
    }

    /// Whether the keys of a caller from or at this peer pass through a PBX before they come to us.
    pub(crate) fn keys_cross_pbx(&self, caller: Peer) -> bool {
        let of = self.trunks.iter().filter(|trunk| trunk.is(caller)).filter_map(|trunk| trunk.on_demand.as_ref());
        of.into_iter().any(|on_demand| on_demand.keys_cross_pbx)
    }

    /// Who a caller from there must be, or is told to be: the strictest of the trunks that it may be of.
    pub(crate) fn login_of(&self, from: Peer) -> Option<&Login> {
        let mut logins: Vec<&Login> = self
            .trunks
            .iter()
            .filter(|trunk| trunk.sends_from(from))
            .filter_map(|trunk| trunk.login.as_ref())
            .collect();
        logins.sort_by_key(|login| !login.is_demanded);
        logins.first().copied()
    }

    /// Which trunk a peer is of, as its place in the list; a web page, whose place says nothing, is of none.
    pub(crate) fn trunk_of(&self, peer: Peer) -> Option<usize> {
        self.trunks.iter().position(|trunk| trunk.is(peer)).filter(|_| !is_web(peer.transport))
    }

    /// Whether two peers are of one trunk; each with whose phone it is.
    pub(crate) fn are_of_one_trunk(&self, one: (Peer, Option<&str>), other: (Peer, Option<&str>)) -> bool {
        let is = |trunk: &Trunk, (peer, user): (Peer, Option<&str>)| {
            trunk.is(peer) && !is_web(peer.transport)
                || is_web(peer.transport) && self.trunks_of(peer, user).any(|own| own.name == trunk.name)
        };
        self.trunks.iter().any(|trunk| is(trunk, one) && is(trunk, other))
    }

    /// Who we are to a trunk.
    pub(crate) fn credentials(&self, trunk: usize) -> Option<Arc<Credentials>> {
        self.trunks.get(trunk)?.login.as_ref().map(|login| Arc::clone(&login.credentials))
    }

    /// Our media address for a peer there: of its family, where we have one.
    pub(crate) fn media_toward(&self, peer: IpAddr) -> IpAddr {
        let v6 = self.media_v6.map(IpAddr::V6);
        [Some(self.media), v6].into_iter().flatten().find(|ip| ip.is_ipv4() == peer.is_ipv4()).unwrap_or(self.media)
    }
}

pub(crate) fn is_web(transport: Transport) -> bool {
    matches!(transport, Transport::Ws | Transport::Wss)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let trunk = |name: &str, port, transport| {
            let srtp = if name == "carrier" { Srtp::Off } else { Srtp::Required };
            let (name, ip) = (name.to_owned(), [127, 0, 0, 1].into());
            let targets = vec![Target { ip, port, priority: 0, weight: 0 }];
            Trunk {
                name,
                targets,
                transport,
                tcp_when_large: false,
                keepalive: None,
                srtp,
                login: None,
                domain: None,
                on_demand: None,
                test_number: None,
                nat: Nat::Off,
            }
        };
        let route = |prefix: &str, extension: Option<&str>| Route {
            from: "carrier".to_owned(),
            to: "pbx".to_owned(),
            prefix: prefix.to_owned(),
            extension: extension.map(|text| text.parse().unwrap()),
            rewrite: Rewrite::default(),
            open_line_keys: OpenLineKeys::Ignore,
            outbound: false,
            recorder: None,
            hook: None,
            feature_code: String::new(),
            bounce: None,
        };
        Config {
            sip: vec![Local::udp(([127, 0, 0, 1], 5060).into())],
            media: [127, 0, 0, 1].into(),
            media_v6: None,
            ports: (10_000, 10_100),
            calls_max: 10,
            trunks: vec![trunk("carrier", Some(5070), Transport::Udp), trunk("pbx", Some(5080), Transport::Udp)],
            phones: Vec::new(),
            routes: vec![route("44", None), route("4420", Some("1001"))],
            merchants: BTreeSet::new(),
            code_to_keep: BTreeSet::new(),
            rules: Rules::default(),
            record: false,
            headers_passed: Vec::new(),
            ladder_bytes_max: 1 << 20,
            masking: media::Policy::Natural,
        }
    }

    #[test]
    fn the_longest_prefix_decides() {
        let carrier = Peer::udp(([127, 0, 0, 1], 5070).into());
        let way = config().way(carrier, None, "442071").unwrap();
        assert_eq!((way.trunk, way.extension.as_str()), (1, "1001"));
        assert_eq!(way.srtp, (Srtp::Off, Srtp::Required), "each side is protected as its own trunk says");
        assert_eq!(config().way(carrier, None, "4477").unwrap().extension.as_str(), "4477");
        assert_eq!(config().way(carrier, None, "1234"), Err(NoWay::NoRoute));
    }

    #[test]
    fn an_agent_is_of_the_trunk_that_says_most_of_the_extension() {
        let mut config = config();
        let on_demand = |extensions: &[&str]| {
            let extensions = extensions.iter().map(|&one| one.to_owned()).collect();
            Some(OnDemand {
                extensions,
                number: None,
                keys_cross_pbx: true,
                internal_callers: false,
                attended: false,
                conference: None,
                hook: None,
            })
        };
        config.trunks[0].on_demand = on_demand(&["10xx", "2001"]);
        config.trunks[1].on_demand = on_demand(&["100x", "20xx"]);
        let of = |extension: &str| config.trunk_of_agent(&extension.parse().unwrap());
        assert_eq!([of("1001"), of("1011"), of("2001"), of("2002")], [Some(1), Some(0), Some(0), Some(1)]);
        assert_eq!([of("10011"), of("100"), of("10a1"), of("3001")], [None; 4]);
    }

    #[test]
    fn a_stranger_dials_nothing() {
        let from = |ip: [u8; 4], port, transport| config().way(Peer::new(transport, (ip, port).into()), None, "442071");
        assert_eq!(from([127, 0, 0, 1], 5999, Transport::Udp), Err(NoWay::Stranger));
        assert_eq!(from([10, 0, 0, 1], 5070, Transport::Udp), Err(NoWay::Stranger));
        assert_eq!(from([10, 0, 0, 1], 5070, Transport::Tcp), Err(NoWay::Stranger));
        assert_eq!(from([127, 0, 0, 1], 5080, Transport::Udp), Err(NoWay::NoRoute));
    }

    #[test]
    fn a_trunk_is_heard_and_called_over_its_own_transport() {
        let heard = |transport, over| {
            let mut config = config();
            config.trunks.truncate(1);
            config.trunks[0].transport = transport;
            config.routes[0].to = "carrier".to_owned();
            config
                .way(Peer::new(over, ([127, 0, 0, 1], 5070).into()), None, "4477")
                .map(|way| config.trunks[way.trunk].transport)
        };
        let (udp, tcp, tls) = (Transport::Udp, Transport::Tcp, Transport::Tls);
        for (trunk, taken) in [(udp, &[udp, tcp][..]), (tcp, &[tcp]), (tls, &[tls])] {
            for over in [udp, tcp, tls, Transport::Ws, Transport::Wss] {
                let wanted = if taken.contains(&over) { Ok(trunk) } else { Err(NoWay::Stranger) };
                assert_eq!(heard(trunk, over), wanted, "{trunk:?} over {over:?}");
            }
        }
    }

    #[test]
    fn a_connection_comes_from_any_port_and_goes_to_the_transports_own() {
        let mut config = config();
        config.trunks[0].transport = Transport::Tls;
        config.trunks[0].targets[0].port = None;
        assert!(config.way(Peer::new(Transport::Tls, ([127, 0, 0, 1], 40_000).into()), None, "4477").is_ok());
        let destination = config.trunks[0].destination(&config.trunks[0].targets[0]);
        assert_eq!(destination, Peer::new(Transport::Tls, ([127, 0, 0, 1], 5061).into()));
    }

    #[test]
    fn a_phone_is_of_its_trunk_where_it_has_signed_in_and_by_that_trunks_transport_alone() {
        let mut config = config();
        config.trunks[0].transport = Transport::Wss;
        config.trunks[0].targets.clear();
        let credentials = Arc::new(Credentials::new("1001".to_owned(), "secret".to_owned(), false));
        config.phones = vec![Phone { name: "1001".to_owned(), trunk: 0, credentials }];
        let from = |transport| Peer::new(transport, ([127, 0, 0, 1], 5070).into());
        let way = |transport, user| config.way(from(transport), user, "4477").map(|way| way.trunk);
        assert_eq!(way(Transport::Wss, Some("1001")), Ok(1));
        assert_eq!(way(Transport::Wss, None), Err(NoWay::Stranger), "it has not signed in");
        assert_eq!(way(Transport::Wss, Some("1002")), Err(NoWay::Stranger));
        assert_eq!(way(Transport::Ws, Some("1001")), Err(NoWay::Stranger), "in the clear");
        assert_eq!(way(Transport::Udp, Some("1001")), Err(NoWay::Stranger));
        let (phone, other) = ((from(Transport::Wss), Some("1001")), (from(Transport::Wss), None));
        assert!(config.are_of_one_trunk(phone, phone) && !config.are_of_one_trunk(phone, other));
    }

    #[test]
    fn each_family_has_its_media_address() {
        let config = Config { media_v6: Some(Ipv6Addr::LOCALHOST), ..config() };
        assert!(config.media_toward(IpAddr::V6(Ipv6Addr::LOCALHOST)).is_ipv6());
        assert!(config.media_toward([10, 0, 0, 1].into()).is_ipv4());
        assert!(Config { media_v6: None, ..config }.media_toward(Ipv6Addr::LOCALHOST.into()).is_ipv4());
    }
}
