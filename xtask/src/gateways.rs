//! Other people's gateways of npm, which the adapters are tested before. Those of PyPI are with the other wheels.

use std::path::Path;

use anyhow::Result;

use crate::run::Tool;
use crate::web::changed_since;

const FOLDER: &str = "lab/tests/gateways";

/// Installs what the lock file names, unless it stands.
pub(crate) fn install(root: &Path) -> Result<()> {
    let folder = root.join(FOLDER);
    if changed_since(&folder, &["package-lock.json", ".npmrc"], "node_modules/.package-lock.json")? {
        return Tool::new("npm", &folder).args(["ci", "--no-audit", "--no-fund"]).run();
    }
    println!("other people's gateways: as the lock file says");
    Ok(())
}
