//! Stores stand behind traits: the database's own words stand in the folders of an implementation, and nowhere else.

use crate::files::TextFile;

/// How a path into the database's library begins. Not written whole, so that this file passes its own check.
const WORD: &str = concat!("sql", "x::");

/// How a statement begins, as text. The same holds for it: a rule that is told as one is a rule of that database.
const STATEMENTS: &[&str] =
    &[concat!("\"SEL", "ECT "), concat!("\"INS", "ERT INTO "), concat!("\"UPD", "ATE "), concat!("\"DEL", "ETE FROM ")];

/// Where implementations stand: files, and folders with the slash. A crate that is not here has no database.
const WITHIN: &[&str] = &[
    "office/console/src/store/sqlite.rs",
    "office/console/src/store/sqlite/",
    "cde/node/src/journal.rs",
    "cde/node/src/journal/",
    "cde/node/src/custody/",
];

/// Lines of code outside of an implementation that name the database's library, or begin a statement.
pub(super) fn breaches(files: &[TextFile]) -> Vec<String> {
    let checked = files.iter().filter(|file| file.extension() == "rs" && !may_name_it(&file.path));
    let lines = checked.flat_map(|file| file.text.lines().zip(1_usize..).map(move |line| (file, line)));
    let hits = lines.filter_map(|(file, (line, number))| Some((file, number, named(line)?)));
    hits.map(|(file, number, what)| {
        format!("{}:{number}: `{what}` outside of a store's implementation: ask the trait", file.path)
    })
    .collect()
}

/// What of a database a line of code names.
fn named(line: &str) -> Option<&'static str> {
    let code = line.split("//").next()?;
    std::iter::once(&WORD).chain(STATEMENTS).find(|what| code.contains(**what)).copied()
}

/// A test may look at a file as another program does.
fn may_name_it(path: &str) -> bool {
    let is_within = |within: &&str| if within.ends_with('/') { path.starts_with(*within) } else { path == *within };
    path.ends_with("/tests.rs") || path.contains("/tests/") || WITHIN.iter().any(is_within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        breaches(&[TextFile { path: path.to_owned(), text: text.replace("WORD", WORD) }])
    }

    #[test]
    fn the_database_is_named_by_its_implementations_alone() {
        for path in ["office/console/src/http/session.rs", "office/console/src/store/users.rs", "lab/src/a.rs"] {
            assert_eq!(found(path, "use std::io;\nuse WORDRow;").len(), 1, "{path}");
        }
        for path in ["office/console/src/store/sqlite/users.rs", "cde/node/src/custody/records.rs"] {
            assert!(found(path, "use WORDRow;").is_empty(), "{path}");
        }
        assert!(found("office/console/src/app.rs", "// WORDRow is named in words").is_empty());
        assert!(!found("office/console/src/store/sqlite_like.rs", "WORDquery(\"\")").is_empty());
    }

    /// SQL stood there, beside the rules that it followed.
    #[test]
    fn rules_of_recurring_payments_are_told_without_a_database() {
        for path in
            ["recurring.rs", "recurring/jobs.rs", "recurring/late.rs", "recurring/waiting.rs", "recurring/new.rs"]
        {
            let path = format!("office/console/src/{path}");
            assert_eq!(found(&path, "use WORDRow;").len(), 1, "{path}");
            for statement in STATEMENTS {
                assert_eq!(
                    found(&path, &format!("const NEXT: &str = {statement}x\";")).len(),
                    1,
                    "{path}: {statement}"
                );
            }
            assert!(found(&path, "/// SELECT is a word.\nlet select = \"select one\";").is_empty());
        }
        assert!(found("office/console/src/store/sqlite/recurring/due.rs", "use WORDRow;").is_empty());
    }
}
