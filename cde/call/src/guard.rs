//! Who may be listened to at all: trunks always, others as long as they are few and slow. It is asked before a message is
//! parsed, so that a flood costs next to nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Messages in a row of one source that no trunk has. A carrier may send from more addresses than it tells.
const OF_SOURCE_MAX: u32 = 100;
/// How long such a source waits for the right to one more.
const SOURCE_PAUSE: Duration = Duration::from_millis(20);
/// Messages in a row of all such sources: the sender of a datagram can write there what it likes.
const OF_ALL_MAX: u32 = 1000;
/// How long they wait together for the right to one more.
const ALL_PAUSE: Duration = Duration::from_millis(1);
/// Sources that are remembered.
const SOURCES_MAX: usize = 1024;

/// Rights that are used up and grow again.
#[derive(Clone, Copy)]
struct Bucket {
    left: u32,
    /// When the last right has grown.
    grown: Instant,
}

impl Bucket {
    fn full(now: Instant, most: u32) -> Self {
        Self { left: most, grown: now }
    }

    fn take(&mut self, now: Instant, most: u32, pause: Duration) -> bool {
        let passed = now.saturating_duration_since(self.grown);
        let grown = u32::try_from(passed.as_nanos() / pause.as_nanos().max(1)).unwrap_or(u32::MAX);
        if grown >= most - self.left {
            *self = Self::full(now, most);
        } else {
            self.left += grown;
            self.grown += pause * grown;
        }
        let may = self.left > 0;
        self.left -= u32::from(may);
        may
    }
}

/// What strangers may still say.
pub(crate) struct Guard {
    all: Bucket,
    by_source: BTreeMap<IpAddr, Bucket>,
    dropped: u64,
}

impl Guard {
    pub(crate) fn new(now: Instant) -> Self {
        Self { all: Bucket::full(now, OF_ALL_MAX), by_source: BTreeMap::new(), dropped: 0 }
    }

    /// Whether a message of a source that no trunk has is to be read.
    pub(crate) fn admits(&mut self, now: Instant, source: IpAddr) -> bool {
        let source = network(source);
        // One noisy source must not use up what is left for the others.
        let known = self.by_source.get_mut(&source);
        let may = known.is_none_or(|bucket| bucket.take(now, OF_SOURCE_MAX, SOURCE_PAUSE))
            && self.all.take(now, OF_ALL_MAX, ALL_PAUSE);
        if may {
            self.remember(now, source);
        } else {
            self.dropped += 1;
        }
        may
    }

    /// Messages that were not read.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn remember(&mut self, now: Instant, source: IpAddr) {
        if self.by_source.contains_key(&source) {
            return;
        }
        if self.by_source.len() >= SOURCES_MAX {
            let oldest = self.by_source.iter().min_by_key(|(_, bucket)| bucket.grown).map(|(source, _)| *source);
            oldest.and_then(|source| self.by_source.remove(&source));
        }
        self.by_source.insert(source, Bucket { left: OF_SOURCE_MAX - 1, grown: now });
    }
}

/// As what a stranger is counted: of IPv6, the network, since whoever has one address there has all of them. A mapped address
/// of IPv4 is one of IPv4, or all of those would be one network.
pub fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        source @ IpAddr::V4(_) => source,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[expect(clippy::disallowed_methods, reason = "any moment will do as the start of virtual time")]
    fn start() -> (Guard, Instant) {
        let now = Instant::now();
        (Guard::new(now), now)
    }

    fn admitted(guard: &mut Guard, now: Instant, source: IpAddr, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(guard.admits(now, source))).sum()
    }

    #[test]
    fn a_stranger_is_heard_a_little_and_then_slowly() {
        let (mut guard, now) = start();
        assert_eq!(admitted(&mut guard, now, source(1), 300), OF_SOURCE_MAX);
        assert_eq!(admitted(&mut guard, now + Duration::from_secs(1), source(1), 300), 50);
        assert_eq!(admitted(&mut guard, now + Duration::from_secs(3600), source(1), 300), OF_SOURCE_MAX);
        assert_eq!(guard.dropped(), 200 + 250 + 200);
    }

    #[test]
    fn a_noisy_stranger_does_not_silence_the_others() {
        let (mut guard, now) = start();
        admitted(&mut guard, now, source(1), 100_000);
        assert_eq!(admitted(&mut guard, now, source(2), 300), OF_SOURCE_MAX);
    }

    #[test]
    fn strangers_under_many_names_are_limited_together_and_little_is_remembered_of_them() {
        let (mut guard, now) = start();
        let heard: u32 = (0..100_000).map(|number| admitted(&mut guard, now, source(number), 1)).sum();
        assert_eq!(heard, OF_ALL_MAX);
        for second in 1..20 {
            let now = now + Duration::from_secs(second);
            let new = (0..2000).map(|number| source(u32::try_from(second).unwrap() * 1_000_000 + number));
            let heard: u32 = new.map(|source| admitted(&mut guard, now, source, 1)).sum();
            assert_eq!(heard, OF_ALL_MAX);
        }
        assert_eq!(guard.by_source.len(), SOURCES_MAX);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let (mut guard, now) = start();
        let address = |last: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, last));
        let heard: u32 = (0..1000).map(|last| admitted(&mut guard, now, address(last), 1)).sum();
        assert_eq!(heard, OF_SOURCE_MAX);
    }

    /// A listener of both families hears IPv4 so.
    #[test]
    fn mapped_addresses_of_ipv4_are_many_sources() {
        let (mut guard, now) = start();
        let mapped = |last: u8| IpAddr::V6(std::net::Ipv4Addr::new(192, 0, 2, last).to_ipv6_mapped());
        assert_eq!(admitted(&mut guard, now, mapped(1), 300), OF_SOURCE_MAX);
        assert_eq!(admitted(&mut guard, now, mapped(2), 300), OF_SOURCE_MAX);
    }
}
