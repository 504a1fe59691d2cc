//! How well three decoders name keys: ours, libspandsp and multimon-ng, on the same samples, set by set.

mod align;
mod codec;
pub(crate) mod decoders;
mod row;
mod sets;

use crate::dice::Dice;
use align::Tally;
use decoders::Decoders;
use sets::{Kind, Set};

/// Digits of one set, at least.
const DIGITS: usize = 10_000;

/// Tries the sets whose name contains `only`; gives the table as Markdown. `digits` is how many a set has.
pub(crate) fn run(seed: u64, digits: Option<usize>, only: Option<&str>, show: bool) -> anyhow::Result<()> {
    let decoders = Decoders::new()?;
    println!("seed {seed}\n");
    println!("| set | digits | bar | ours | spandsp | multimon-ng |\n|---|---|---|---|---|---|");
    for (number, set) in (0..).zip(sets::all()?) {
        if only.is_none_or(|only| set.name.contains(only)) {
            // Each set has chance of its own, so that one can be run alone.
            let mut dice = Dice::new(seed + 1000 * number);
            print(&set, &tries(&mut dice, &set, &decoders, digits.unwrap_or(DIGITS), show)?);
        }
    }
    Ok(())
}

fn tries(
    dice: &mut Dice,
    set: &Set,
    decoders: &Decoders,
    digits: usize,
    show: bool,
) -> anyhow::Result<[Tally; decoders::COUNT]> {
    let mut tallies = [Tally::default(); decoders::COUNT];
    while tallies[0].pressed < digits {
        let row = (set.make)(dice)?;
        let read = decoders.read(&row.samples)?;
        for (tally, read) in tallies.iter_mut().zip(&read) {
            match set.kind {
                Kind::Accept => tally.add(&row.pressed, read),
                Kind::Refuse => tally.refused(&row.pressed, read),
            }
        }
        if show && read[0] != row.pressed && set.kind == Kind::Accept {
            let text = |keys: &[u8]| String::from_utf8_lossy(keys).into_owned();
            eprintln!("{}: {} read as {} ({})", set.name, text(&row.pressed), text(&read[0]), row.said);
        }
    }
    Ok(tallies)
}

fn print(set: &Set, tallies: &[Tally; decoders::COUNT]) {
    let cells: Vec<String> = tallies.iter().map(ToString::to_string).collect();
    println!("| {} | {} | {} | {} |", set.name, tallies[0].pressed, set.bar, cells.join(" | "));
}
