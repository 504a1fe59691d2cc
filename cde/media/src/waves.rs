//! Sines and cosines known when this is compiled: tables need no start, no lock and no room in a call.

use std::f64::consts::PI;

/// Terms of the series: more than a double can tell apart up to a quarter turn.
const TERMS: u32 = 12;

/// Cosine and sine of so many turns, each within the last digits of a double.
pub(crate) const fn turn(turns: f64) -> (f64, f64) {
    let whole = floor(turns + 0.5);
    let rest = turns - whole;
    // From -1/2 to 1/2; the outer quarters are mirrored in.
    let (inner, mirrored) = if rest > 0.25 {
        (0.5 - rest, true)
    } else if rest < -0.25 {
        (-0.5 - rest, true)
    } else {
        (rest, false)
    };
    let (cosine, sine) = series(2.0 * PI * inner);
    (if mirrored { -cosine } else { cosine }, sine)
}

const fn series(radians: f64) -> (f64, f64) {
    let (mut cosine, mut sine) = (0.0, 0.0);
    let (mut term, mut n) = (1.0, 0);
    while n < 2 * TERMS {
        match n % 4 {
            0 => cosine += term,
            1 => sine += term,
            2 => cosine -= term,
            _ => sine -= term,
        }
        n += 1;
        term *= radians / float(n);
    }
    (cosine, sine)
}

#[expect(clippy::as_conversions, reason = "small whole numbers; `From` is not const")]
const fn float(n: u32) -> f64 {
    n as f64
}

#[expect(clippy::as_conversions, reason = "a const context has no other way; the numbers are small")]
const fn floor(value: f64) -> f64 {
    let whole = value as i64 as f64;
    if whole > value { whole - 1.0 } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    #[test]
    fn turns_are_those_of_the_library() {
        for n in -4000..4000 {
            let turns = f64::from(n) / 777.0;
            let (cosine, sine) = turn(turns);
            assert!((cosine - (TAU * turns).cos()).abs() < 1e-12, "{turns}");
            assert!((sine - (TAU * turns).sin()).abs() < 1e-12, "{turns}");
        }
    }
}
