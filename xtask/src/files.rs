//! The project's files: tracked by git, or new and not ignored.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::run::Tool;

/// A text file of the project.
pub(crate) struct TextFile {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl TextFile {
    /// The part after the last dot of the name, or nothing.
    pub(crate) fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// All text files, sorted by path. What is not UTF-8 or holds a NUL (images, recordings) is left out.
pub(crate) fn texts(root: &Path) -> Result<Vec<TextFile>> {
    let list = Tool::new("git", root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .stdout()?;
    let mut paths: Vec<&str> = list.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    let mut texts = Vec::new();
    for path in paths {
        texts.extend(text(root, path)?);
    }
    Ok(texts)
}

fn text(root: &Path, path: &str) -> Result<Option<TextFile>> {
    let whole = root.join(path);
    // A tracked file may have been deleted and not yet committed; a link is checked where it points to.
    if !fs::symlink_metadata(&whole).is_ok_and(|data| data.is_file()) {
        return Ok(None);
    }
    let bytes = fs::read(&whole).with_context(|| format!("cannot read {path}"))?;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    Ok(text.map(|text| TextFile { path: path.to_owned(), text }))
}
