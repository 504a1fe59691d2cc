//! Where functions begin and end. The sources are formatted, so a function ends at the first lone brace with the
//! indentation of its beginning: no parser is needed.

/// A function found in a source.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// The line it begins at, from 1.
    pub(super) line: usize,
    /// Lines from its beginning to its closing brace.
    pub(super) lines: usize,
}

/// All functions of a Rust source that have a body of more than one line.
pub(super) fn rust(text: &str) -> Vec<Function> {
    find(text, rust_name, &["}"])
}

/// All `function`s of a TypeScript or JavaScript source, and arrow functions given to a `const`.
pub(super) fn script(text: &str) -> Vec<Function> {
    find(text, script_name, &["}", "};"])
}

fn find(text: &str, name: fn(&str) -> Option<&str>, ends: &[&str]) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let begin = |(index, line): (usize, &&str)| {
        let name = name(line.trim_start())?.to_owned();
        let rest = lines.get(index..)?;
        length(rest, indent(line), ends).map(|lines| Function { name, line: index + 1, lines })
    };
    lines.iter().enumerate().filter_map(begin).collect()
}

/// Lines up to the closing brace; `None` for a declaration without a body and for a body on the same line.
fn length(lines: &[&str], indentation: usize, ends: &[&str]) -> Option<usize> {
    let first = lines.first()?.trim_end();
    if first.ends_with(';') || first.ends_with('}') {
        return None;
    }
    for (line, count) in lines.iter().zip(1_usize..).skip(1) {
        let outer = !line.trim().is_empty() && indent(line) <= indentation;
        if outer && ends.contains(&line.trim()) {
            return Some(count);
        }
        // The last line of a declaration that took several.
        if outer && line.trim_end().ends_with(';') {
            return None;
        }
    }
    None
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn rust_name(line: &str) -> Option<&str> {
    const BEFORE: [&str; 5] = ["const", "async", concat!("uns", "afe"), "extern", "\"C\""];
    let mut words = line.split_whitespace();
    let word = words.find(|word| !BEFORE.contains(word) && !word.starts_with("pub"))?;
    if word != "fn" {
        return None;
    }
    words.next().map(identifier).filter(|name| !name.is_empty())
}

fn script_name(line: &str) -> Option<&str> {
    const BEFORE: [&str; 3] = ["export", "default", "async"];
    let mut words = line.split_whitespace();
    let word = words.find(|word| !BEFORE.contains(word))?;
    let arrow = word == "const" && line.trim_end().ends_with("=> {");
    if word != "function" && !arrow {
        return None;
    }
    words.next().map(identifier).filter(|name| !name.is_empty())
}

/// The leading part of a word that is a name.
fn identifier(word: &str) -> &str {
    let end = word.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(word.len());
    word.get(..end).unwrap_or_default()
}

/// The lines (from 1) of the inner test modules of a Rust source: `#[cfg(test)]`, then `mod … {` up to its brace.
pub(super) fn test_lines(text: &str) -> Vec<std::ops::RangeInclusive<usize>> {
    let mut ranges = Vec::new();
    let mut begin = None;
    let mut attribute = false;
    for (line, number) in text.lines().zip(1_usize..) {
        if begin.is_none() && attribute && line.starts_with("mod ") && line.ends_with('{') {
            begin = Some(number);
        }
        // Further attributes may stand between the two.
        attribute = line == "#[cfg(test)]" || (attribute && line.starts_with(['#', ' ', ')']));
        if line == "}"
            && let Some(begin) = begin.take()
        {
            ranges.push(begin..=number);
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(functions: &[Function]) -> Vec<(&str, usize, usize)> {
        functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect()
    }

    #[test]
    fn functions_are_measured_from_their_first_line_to_their_brace() {
        let text = "pub(crate) const fn a<T>(\n    x: T,\n) -> u8\nwhere\n    T: Copy,\n{\n    if y {\n    }\n}\n\n\
                    impl A {\n    async fn b() {\n        c()\n    }\n    fn d() {}\n}\n";
        assert_eq!(found(&rust(text)), [("a", 1, 9), ("b", 12, 3)]);
    }

    #[test]
    fn declarations_are_no_functions() {
        let text =
            "trait A {\n    fn a(\n        x: u8,\n    ) -> u8;\n    fn b();\n    fn c() {\n        1\n    }\n}\n";
        assert_eq!(found(&rust(text)), [("c", 6, 3)]);
    }

    #[test]
    fn script_functions_with_taken_apart_arguments_are_measured_whole() {
        let text = "export function A({\n  x,\n}: Props) {\n  return x;\n}\n\nconst b = () => {\n  c();\n};\n";
        assert_eq!(found(&script(text)), [("A", 1, 5), ("b", 7, 3)]);
    }

    #[test]
    fn inner_tests_are_found_also_behind_further_attributes() {
        let text =
            "fn a() {\n}\n#[cfg(test)]\n#[expect(\n    x\n)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {\n}\n";
        assert_eq!(test_lines(text), [7..=10]);
    }
}
