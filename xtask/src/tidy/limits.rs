//! `tidy.toml`: the named exceptions. Each holds its present maximum, which may only go down.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Lines of code in a file before it is warned of.
pub(super) const FILE_LINES_TYPICAL: usize = 400;
/// Lines of code in a file, its inner tests included.
pub(super) const FILE_LINES_MAX: usize = 800;
/// Lines in a function, from `fn` to its closing brace.
pub(super) const FUNCTION_LINES_MAX: usize = 70;
/// The same for tests, which may tell a long story.
pub(super) const TEST_FUNCTION_LINES_MAX: usize = 120;

/// The exceptions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// Files that hold a table or a mapping, and so may be long.
    tables: Vec<String>,
    /// File → lines of code it may have.
    files: BTreeMap<String, usize>,
    /// `file::function` → lines it may have.
    functions: BTreeMap<String, usize>,
    /// Document → lines it may have.
    documents: BTreeMap<String, usize>,
}

impl Limits {
    /// Reads `tidy.toml`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("cannot understand tidy.toml")
    }

    /// Is this file excepted from the sizes of files?
    pub(super) fn is_table(&self, path: &str) -> bool {
        self.tables.iter().any(|table| table == path)
    }

    /// Lines of code that a file may have.
    pub(super) fn file(&self, path: &str) -> usize {
        self.files.get(path).copied().unwrap_or(FILE_LINES_MAX)
    }

    /// Lines that a function may have.
    pub(super) fn function(&self, path: &str, name: &str, in_test: bool) -> usize {
        let usual = if in_test { TEST_FUNCTION_LINES_MAX } else { FUNCTION_LINES_MAX };
        self.functions.get(&function_key(path, name)).copied().unwrap_or(usual)
    }

    /// Lines that a document may have, where it is limited.
    pub(super) fn document(&self, path: &str) -> Option<usize> {
        self.documents.get(path).copied()
    }

    /// The exceptions that are held against their files, to see that they are still needed and not too wide.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, usize)> {
        self.files.iter().map(|(path, lines)| (path.as_str(), *lines))
    }

    /// The same for functions, by `file::function`.
    pub(super) fn functions(&self) -> impl Iterator<Item = (&str, usize)> {
        self.functions.iter().map(|(key, lines)| (key.as_str(), *lines))
    }

    /// All tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(String::as_str)
    }

    /// Exceptions that went up. A new one is for the reviewer to judge.
    pub(super) fn raised_since(&self, old: &Self) -> Vec<String> {
        let kinds = [(&self.files, &old.files), (&self.functions, &old.functions), (&self.documents, &old.documents)];
        let now_and_before = kinds.into_iter().flat_map(|(now, before)| {
            now.iter().filter_map(|(key, lines)| before.get(key).map(|before| (key, *lines, *before)))
        });
        let raised = now_and_before.filter(|(_, lines, before)| lines > before);
        raised.map(|(key, lines, before)| format!("tidy.toml: `{key}` went up from {before} to {lines}")).collect()
    }
}

/// How `tidy.toml` names a function.
pub(super) fn function_key(path: &str, name: &str) -> String {
    format!("{path}::{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(file: usize) -> Limits {
        let text = format!(
            "tables = [\"t.rs\"]\n[files]\n\"a.rs\" = {file}\n[functions]\n\"a.rs::f\" = 90\n[documents]\n\"A.md\" = 9"
        );
        Limits::parse(&text).unwrap()
    }

    #[test]
    fn an_exception_may_go_down_but_not_up() {
        assert!(limits(900).raised_since(&limits(901)).is_empty());
        assert_eq!(limits(901).raised_since(&limits(900)), ["tidy.toml: `a.rs` went up from 900 to 901"]);
    }

    #[test]
    fn what_is_not_named_has_the_usual_limit() {
        let limits = limits(900);
        assert_eq!((limits.file("a.rs"), limits.file("b.rs")), (900, FILE_LINES_MAX));
        assert_eq!((limits.function("a.rs", "f", false), limits.function("a.rs", "g", false)), (90, 70));
        assert_eq!(limits.function("a.rs", "g", true), 120);
        assert!(limits.is_table("t.rs") && !limits.is_table("a.rs"));
    }

    #[test]
    fn unknown_words_in_the_file_are_refused() {
        assert!(Limits::parse("tables = []\n[files]\n[functions]\n[documents]\n[fuctions]").is_err());
    }
}
