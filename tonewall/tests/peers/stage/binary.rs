//! Which build is tested.

use anyhow::bail;
use std::path::PathBuf;

/// The product.
pub fn normal() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_tonewall"))
}

/// The build whose masking is off, in which every leak check must fail.
pub fn masking_off() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os("TONEWALL_CONTROL_BINARY").map(PathBuf::from);
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/control/debug/tonewall");
    let path = named.unwrap_or_else(|| PathBuf::from(usual));
    if !path.is_file() {
        bail!(
            "the control build is missing ({}). Make it with\n  \
             cargo build -p tonewall --features masking-off-control --target-dir target/control\n\
             or name another one in TONEWALL_CONTROL_BINARY",
            path.display()
        );
    }
    Ok(path)
}
