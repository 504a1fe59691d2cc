//! `cargo xtask demo`: from a fresh checkout to a running demo.

use std::path::Path;

use anyhow::Result;

use crate::metadata;
use crate::run::Tool;
use crate::{setup, web};

/// Builds what is stale and becomes `tonewall demo`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    setup::for_demo(root)?;
    web::install(root)?;
    web::build(root)?;
    Tool::cargo(root).args(["build", "--package", "tonewall"]).run()?;
    let binary = metadata::ours(root)?.target_directory.join("debug/tonewall");
    Tool::new(&binary.to_string_lossy(), root).args(["demo"]).args(arguments).become_it()
}
