//! Where trunks are that the file names by host: NAPTR, SRV, then A or AAAA (RFC 3263 §4), asked again as often as the answers say. Nothing waits for it:
//! what is found is told to the switchboard, and while nothing is found the last places stay. A question that failed is no answer:
//! only where it is said that there are no services is the domain's own address asked for, or a host would count as the trunk that
//! nobody meant, while a name server is down.

use crate::config::{Config, Host, TrunkTransport};
use call::Target;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Places of one trunk.
const PLACES_MAX: usize = 8;
/// An answer is believed for so long at least, and at most.
const BELIEVED: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));
/// After a question that had no answer.
const AGAIN: Duration = Duration::from_secs(30);

/// What was found out.
pub(crate) struct Found {
    /// Of which trunk, as its place in the list.
    pub(crate) trunk: usize,
    pub(crate) targets: Vec<Target>,
}

/// Whom to ask: the system's own, or the one that the file names.
fn resolver(dns: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    match dns {
        None => TokioResolver::builder_tokio()?.build(),
        Some(server) => {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            let server = NameServerConfig::new(server.ip(), true, connections.into());
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build()
        }
    }
}

/// Follows the names of all trunks that have one.
pub(crate) fn start(config: &Config) -> Result<mpsc::Receiver<Found>, NetError> {
    let (sender, found) = mpsc::channel(64);
    let mut named =
        config.trunk.iter().enumerate().filter_map(|(trunk, of)| Some((trunk, of, of.host.clone()?))).peekable();
    if named.peek().is_none() {
        return Ok(found);
    }
    let resolver = resolver(config.sip.dns)?;
    for (trunk, of, host) in named {
        let mut listeners = config.sip.listeners().filter(|local| local.transport == of.transport.sip());
        let question = Question {
            trunk,
            name: of.name.clone(),
            host,
            transport: of.transport,
            is_v4: listeners.any(|local| local.address.is_ipv4()),
        };
        tokio::spawn(question.follow(resolver.clone(), sender.clone()));
    }
    Ok(found)
}

/// What a name server says.
enum Answer<T> {
    Found(T),
    /// There is none: the name does not exist, or has nothing of this kind (RFC 2308 §2).
    Absent,
    /// It did not answer, or not to this: whether there is any is not known.
    Failed,
}

impl<T> Answer<T> {
    fn without(error: &NetError) -> Self {
        if error.is_no_records_found() { Self::Absent } else { Self::Failed }
    }
}

struct Question {
    trunk: usize,
    name: String,
    host: Host,
    transport: TrunkTransport,
    /// Places are of one family: the one that we listen at, and of two the older.
    is_v4: bool,
}

impl Question {
    async fn follow(self, resolver: TokioResolver, sender: mpsc::Sender<Found>) {
        let mut had_answer = true;
        loop {
            let pause = match self.ask(&resolver).await {
                Some((targets, until)) => {
                    had_answer = true;
                    if sender.send(Found { trunk: self.trunk, targets }).await.is_err() {
                        return;
                    }
                    until.saturating_duration_since(crate::clock::now()).clamp(BELIEVED.0, BELIEVED.1)
                }
                None => {
                    if std::mem::replace(&mut had_answer, false) {
                        let (trunk, host) = (&self.name, &self.host.name);
                        tracing::warn!(%trunk, %host, "the host of a trunk has no address, or its name server fails; its last places stay, if there were any");
                    }
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Its places, and until when the answer holds; none without an answer.
    async fn ask(&self, resolver: &TokioResolver) -> Option<(Vec<Target>, Instant)> {
        // A port says that there are no services to be asked for (RFC 3263 §4.2).
        let srv = match self.host.port {
            Some(_) => Answer::Absent,
            None => self.services(resolver).await,
        };
        let (mut targets, until) = match srv {
            Answer::Found(found) => found,
            Answer::Failed => return None,
            Answer::Absent => {
                let (addresses, until) = self.addresses(resolver, &self.host.name).await?;
                let target = |(priority, ip)| Target { ip, port: self.host.port, priority, weight: 0 };
                ((0..).zip(addresses).map(target).collect(), until)
            }
        };
        targets.truncate(PLACES_MAX);
        (!targets.is_empty()).then_some((targets, until))
    }

    fn service(&self) -> &'static str {
        match self.transport {
            TrunkTransport::Tls => "_sips._tcp",
            TrunkTransport::Tcp => "_sip._tcp",
            TrunkTransport::Udp | TrunkTransport::Ws | TrunkTransport::Wss => "_sip._udp",
        }
    }

    /// Under which name the domain keeps its services, if it says so (NAPTR, RFC 3263 §4.1). Only those of the trunk's own transport
    /// count: no answer leads from TLS to anything else.
    async fn named_services(&self, resolver: &TokioResolver) -> Answer<(String, Instant)> {
        let wanted: &[u8] = match self.transport {
            TrunkTransport::Tls => b"SIPS+D2T",
            TrunkTransport::Tcp => b"SIP+D2T",
            TrunkTransport::Udp | TrunkTransport::Ws | TrunkTransport::Wss => b"SIP+D2U",
        };
        let lookup = match resolver.lookup(format!("{}.", self.host.name), RecordType::NAPTR).await {
            Ok(lookup) => lookup,
            Err(error) => return Answer::without(&error),
        };
        let named = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::NAPTR(naptr) => Some(naptr),
            _ => None,
        });
        let fits =
            named.filter(|naptr| naptr.services.eq_ignore_ascii_case(wanted) && naptr.flags.eq_ignore_ascii_case(b"s"));
        match fits.min_by_key(|naptr| (naptr.order, naptr.preference)) {
            Some(first) => Answer::Found((first.replacement.to_string(), lookup.valid_until())),
            None => Answer::Absent,
        }
    }

    /// The services of a domain, the first first. Services without an address are a failure: where they are is only not known.
    async fn services(&self, resolver: &TokioResolver) -> Answer<(Vec<Target>, Instant)> {
        let (of, named_until) = match self.named_services(resolver).await {
            Answer::Found((of, until)) => (of, Some(until)),
            Answer::Absent => (format!("{}.{}.", self.service(), self.host.name), None),
            Answer::Failed => return Answer::Failed,
        };
        let lookup = match resolver.srv_lookup(of).await {
            Ok(lookup) => lookup,
            // A domain that names its services has them, wherever they are.
            Err(_) if named_until.is_some() => return Answer::Failed,
            Err(error) => return Answer::without(&error),
        };
        let mut until = named_until.map_or(lookup.valid_until(), |until| until.min(lookup.valid_until()));
        let service = |data: &RData| match data {
            RData::SRV(srv) => Some((srv.priority, srv.weight, srv.port, srv.target.to_string())),
            _ => None,
        };
        let mut services: Vec<_> = lookup.answers().iter().filter_map(|record| service(&record.data)).collect();
        services.sort();
        let (mut targets, mut known) = (Vec::new(), BTreeSet::new());
        for (priority, weight, port, host) in services.into_iter().take(PLACES_MAX) {
            let Some((addresses, holds)) = self.addresses(resolver, &host).await else { continue };
            until = until.min(holds);
            let fresh = addresses.into_iter().filter(|ip| known.insert((*ip, port)));
            targets.extend(fresh.map(|ip| Target { ip, port: Some(port), priority, weight }));
        }
        if targets.is_empty() { Answer::Failed } else { Answer::Found((targets, until)) }
    }

    async fn addresses(&self, resolver: &TokioResolver, host: &str) -> Option<(Vec<IpAddr>, Instant)> {
        let host = format!("{}.", host.trim_end_matches('.'));
        let lookup = if self.is_v4 { resolver.ipv4_lookup(host).await } else { resolver.ipv6_lookup(host).await };
        let lookup = lookup.ok()?;
        let address = |data: &RData| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        let addresses: Vec<IpAddr> = lookup.answers().iter().filter_map(|record| address(&record.data)).collect();
        let is_there = addresses.iter().any(|ip| !ip.is_unspecified());
        is_there.then_some((addresses, lookup.valid_until()))
    }
}

#[cfg(test)]
mod tests;
