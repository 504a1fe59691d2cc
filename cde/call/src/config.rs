//! Where calls may come from and go to.

use payment::Rules;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use wire::{Extension, MerchantId};

/// What the shell read from `cde.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our SIP address, as written into Via and Contact.
    pub sip: SocketAddr,
    /// Our media address.
    pub media: IpAddr,
    /// First and last RTP port; a call uses two.
    pub ports: (u16, u16),
    /// Calls at once.
    pub calls_max: usize,
    /// Trunks.
    pub trunks: Vec<Trunk>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Merchants that have a gateway.
    pub merchants: BTreeSet<MerchantId>,
    /// Capture rules.
    pub rules: Rules,
    /// Record the agent side.
    pub record: bool,
    /// How lines are masked while no security code is asked for. While one is, always strictly.
    pub masking: media::Policy,
}

/// A neighbor.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// Its address.
    pub ip: IpAddr,
    /// Its port; without one, packets from any port are its, and calls go to 5060.
    pub port: Option<u16>,
}

/// The SIP port of RFC 3261.
const SIP_PORT: u16 = 5060;

impl Trunk {
    fn sends_from(&self, address: SocketAddr) -> bool {
        self.ip == address.ip() && self.port.is_none_or(|port| port == address.port())
    }

    /// Where calls to it go.
    pub fn destination(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port.unwrap_or(SIP_PORT))
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
    /// What six keys in a row on an open line mean here.
    pub open_line_keys: OpenLineKeys,
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
    pub(crate) destination: SocketAddr,
    pub(crate) extension: Extension,
    pub(crate) open_line_keys: OpenLineKeys,
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
    pub(crate) fn way(&self, from: SocketAddr, called: &str) -> Result<Way, NoWay> {
        let sources: Vec<&str> =
            self.trunks.iter().filter(|trunk| trunk.sends_from(from)).map(|trunk| trunk.name.as_str()).collect();
        if sources.is_empty() {
            return Err(NoWay::Stranger);
        }
        let fits = |route: &&Route| sources.contains(&route.from.as_str()) && called.starts_with(&route.prefix);
        let route = self.routes.iter().filter(fits).max_by_key(|route| route.prefix.len()).ok_or(NoWay::NoRoute)?;
        let trunk = self.trunks.iter().find(|trunk| trunk.name == route.to).ok_or(NoWay::NoRoute)?;
        let extension = match &route.extension {
            Some(extension) => extension.clone(),
            None => called.parse().map_err(|_| NoWay::NoRoute)?,
        };
        Ok(Way { destination: trunk.destination(), extension, open_line_keys: route.open_line_keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let trunk = |name: &str, port| Trunk { name: name.to_owned(), ip: [127, 0, 0, 1].into(), port };
        let route = |prefix: &str, extension: Option<&str>| Route {
            from: "carrier".to_owned(),
            to: "pbx".to_owned(),
            prefix: prefix.to_owned(),
            extension: extension.map(|text| text.parse().unwrap()),
            open_line_keys: OpenLineKeys::Ignore,
        };
        Config {
            sip: ([127, 0, 0, 1], 5060).into(),
            media: [127, 0, 0, 1].into(),
            ports: (10_000, 10_100),
            calls_max: 10,
            trunks: vec![trunk("carrier", Some(5070)), trunk("pbx", Some(5080))],
            routes: vec![route("44", None), route("4420", Some("1001"))],
            merchants: BTreeSet::new(),
            rules: Rules::default(),
            record: false,
            masking: media::Policy::Natural,
        }
    }

    #[test]
    fn the_longest_prefix_decides() {
        let carrier = ([127, 0, 0, 1], 5070).into();
        let way = config().way(carrier, "442071").unwrap();
        assert_eq!((way.destination.port(), way.extension.as_str()), (5080, "1001"));
        assert_eq!(config().way(carrier, "4477").unwrap().extension.as_str(), "4477");
        assert_eq!(config().way(carrier, "1234"), Err(NoWay::NoRoute));
    }

    #[test]
    fn a_stranger_dials_nothing() {
        assert_eq!(config().way(([127, 0, 0, 1], 5999).into(), "442071"), Err(NoWay::Stranger));
        assert_eq!(config().way(([10, 0, 0, 1], 5070).into(), "442071"), Err(NoWay::Stranger));
        assert_eq!(config().way(([127, 0, 0, 1], 5080).into(), "442071"), Err(NoWay::NoRoute));
    }
}
