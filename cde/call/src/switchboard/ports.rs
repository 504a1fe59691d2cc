//! RTP ports. A call takes two even ones, and with each the one above for RTCP; a port that was given back is used again
//! as late as possible, so that a late packet of the call before cannot meet the next one.

use std::collections::VecDeque;

pub(crate) struct Ports {
    free: VecDeque<u16>,
}

impl Ports {
    pub(super) fn new((first, last): (u16, u16)) -> Self {
        // Even ports, as RFC 3550 section 11 has it; the odd one above must be in the range too.
        Self { free: (first..last).filter(|port| port.is_multiple_of(2)).collect() }
    }

    pub(crate) fn take(&mut self) -> Option<(u16, u16)> {
        if self.free.len() < 2 {
            return None;
        }
        let caller = self.free.pop_front()?;
        let agent = self.free.pop_front()?;
        Some((caller, agent))
    }

    pub(crate) fn give_back(&mut self, (caller, agent): (u16, u16)) {
        self.free.extend([caller, agent]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_used_again_as_late_as_possible() {
        let mut ports = Ports::new((10_001, 10_010));
        let first = ports.take().unwrap();
        assert_eq!(first, (10_002, 10_004));
        ports.give_back(first);
        assert_eq!(ports.take().unwrap().0, 10_006);
        assert!(ports.take().is_some());
        assert!(ports.take().is_none(), "an empty pool refuses");
    }
}
