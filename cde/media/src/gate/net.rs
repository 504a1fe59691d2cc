//! The net: 46 numbers, a layer of 24 that are positive or nothing, one score. And the sieve before it: a straight sum that
//! costs next to nothing and lets through whatever might be a tone.

use super::features::{FEATURES, Features};

/// Neurons of the hidden layer.
pub(super) const HIDDEN: usize = 24;

/// The weights take the numbers as they are: what they were standardized by when the net was trained is in them.
pub(super) struct Net {
    /// By feature, then by neuron.
    pub(super) hidden: [[f32; HIDDEN]; FEATURES],
    pub(super) hidden_bias: [f32; HIDDEN],
    pub(super) output: [f32; HIDDEN],
    pub(super) output_bias: f32,
}

impl Net {
    /// Log-odds.
    pub(super) fn score(&self, features: &Features) -> f32 {
        let mut hidden = self.hidden_bias;
        for (feature, weights) in features.iter().zip(&self.hidden) {
            hidden.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += feature * weight);
        }
        let output = hidden.iter().zip(&self.output).map(|(sum, weight)| sum.max(0.0) * weight);
        output.sum::<f32>() + self.output_bias
    }
}

/// Asks only what is known without the bands.
pub(super) struct Sieve {
    pub(super) weights: [f32; FEATURES],
    pub(super) bias: f32,
}

impl Sieve {
    pub(super) fn lets_through(&self, features: &Features) -> bool {
        let sum: f32 = features.iter().zip(&self.weights).map(|(feature, weight)| feature * weight).sum();
        // A sum that is no number must not pass for a quiet one.
        sum.is_nan() || sum + self.bias >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{weights, weights12};

    #[test]
    fn the_weights_are_those_that_were_taught() {
        assert_eq!(checksum(&weights::NET, &weights::SIEVE), weights::CHECKSUM);
        assert_eq!(checksum(&weights12::NET, &weights12::SIEVE), weights12::CHECKSUM);
    }

    fn checksum(net: &Net, sieve: &Sieve) -> u64 {
        let net = net.hidden.iter().flatten().chain(&net.hidden_bias).chain(&net.output).chain([&net.output_bias]);
        let bytes = net.chain(&sieve.weights).chain([&sieve.bias]).flat_map(|value| value.to_bits().to_le_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    #[test]
    fn what_is_no_number_is_not_let_through_as_quiet() {
        for sieve in [&weights::SIEVE, &weights12::SIEVE] {
            assert!(sieve.lets_through(&[f32::NAN; FEATURES]));
        }
    }
}
