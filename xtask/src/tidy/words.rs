//! What no file may hold: leftovers of work, tests switched off, names of the machine it was written on.

use crate::files::TextFile;

/// Anywhere. The parts are joined by the compiler, so that this file passes its own check.
const NOWHERE: [(&str, &str); 4] = [
    (concat!("FIX", "ME"), "finish it, or file an issue"),
    (concat!("/wo", "rk/"), "it names one machine's folder"),
    (concat!(".lib", "rary"), "it names one machine's folder"),
    (concat!("../sha", "red"), "it names a folder outside the project"),
];
/// In Rust.
const NOT_IN_RUST: [(&str, &str); 4] = [
    (concat!("#[ign", "ore"), "a test runs or goes"),
    (concat!("to", "do!("), "finish it"),
    (concat!("unimple", "mented!("), "finish it"),
    (concat!("d", "bg!("), "a leftover"),
];
/// Where tabs and trailing blanks have no meaning of their own.
const PLAIN: [&str; 15] =
    ["rs", "ts", "tsx", "js", "mjs", "css", "html", "toml", "md", "json", "yaml", "yml", "sh", "c", "sql"];
/// Written by tools.
const GENERATED: [&str; 2] = ["Cargo.lock", "package-lock.json"];

/// Is this file written by a tool, so that our habits do not bind it?
pub(super) fn is_generated(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| GENERATED.contains(&name))
}

/// Every breach, with its line.
pub(super) fn breaches(file: &TextFile) -> Vec<String> {
    if is_generated(&file.path) {
        return Vec::new();
    }
    let lines = file.text.lines().zip(1_usize..);
    let found = lines.flat_map(|(line, number)| in_line(file, line).into_iter().map(move |why| (number, why)));
    found.map(|(number, why)| format!("{}:{number}: {why}", file.path)).collect()
}

fn in_line(file: &TextFile, line: &str) -> Vec<String> {
    let rust = if file.extension() == "rs" { NOT_IN_RUST.as_slice() } else { &[] };
    let words = NOWHERE.iter().chain(rust).filter(|(word, _)| line.contains(word));
    let mut found: Vec<String> = words.map(|(word, why)| format!("`{word}`: {why}")).collect();
    if PLAIN.contains(&file.extension()) {
        found.extend(line.contains('\t').then(|| "a tab".to_owned()));
        found.extend(line.ends_with([' ', '\t', '\r']).then(|| "trailing blanks".to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        breaches(&TextFile { path: path.to_owned(), text: text.to_owned() })
    }

    #[test]
    fn leftovers_are_named_with_their_line() {
        for (word, _) in NOWHERE.iter().chain(&NOT_IN_RUST) {
            let found = found("a.rs", &format!("fn a() {{}}\n{word}\n"));
            assert!(found.len() == 1 && found[0].starts_with(&format!("a.rs:2: `{word}`")), "{found:?}");
        }
        assert!(found("a.md", NOT_IN_RUST[1].0).is_empty());
    }

    #[test]
    fn tabs_and_trailing_blanks_are_seen_only_where_they_mean_nothing() {
        assert_eq!(found("a.rs", "\ta\nb \nc\r\nd\n"), ["a.rs:1: a tab", "a.rs:2: trailing blanks"]);
        assert!(found("Makefile", "a:\n\tb \n").is_empty() && found("x/Cargo.lock", "\t").is_empty());
    }
}
