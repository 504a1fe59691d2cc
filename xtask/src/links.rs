//! `cargo xtask links`: every relative link of every Markdown file leads somewhere, to the heading it names.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::files::{self, TextFile};
use crate::run::report;

/// Checks all Markdown files.
pub(crate) fn run(root: &Path) -> Result<()> {
    let texts = files::texts(root)?;
    let exists = |path: &str| root.join(path).exists();
    let pages = texts.iter().filter(|file| file.extension() == "md");
    let findings: Vec<String> = pages.flat_map(|page| dead(page, &texts, &exists)).collect();
    report("links", &findings)
}

/// The dead links of one page.
fn dead(page: &TextFile, texts: &[TextFile], exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in prose(&page.text) {
        for target in targets(line).into_iter().filter(|target| is_relative(target)) {
            if let Some(why) = is_dead(page, target, texts, exists) {
                findings.push(format!("{}:{number}: `{target}` {why}", page.path));
            }
        }
    }
    findings
}

/// Lines outside fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1_usize..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What stands behind `](…)`, and behind `[name]: …` at the beginning of a line.
fn targets(line: &str) -> Vec<&str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
    inline.chain(defined).collect()
}

fn is_relative(target: &str) -> bool {
    !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")
}

fn is_dead(page: &TextFile, target: &str, texts: &[TextFile], exists: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { Some(page.path.clone()) } else { resolve(&page.path, path) };
    let Some(path) = path else { return Some("leads out of the project") };
    if !exists(&path) {
        return Some("does not exist");
    }
    let other = texts.iter().find(|file| file.path == path && file.extension() == "md")?;
    let known = heading.is_empty() || headings(&other.text).contains(heading);
    (!known).then_some("names a heading that does not exist")
}

/// A path relative to a page's folder, as one relative to the root; `None` when it leads out of it.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    if target.starts_with('/') {
        parts.clear();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors that a forge makes of headings: lower case, blanks to dashes, punctuation gone.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).filter(|(_, line)| line.starts_with('#'));
    let anchor = |title: &str| {
        let kept = title.trim_matches(['#', ' ']).chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    titles.map(|(_, title)| anchor(title)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead_in(text: &str) -> Vec<String> {
        let page = |path: &str, text: &str| TextFile { path: path.to_owned(), text: text.to_owned() };
        let texts = [page("docs/a.md", text), page("B.md", "# Two words: \"here\"\n```\n# not one\n```\n")];
        let exists = |path: &str| ["docs/a.md", "B.md", "docs/deep"].contains(&path);
        dead(&texts[0], &texts, &exists)
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "# Top\n[a](../B.md), [b](../B.md#two-words-here) [c](deep/ \"title\") [d](#top) [e](/B.md)\n\
                    [f](https://example.com/x.md)\n```\n[g](gone.md)\n```\n[h]: ../B.md\n";
        assert_eq!(dead_in(text), Vec::<String>::new());
    }

    #[test]
    fn dead_links_are_named_with_their_line() {
        let found = dead_in("[a](gone.md)\n[b](../B.md#not-one)\n[c](../../B.md)\n[d]: gone.md\n");
        assert_eq!(
            found,
            [
                "docs/a.md:1: `gone.md` does not exist",
                "docs/a.md:2: `../B.md#not-one` names a heading that does not exist",
                "docs/a.md:3: `../../B.md` leads out of the project",
                "docs/a.md:4: `gone.md` does not exist",
            ]
        );
    }
}
