//! A bad network on the way out of a phone: datagrams get lost, come twice, or come after younger ones.

/// What happens to how many of a thousand datagrams, and where the dice begin.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Lost.
    pub lost: u64,
    /// Sent twice.
    pub twice: u64,
    /// Sent after one to three younger ones.
    pub late: u64,
    /// A run is told by it.
    pub seed: u64,
}

/// How many datagrams had which fate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fates {
    /// Lost.
    pub lost: usize,
    /// Sent twice.
    pub twice: usize,
    /// Sent late.
    pub late: usize,
}

/// The network in this weather.
pub(super) struct Network<T> {
    weather: Weather,
    pub(super) fates: Fates,
    /// Waits for so many others.
    held: Option<(u64, T)>,
}

impl<T: Clone> Network<T> {
    pub(super) fn new(weather: Weather) -> Self {
        Self { weather, fates: Fates::default(), held: None }
    }

    /// What comes out when this goes in.
    pub(super) fn carry(&mut self, datagram: T) -> Vec<T> {
        let Weather { lost, twice, late, .. } = self.weather;
        let dice = self.roll(1000);
        let mut out = Vec::new();
        if dice < late && self.held.is_none() {
            self.held = Some((1 + self.roll(3), datagram));
            self.fates.late += 1;
            return out;
        }
        let copies = match dice.saturating_sub(late) {
            dice if dice < lost => 0,
            dice if dice < lost + twice => 2,
            _ => 1,
        };
        self.fates.lost += usize::from(copies == 0);
        self.fates.twice += usize::from(copies == 2);
        out.resize(copies, datagram);
        if let Some((others, _)) = &mut self.held {
            *others -= 1;
        }
        out.extend(self.held.take_if(|(others, _)| *others == 0).map(|(_, held)| held));
        out
    }

    fn roll(&mut self, sides: u64) -> u64 {
        let seed = &mut self.weather.seed;
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % sides
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_loses_doubles_and_reorders_about_as_many_as_it_is_told() {
        let mut network = Network::new(Weather { lost: 50, twice: 50, late: 50, seed: 7 });
        let out: Vec<u32> = (0..10_000).flat_map(|n| network.carry(n)).collect();
        let Fates { lost, twice, late } = network.fates;
        assert!([lost, twice, late].iter().all(|count| (350..650).contains(count)), "{:?}", network.fates);
        let mut different = out.clone();
        different.sort_unstable();
        different.dedup();
        // One may wait still.
        assert!((9_999..=10_000).contains(&(different.len() + lost)) && out.len() == different.len() + twice);
        let younger_first = out.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(younger_first.abs_diff(late) < 50, "{younger_first} of {late}");
    }
}
