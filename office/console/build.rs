//! Makes the folder of the web bundle when nobody has built it yet, so that embedding it never fails, and has the
//! crate built again when the bundle changes.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let bundle = Path::new("../web/dist");
    std::fs::create_dir_all(bundle)?;
    println!("cargo:rerun-if-changed={}", bundle.display());
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
