//! Two tones fitted to sound by least squares.

use super::{Complex, LENGTH, MIDDLE, omega};
use crate::bins::DIAL;
use crate::sound::WINDOW;

/// Two tones fitted to a window.
pub(super) struct Fit {
    pub(super) tones: [Tone; 2],
    /// The part of the energy that they hold.
    pub(super) held: f32,
}

#[derive(Clone, Copy)]
pub(super) struct Tone {
    /// Mean square.
    pub(super) power: f32,
    /// Radians a sample by which it is faster than it was looked for.
    pub(super) faster: f32,
    /// By which part it swells a sample.
    pub(super) swells: f32,
}

impl Fit {
    /// Around the window's middle (m = 0), `a cos + b sin` that turns faster by δ and swells by κ is, to first order,
    /// `a cos + b sin + m(p sin + q cos)` with p = bκ − aδ and q = aκ + bδ. Even and odd functions of m have nothing in
    /// common, so half the unknowns are found twice instead of all at once. With six of them a half, two are a dial tone's.
    pub(super) fn new<const N: usize>(window: &[f32; WINDOW], omegas: [f32; 2]) -> Option<Self> {
        let (mut even, mut odd) = (Normal::<N>::new(), Normal::<N>::new());
        let [low, high] = omegas;
        let [dial_low, dial_high] = DIAL.map(omega);
        let mut turns = [low, high, dial_low, dial_high].map(|omega| Complex::turn(-omega * MIDDLE));
        let steps = [low, high, dial_low, dial_high].map(Complex::turn);
        let (mut energy, mut m) = (0.0, -MIDDLE);
        for sample in window {
            let [low, high, dial_low, dial_high] = turns;
            even.add([low.re, m * low.im, high.re, m * high.im, dial_low.re, dial_high.re], *sample);
            odd.add([low.im, m * low.re, high.im, m * high.re, dial_low.im, dial_high.im], *sample);
            energy += sample * sample;
            turns.iter_mut().zip(&steps).for_each(|(turn, step)| *turn = turn.times(*step));
            m += 1.0;
        }
        let (even, even_held) = even.solve()?;
        let (odd, odd_held) = odd.solve()?;
        let found = |of: &[f32; N], index: usize| of.get(index).copied().unwrap_or_default();
        let tone = |first: usize| {
            let (a, p) = (found(&even, first), found(&even, first + 1));
            let (b, q) = (found(&odd, first), found(&odd, first + 1));
            let square = (a * a + b * b).max(f32::MIN_POSITIVE);
            Tone { power: square / 2.0, faster: (b * q - a * p) / square, swells: (a * q + b * p) / square }
        };
        let dial = (4..N).map(|index| found(&even, index).powi(2) + found(&odd, index).powi(2)).sum::<f32>();
        let without_dial = (energy - dial * LENGTH / 2.0).max(f32::MIN_POSITIVE);
        let held = (even_held + odd_held - (energy - without_dial)) / without_dial;
        Some(Self { tones: [tone(0), tone(2)], held })
    }
}

/// Normal equations of so many unknowns.
struct Normal<const N: usize> {
    matrix: [[f32; N]; N],
    right: [f32; N],
}

impl<const N: usize> Normal<N> {
    fn new() -> Self {
        Self { matrix: [[0.0; N]; N], right: [0.0; N] }
    }

    /// An equation: the first of these factors times the unknowns are this value.
    fn add(&mut self, row: [f32; 6], value: f32) {
        for ((matrix, right), factor) in self.matrix.iter_mut().zip(&mut self.right).zip(row) {
            *right += factor * value;
            matrix.iter_mut().zip(row).for_each(|(cell, other)| *cell += factor * other);
        }
    }

    /// The unknowns, and the energy that they explain. The matrix is positive definite: no rows need to change places.
    fn solve(&self) -> Option<([f32; N], f32)> {
        let (mut rows, mut found) = (self.matrix, self.right);
        for pivot in 0..N {
            let row = rows.get(pivot).copied()?;
            let head = row.get(pivot).copied().filter(|head| *head > f32::MIN_POSITIVE)?;
            let value = found.get(pivot).copied()?;
            for (index, (other, right)) in rows.iter_mut().zip(&mut found).enumerate() {
                if index != pivot {
                    let factor = other.get(pivot).copied()? / head;
                    *right -= factor * value;
                    other.iter_mut().zip(row).for_each(|(to, from)| *to -= factor * from);
                }
            }
        }
        for (index, (found, row)) in found.iter_mut().zip(&rows).enumerate() {
            *found /= row.get(index).copied()?;
        }
        let held = found.iter().zip(self.right).map(|(found, right)| found * right).sum();
        Some((found, held))
    }
}
