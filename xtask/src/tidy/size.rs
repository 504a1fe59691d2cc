//! Sizes of files and functions held against [`Limits`].

use super::functions::{self, Function};
use super::limits::{FILE_LINES_TYPICAL, Limits, function_key};
use crate::files::TextFile;

/// What has sizes: sources that people write.
const SOURCES: [&str; 7] = ["rs", "ts", "tsx", "js", "mjs", "css", "c"];
const SCRIPTS: [&str; 4] = ["ts", "tsx", "js", "mjs"];

/// Files above the typical size: allowed, yet said.
pub(super) fn warnings(file: &TextFile, limits: &Limits) -> Option<String> {
    let code = counted(file, limits).filter(|_| !is_test(&file.path))?.code;
    (code > FILE_LINES_TYPICAL)
        .then(|| format!("{}: {code} lines of code; {FILE_LINES_TYPICAL} are typical at most", file.path))
}

/// Files, functions and documents above their limit.
pub(super) fn breaches(file: &TextFile, limits: &Limits) -> Vec<String> {
    let max = limits.file(&file.path);
    let all = counted(file, limits).map(|lines| lines.code + lines.tests).filter(|lines| *lines > max);
    let long = all.map(|lines| format!("{}: {lines} lines of code with tests, {max} allowed", file.path));
    let functions = measured(file).into_iter().filter_map(|(function, in_test)| {
        let max = limits.function(&file.path, &function.name, in_test);
        let Function { name, line, lines } = function;
        (lines > max).then(|| format!("{}:{line}: `{name}` has {lines} lines, {max} allowed", file.path))
    });
    let lines = file.text.lines().count();
    let document = limits.document(&file.path).filter(|max| lines > *max);
    let document = document.map(|max| format!("{}: {lines} lines, {max} allowed", file.path));
    long.into_iter().chain(functions).chain(document).collect()
}

/// Exceptions that are no longer true: gone, no longer needed, or more than a tenth too wide.
pub(super) fn stale(files: &[TextFile], limits: &Limits) -> Vec<String> {
    let sized = limits.files().map(|(path, max)| (path, max, longest_of_file(files, path)));
    let functions = limits.functions().map(|(key, max)| (key, max, longest_function(files, key)));
    let exceptions = sized.chain(functions).filter_map(|(key, max, lines)| match lines {
        None => Some(format!("tidy.toml: `{key}` does not exist any more: take it out")),
        Some(lines) if lines * 10 < max * 9 => Some(format!("tidy.toml: lower `{key}` from {max} to {lines}")),
        Some(_) => None,
    });
    let tables = limits.tables().filter(|path| find(files, path).is_none());
    exceptions
        .chain(tables.map(|path| format!("tidy.toml: table `{path}` does not exist any more: take it out")))
        .collect()
}

fn find<'a>(files: &'a [TextFile], path: &str) -> Option<&'a TextFile> {
    files.iter().find(|file| file.path == path)
}

fn longest_of_file(files: &[TextFile], path: &str) -> Option<usize> {
    find(files, path).map(count).map(|lines| lines.code + lines.tests)
}

/// Two functions of a file may share a name (in two `impl`s); the exception is then for the longer.
fn longest_function(files: &[TextFile], key: &str) -> Option<usize> {
    let file = files.iter().find(|file| key.strip_prefix(&file.path).is_some_and(|rest| rest.starts_with("::")))?;
    let named = measured(file).into_iter().filter(|(function, _)| function_key(&file.path, &function.name) == key);
    named.map(|(function, _)| function.lines).max()
}

/// Lines that are neither blank nor a comment.
struct Lines {
    code: usize,
    tests: usize,
}

fn counted(file: &TextFile, limits: &Limits) -> Option<Lines> {
    let counts = SOURCES.contains(&file.extension()) && !limits.is_table(&file.path);
    counts.then(|| count(file))
}

fn count(file: &TextFile) -> Lines {
    let tests = if file.extension() == "rs" { functions::test_lines(&file.text) } else { Vec::new() };
    let mut lines = Lines { code: 0, tests: 0 };
    for (line, number) in file.text.lines().zip(1_usize..) {
        let place = if tests.iter().any(|range| range.contains(&number)) { &mut lines.tests } else { &mut lines.code };
        *place += usize::from(is_code(line.trim()));
    }
    lines
}

fn is_code(line: &str) -> bool {
    const COMMENTS: [&str; 3] = ["//", "/*", "* "];
    !line.is_empty() && line != "*/" && line != "*" && !COMMENTS.iter().any(|begin| line.starts_with(begin))
}

/// All functions of a file, each with whether it is a test's.
fn measured(file: &TextFile) -> Vec<(Function, bool)> {
    let (functions, tests) = match file.extension() {
        "rs" => (functions::rust(&file.text), functions::test_lines(&file.text)),
        script if SCRIPTS.contains(&script) => (functions::script(&file.text), Vec::new()),
        _ => return Vec::new(),
    };
    let whole = is_test(&file.path);
    let in_test = |line| whole || tests.iter().any(|range| range.contains(&line));
    functions
        .into_iter()
        .map(|function| {
            let test = in_test(function.line);
            (function, test)
        })
        .collect()
}

/// Is the whole file there for tests?
fn is_test(path: &str) -> bool {
    const FOLDERS: [&str; 3] = ["tests", "e2e", "benches"];
    path.split('/').any(|folder| FOLDERS.contains(&folder)) || path.contains(".test.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(exceptions: &str) -> Limits {
        Limits::parse(&format!("tables = [\"t.rs\"]\n{exceptions}\n[documents]\n\"A.md\" = 2")).unwrap()
    }

    fn usual() -> Limits {
        limits("[files]\n[functions]")
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    work();\n".repeat(lines - 2))
    }

    fn file(path: &str, text: String) -> TextFile {
        TextFile { path: path.to_owned(), text }
    }

    #[test]
    fn a_function_of_71_lines_is_named_and_one_of_70_is_not() {
        assert!(breaches(&file("a.rs", function(70)), &usual()).is_empty());
        assert_eq!(breaches(&file("a.rs", function(71)), &usual()), ["a.rs:1: `long` has 71 lines, 70 allowed"]);
    }

    #[test]
    fn a_test_may_have_120_lines() {
        let inner =
            format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(120).replace("\n}", "\n }").replace("fn", " fn"));
        assert!(breaches(&file("a.rs", inner), &usual()).is_empty());
        assert!(breaches(&file("a/tests/b.rs", function(120)), &usual()).is_empty());
        assert_eq!(breaches(&file("a/tests/b.rs", function(121)), &usual()).len(), 1);
    }

    #[test]
    fn long_files_are_warned_of_then_refused_and_tables_are_not() {
        let lines = |count| "a();\n".repeat(count) + "\n// why\n";
        assert!(warnings(&file("a.rs", lines(400)), &usual()).is_none());
        assert!(warnings(&file("a.rs", lines(401)), &usual()).is_some());
        assert!(breaches(&file("a.rs", lines(800)), &usual()).is_empty());
        assert_eq!(breaches(&file("a.ts", lines(801)), &usual()), ["a.ts: 801 lines of code with tests, 800 allowed"]);
        assert!(breaches(&file("t.rs", lines(801)), &usual()).is_empty());
        assert_eq!(breaches(&file("A.md", lines(1)), &usual()), ["A.md: 3 lines, 2 allowed"]);
    }

    #[test]
    fn exceptions_hold_until_they_are_too_wide_or_gone() {
        let limits = limits("[files]\n\"gone.rs\" = 900\n[functions]\n\"a.rs::long\" = 100");
        let table = || file("t.rs", String::new());
        assert!(breaches(&file("a.rs", function(100)), &limits).is_empty());
        let gone = "tidy.toml: `gone.rs` does not exist any more: take it out";
        assert_eq!(stale(&[file("a.rs", function(90)), table()], &limits), [gone]);
        let lower = "tidy.toml: lower `a.rs::long` from 100 to 89";
        assert_eq!(stale(&[file("a.rs", function(89)), table()], &limits), [gone, lower]);
    }
}
