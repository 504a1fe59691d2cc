//! RTP ports. A call takes two even ones; a port that was given back is used again as late as possible, so that a late
//! packet of the call before cannot meet the next one.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

pub(super) struct Ports {
    address: IpAddr,
    free: VecDeque<u16>,
}

impl Ports {
    pub(super) fn new(address: IpAddr, (first, last): (u16, u16)) -> Self {
        // Even ports, as RFC 3550 section 11 has it; the odd one beside it is RTCP's.
        Self { address, free: (first..=last).filter(|port| port.is_multiple_of(2)).collect() }
    }

    pub(super) fn take(&mut self) -> Option<(SocketAddr, SocketAddr)> {
        if self.free.len() < 2 {
            return None;
        }
        let caller = self.free.pop_front()?;
        let agent = self.free.pop_front()?;
        Some((SocketAddr::new(self.address, caller), SocketAddr::new(self.address, agent)))
    }

    pub(super) fn give_back(&mut self, (caller, agent): (SocketAddr, SocketAddr)) {
        self.free.extend([caller.port(), agent.port()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_used_again_as_late_as_possible() {
        let mut ports = Ports::new([127, 0, 0, 1].into(), (10_001, 10_008));
        let first = ports.take().unwrap();
        assert_eq!((first.0.port(), first.1.port()), (10_002, 10_004));
        ports.give_back(first);
        assert_eq!(ports.take().unwrap().0.port(), 10_006);
        assert!(ports.take().is_some());
        assert!(ports.take().is_none(), "an empty pool refuses");
    }
}
