//! License expressions (SPDX 2.3 annex D), as far as packages use them: `OR`, `AND`, `WITH`, parentheses, and the
//! old `/` for `OR`.

/// Is there a way to take this license that needs only allowed ones? An expression that cannot be read is not allowed.
pub(super) fn is_allowed(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    reader.either(DEPTH_MAX) == Some(true) && reader.words.is_empty()
}

/// Parentheses in parentheses: deeper is taken for malformed.
const DEPTH_MAX: usize = 16;

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }

    fn either(&mut self, depth: usize) -> Option<bool> {
        let mut result = self.both(depth)?;
        while self.take("OR") {
            result |= self.both(depth)?;
        }
        Some(result)
    }

    fn both(&mut self, depth: usize) -> Option<bool> {
        let mut result = self.one(depth)?;
        while self.take("AND") {
            result &= self.one(depth)?;
        }
        Some(result)
    }

    fn one(&mut self, depth: usize) -> Option<bool> {
        if self.take("(") {
            let result = self.either(depth.checked_sub(1)?)?;
            return self.take(")").then_some(result);
        }
        let license = self.name()?;
        if self.take("WITH") {
            let exception = self.name()?;
            return Some((self.allowed)(&format!("{license} WITH {exception}")));
        }
        Some((self.allowed)(license))
    }

    fn name(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        (!["OR", "AND", "WITH", "(", ")"].contains(first)).then_some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(expression: &str) -> bool {
        is_allowed(expression, &|license| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&license))
    }

    #[test]
    fn one_allowed_way_is_enough_and_every_part_of_it_counts() {
        assert!(allowed("MIT") && allowed("GPL-3.0-only OR MIT") && allowed("GPL-3.0-only/MIT"));
        assert!(allowed("(GPL-2.0-only OR ISC) AND MIT") && allowed("Apache-2.0 WITH LLVM-exception"));
        assert!(!allowed("GPL-3.0-only") && !allowed("GPL-3.0-only AND MIT"));
        assert!(!allowed("MIT AND (GPL-2.0-only OR GPL-3.0-only)") && !allowed("Apache-2.0"));
    }

    #[test]
    fn what_cannot_be_read_is_not_allowed() {
        for malformed in ["", "MIT OR", "(MIT", "MIT)", "MIT MIT", "OR", &"(".repeat(100)] {
            assert!(!allowed(malformed), "{malformed}");
        }
    }
}
