//! Makes the folder of the telephone's page when nobody has built it yet, so that embedding it never fails, and has the
//! crate built again when the page changes.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let page = Path::new("../office/web/dist-caller");
    std::fs::create_dir_all(page)?;
    println!("cargo:rerun-if-changed={}", page.display());
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
