//! A temporary folder that stays when its test fails.

use anyhow::Context;
use std::path::{Path, PathBuf};

pub struct Folder {
    path: PathBuf,
    passed: std::cell::Cell<bool>,
}

impl Folder {
    /// Readable by everybody: what must not be readable by everybody has rights of its own.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("tonewall-test-{name}-{}", std::process::id()));
        // What a test of the same process id left behind.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        for part in ["cde-data", "office-data"] {
            std::fs::create_dir(path.join(part))?;
        }
        Ok(Self { path, passed: std::cell::Cell::new(false) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// It goes when this is dropped.
    pub fn forget(&self) {
        self.passed.set(true);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.passed.get() {
            let _ = std::fs::remove_dir_all(&self.path);
        } else {
            eprintln!("what is left of the test: {}", self.path.display());
        }
    }
}
