//! `unsafe` stands in two small crates, and every other crate carries the workspace's lints, which forbid it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::graph::Member;
use super::table::UNSAFE_CRATES;
use crate::files::TextFile;

/// The word we look for. Not written whole anywhere here, so that this file passes its own check.
const WORD: &str = concat!("uns", "afe");

/// Does every crate carry the workspace's lints, and do these forbid what they should?
pub(super) fn lints(root: &Path, members: &[Member]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    if value(&read(root, "")?, &["workspace", "lints", "rust", "unsafe_code"]).and_then(Value::as_str) != Some("forbid")
    {
        findings.push("Cargo.toml: [workspace.lints.rust] must say unsafe_code = \"forbid\"".to_owned());
    }
    for member in members.iter().filter(|member| !UNSAFE_CRATES.contains(&member.folder.as_str())) {
        let manifest = read(root, &member.folder)?;
        if value(&manifest, &["lints", "workspace"]).and_then(Value::as_bool) != Some(true) {
            findings.push(format!("`{}` does not carry the lints: [lints] workspace = true", member.name));
        }
    }
    Ok(findings)
}

fn read(root: &Path, folder: &str) -> Result<Table> {
    let path = root.join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse().with_context(|| format!("cannot parse {}", path.display()))
}

fn value<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(*key))
}

/// Rust files outside the two crates that use the word as code.
pub(super) fn sources(files: &[TextFile]) -> Vec<String> {
    let checked = files.iter().filter(|file| file.extension() == "rs" && !may_hold_it(&file.path));
    let lines =
        checked.flat_map(|file| file.text.lines().zip(1_usize..).map(move |(line, number)| (file, number, line)));
    let hits = lines.filter(|(.., line)| uses_it(line));
    hits.map(|(file, number, _)| format!("{}:{number}: `{WORD}` outside {}", file.path, UNSAFE_CRATES.join(" and ")))
        .collect()
}

fn may_hold_it(path: &str) -> bool {
    UNSAFE_CRATES.iter().any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

/// As code the word is followed by a block, an item or, in an attribute, a parenthesis.
fn uses_it(line: &str) -> bool {
    const AFTER: [&str; 6] = [" {", " fn", " impl", " trait", " extern", "("];
    let code = line.split("//").next().unwrap_or_default();
    let mut rests = code.split(WORD).skip(1);
    rests.any(|rest| AFTER.iter().any(|after| rest.starts_with(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: String) -> TextFile {
        TextFile { path: path.to_owned(), text }
    }

    #[test]
    fn the_word_as_code_is_found_and_in_comments_or_names_it_is_not() {
        for code in ["    WORD { a() }", "pub WORD fn f() {}", "WORD impl Send for X {}", "#[WORD(no_mangle)]"] {
            assert!(uses_it(&code.replace("WORD", WORD)), "{code}");
        }
        for code in ["// WORD { }", "WORD_code = \"forbid\"", "let a = \"WORD\";"] {
            assert!(!uses_it(&code.replace("WORD", WORD)), "{code}");
        }
    }

    #[test]
    fn only_the_two_crates_may_hold_it() {
        let text = format!("fn f() {{\n    {WORD} {{ g() }}\n}}\n");
        assert!(sources(&[file("cde/memory/src/arena.rs", text.clone())]).is_empty());
        let found = sources(&[file("cde/memory2/src/lib.rs", text.clone()), file("wire/src/lib.rs", text)]);
        assert_eq!(found.len(), 2);
        assert!(found[1].starts_with("wire/src/lib.rs:2: "), "{found:?}");
    }
}
