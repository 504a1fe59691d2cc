//! Which natural mask is tried.

use media::gate::Gate;
use media::natural::Natural;
use media::{Codec, Hold};

/// The published one, if nothing else is said.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Mask {
    /// Milliseconds that the caller's sound is held: 20, 12 or 40.
    #[arg(long, default_value = "20", value_parser = hold)]
    pub(crate) hold: Hold,
    /// Another threshold than the published one, to draw the curve. Bars are not checked then.
    #[arg(long)]
    pub(crate) threshold: Option<f32>,
}

impl Mask {
    /// That of a caller with this codec.
    pub(crate) fn of(self, codec: Codec) -> Self {
        Self { hold: self.hold.of(codec), ..self }
    }

    pub(crate) fn natural(self) -> Natural {
        let mut gate = Gate::new(self.hold);
        if let Some(threshold) = self.threshold {
            gate = gate.with_threshold(threshold);
        }
        Natural::with_gate(self.hold, gate)
    }
}

fn hold(milliseconds: &str) -> Result<Hold, &'static str> {
    match milliseconds {
        "20" => Ok(Hold::Ms20),
        "12" => Ok(Hold::Ms12),
        "40" => Ok(Hold::Ms40),
        _ => Err("20, 12 or 40"),
    }
}
