//! The weights as a file of source.

use super::net::{Linear, Net};
use media::Hold;
use std::fmt::Write;
use std::path::Path;

/// Writes the file, with the recipe's seed and a checksum of all numbers.
pub(crate) fn weights(
    to: &Path,
    hold: Hold,
    net: &Net,
    sieve: &Linear,
    bias: f32,
    seed: u64,
    teachers: &[&str],
) -> anyhow::Result<()> {
    let mut text = String::new();
    let hidden: Vec<f32> = net.hidden.iter().flatten().copied().collect();
    let all = hidden.iter().chain(&net.hidden_bias).chain(&net.output).chain([&net.output_bias]);
    let all = all.chain(&sieve.weights).chain([&bias]);
    let checksum = all.fold(0xcbf2_9ce4_8422_2325_u64, |sum, value| {
        value
            .to_bits()
            .to_le_bytes()
            .iter()
            .fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    });
    writeln!(
        text,
        "//! What the gate was taught. Written by `cargo xtask train-gate` with the seed {seed}; do not edit."
    )?;
    writeln!(text, "//!")?;
    if hold == Hold::Ms12 {
        writeln!(text, "//! For a hold of 12 ms.\n//!")?;
    }
    writeln!(text, "//! Teachers: {}.", teachers.join(", "))?;
    writeln!(
        text,
        "#![cfg_attr(rustfmt, rustfmt_skip)]\n#![allow(clippy::unreadable_literal, clippy::excessive_precision, reason = \"numbers of a machine\")]\n"
    )?;
    writeln!(text, "use super::net::{{Net, Sieve}};\n")?;
    writeln!(text, "/// FNV-1a over the bits of all numbers below, in their order, little-endian.")?;
    writeln!(text, "#[cfg(test)]\npub(super) const CHECKSUM: u64 = {checksum:#018x};\n")?;
    writeln!(text, "pub(super) static NET: Net = Net {{\n    hidden: [")?;
    for weights in &net.hidden {
        writeln!(text, "        {},", list(weights))?;
    }
    writeln!(text, "    ],\n    hidden_bias: {},", list(&net.hidden_bias))?;
    writeln!(text, "    output: {},\n    output_bias: {:?},\n}};\n", list(&net.output), net.output_bias)?;
    writeln!(
        text,
        "pub(super) static SIEVE: Sieve = Sieve {{\n    weights: {},\n    bias: {bias:?},\n}};",
        list(&sieve.weights)
    )?;
    std::fs::write(to, text)?;
    println!("written: {}", to.display());
    Ok(())
}

fn list(values: &[f32]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("[{}]", values.join(", "))
}
