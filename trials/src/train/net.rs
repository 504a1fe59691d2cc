//! A small net and a straight sum, taught by Adam (Kingma and Ba, 2015) to give log-odds.

use super::sounds::Lesson;
use crate::dice::Dice;
use media::gate::features::{FEATURES, Features, OF_BANDS, WINDOW_FEATURES};

pub(crate) const HIDDEN: usize = 24;
const BATCH: usize = 512;
const RATE: f32 = 2e-3;
/// Weights are kept small: the part of the loss that is half their squares.
const SMALL: f32 = 1e-3;
/// The sieve may lose this part of what needs a mask and that the net would find.
const SIEVE_LOSS: f64 = 5e-5;
/// What the net finds: with the lowest threshold that is ever asked for.
const FOUND: f32 = -3.0;

/// Means and deviations.
pub(crate) struct Standard {
    mean: Features,
    deviation: Features,
}

impl Standard {
    pub(crate) fn new(clean: &[Features], keyed: &[Features]) -> Self {
        let count = (clean.len() + keyed.len()) as f64;
        let (mut sums, mut squares) = ([0.0_f64; FEATURES], [0.0_f64; FEATURES]);
        for features in clean.iter().chain(keyed) {
            for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(features) {
                *sum += f64::from(*value);
                *square += f64::from(*value).powi(2);
            }
        }
        let mean = sums.map(|sum| (sum / count) as f32);
        let mut deviation = [1.0; FEATURES];
        for ((deviation, square), sum) in deviation.iter_mut().zip(squares).zip(sums) {
            *deviation = ((square / count - (sum / count).powi(2)).max(1e-9).sqrt()) as f32;
        }
        Self { mean, deviation }
    }

    fn apply(&self, features: &Features) -> Features {
        std::array::from_fn(|n| (features[n] - self.mean[n]) / self.deviation[n])
    }
}

/// Numbers that learn.
struct Adam {
    values: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Adam {
    fn new(values: Vec<f32>) -> Self {
        let zeros = vec![0.0; values.len()];
        Self { values, first: zeros.clone(), second: zeros, steps: 0 }
    }

    fn step(&mut self, gradient: &[f32], rate: f32) {
        self.steps += 1;
        let correct = rate * (1.0 - 0.999_f32.powi(self.steps)).sqrt() / (1.0 - 0.9_f32.powi(self.steps));
        for (((value, first), second), gradient) in
            self.values.iter_mut().zip(&mut self.first).zip(&mut self.second).zip(gradient)
        {
            *first += 0.1 * (gradient - *first);
            *second += 0.001 * (gradient * gradient - *second);
            *value -= correct * *first / (second.sqrt() + 1e-8);
        }
    }
}

pub(crate) struct Net {
    pub(crate) hidden: Vec<[f32; HIDDEN]>,
    pub(crate) hidden_bias: [f32; HIDDEN],
    pub(crate) output: [f32; HIDDEN],
    pub(crate) output_bias: f32,
}

impl Net {
    pub(crate) fn train(lesson: &Lesson, standard: &Standard, epochs: usize, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let count = FEATURES * HIDDEN + 2 * HIDDEN + 1;
        let spread = |inputs: usize, outputs: usize| (6.0 / (inputs + outputs) as f64).sqrt();
        let mut values = vec![0.0; count];
        let (into, out) = (spread(FEATURES, HIDDEN), spread(HIDDEN, 1));
        values[..FEATURES * HIDDEN].iter_mut().for_each(|value| *value = dice.between(-into, into) as f32);
        let output = FEATURES * HIDDEN + HIDDEN;
        values[output..output + HIDDEN].iter_mut().for_each(|value| *value = dice.between(-out, out) as f32);
        let mut adam = Adam::new(values);
        let examples = Examples::new(lesson, standard);
        let mut gradient = vec![0.0; count];
        for epoch in 0..epochs {
            let order = examples.order(&mut dice);
            let mut loss = 0.0;
            // Smaller steps at the end, so that the last batches do not decide.
            let rate = RATE * (1.0 - 0.9 * epoch as f32 / epochs as f32);
            for batch in order.chunks(BATCH) {
                gradient.iter_mut().for_each(|value| *value = 0.0);
                for place in batch {
                    let (features, wanted) = examples.at(*place);
                    loss += f64::from(back(&adam.values, &features, wanted, &mut gradient));
                }
                let share = 1.0 / batch.len() as f32;
                for (gradient, value) in gradient.iter_mut().zip(&adam.values) {
                    *gradient = *gradient * share + SMALL * share * value;
                }
                adam.step(&gradient, rate);
            }
            println!("epoch {:>2}: loss {:.5}", epoch + 1, loss / order.len() as f64);
        }
        Self::of(&adam.values)
    }

    fn of(values: &[f32]) -> Self {
        let (hidden, rest) = values.split_at(FEATURES * HIDDEN);
        let array = |slice: &[f32]| -> [f32; HIDDEN] { std::array::from_fn(|n| slice[n]) };
        Self {
            hidden: hidden.chunks(HIDDEN).map(array).collect(),
            hidden_bias: array(rest),
            output: array(&rest[HIDDEN..]),
            output_bias: rest[2 * HIDDEN],
        }
    }

    /// The same net for numbers that are not standardized.
    pub(crate) fn folded(mut self, standard: &Standard) -> Self {
        for (n, weights) in self.hidden.iter_mut().enumerate() {
            for (weight, bias) in weights.iter_mut().zip(&mut self.hidden_bias) {
                *weight /= standard.deviation[n];
                *bias -= *weight * standard.mean[n];
            }
        }
        self
    }

    pub(crate) fn score(&self, features: &Features) -> f32 {
        let mut hidden = self.hidden_bias;
        for (feature, weights) in features.iter().zip(&self.hidden) {
            hidden.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += feature * weight);
        }
        hidden.iter().zip(&self.output).map(|(sum, weight)| sum.max(0.0) * weight).sum::<f32>() + self.output_bias
    }
}

/// Adds one example's gradient; gives its loss.
fn back(values: &[f32], features: &Features, wanted: f32, gradient: &mut [f32]) -> f32 {
    let (hidden, rest) = values.split_at(FEATURES * HIDDEN);
    let mut sums: [f32; HIDDEN] = std::array::from_fn(|n| rest[n]);
    for (feature, weights) in features.iter().zip(hidden.as_chunks::<HIDDEN>().0) {
        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += feature * weight);
    }
    let output: &[f32] = &rest[HIDDEN..2 * HIDDEN];
    let score = sums.iter().zip(output).map(|(sum, weight)| sum.max(0.0) * weight).sum::<f32>() + rest[2 * HIDDEN];
    let odds = 1.0 / (1.0 + (-score).exp());
    let error = odds - wanted;
    let (to_hidden, to_rest) = gradient.split_at_mut(FEATURES * HIDDEN);
    let mut errors = [0.0; HIDDEN];
    for n in 0..HIDDEN {
        to_rest[HIDDEN + n] += error * sums[n].max(0.0);
        errors[n] = if sums[n] > 0.0 { error * output[n] } else { 0.0 };
        to_rest[n] += errors[n];
    }
    to_rest[2 * HIDDEN] += error;
    for (feature, gradients) in features.iter().zip(to_hidden.as_chunks_mut::<HIDDEN>().0) {
        gradients.iter_mut().zip(&errors).for_each(|(gradient, error)| *gradient += feature * error);
    }
    -(if wanted > 0.5 { odds } else { 1.0 - odds }).max(1e-9).ln()
}

/// A straight sum of what is known without the bands.
pub(crate) struct Linear {
    pub(crate) weights: Features,
    bias: f32,
}

impl Linear {
    /// Examples with a key weigh as much as all others together.
    pub(crate) fn train(lesson: &Lesson, standard: &Standard, seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 1);
        let examples = Examples::new(lesson, standard);
        let mut adam = Adam::new(vec![0.0; FEATURES + 1]);
        let heavier = lesson.clean.len() as f32 / lesson.keyed.len() as f32;
        for _ in 0..4 {
            for batch in examples.order(&mut dice).chunks(BATCH) {
                let mut gradient = [0.0; FEATURES + 1];
                for place in batch {
                    let (mut features, wanted) = examples.at(*place);
                    of_bands().for_each(|n| features[n] = 0.0);
                    let sum: f32 = features.iter().zip(&adam.values).map(|(feature, weight)| feature * weight).sum();
                    let odds = 1.0 / (1.0 + (-sum - adam.values[FEATURES]).exp());
                    let error = (odds - wanted) * if wanted > 0.5 { heavier } else { 1.0 } / batch.len() as f32;
                    features.iter().zip(&mut gradient).for_each(|(feature, to)| *to += error * feature);
                    gradient[FEATURES] += error;
                }
                adam.step(&gradient, RATE);
            }
        }
        Self { weights: std::array::from_fn(|n| adam.values[n]), bias: adam.values[FEATURES] }
    }

    pub(crate) fn folded(mut self, standard: &Standard) -> Self {
        for (n, weight) in self.weights.iter_mut().enumerate() {
            *weight /= standard.deviation[n];
            self.bias -= *weight * standard.mean[n];
        }
        of_bands().for_each(|n| self.weights[n] = 0.0);
        self
    }

    pub(crate) fn sum(&self, features: &Features) -> f32 {
        features.iter().zip(&self.weights).map(|(feature, weight)| feature * weight).sum()
    }

    /// The bias that loses next to nothing of what the net would find.
    pub(crate) fn bias_that_keeps(&self, keyed: &[Features], net: &Net) -> f32 {
        let mut sums: Vec<f32> =
            keyed.iter().filter(|features| net.score(features) > FOUND).map(|features| self.sum(features)).collect();
        sums.sort_by(f32::total_cmp);
        -sums[(sums.len() as f64 * SIEVE_LOSS) as usize]
    }
}

fn of_bands() -> impl Iterator<Item = usize> {
    OF_BANDS.into_iter().flat_map(|n| [n, n + WINDOW_FEATURES])
}

struct Examples<'a> {
    lesson: &'a Lesson,
    standard: &'a Standard,
}

impl<'a> Examples<'a> {
    fn new(lesson: &'a Lesson, standard: &'a Standard) -> Self {
        Self { lesson, standard }
    }

    fn order(&self, dice: &mut Dice) -> Vec<u32> {
        let mut order: Vec<u32> = (0..(self.lesson.clean.len() + self.lesson.keyed.len()) as u32).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, dice.pick(last + 1));
        }
        order
    }

    fn at(&self, place: u32) -> (Features, f32) {
        let place = place as usize;
        match self.lesson.clean.get(place) {
            Some(features) => (self.standard.apply(features), 0.0),
            None => (self.standard.apply(&self.lesson.keyed[place - self.lesson.clean.len()]), 1.0),
        }
    }
}
