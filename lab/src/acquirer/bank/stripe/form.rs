//! Forms and queries: `a[b]=c&d[0]=e`, percent-encoded.

/// Names and values, in order.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Nothing where it is not one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let read = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        read.collect::<Option<Vec<_>>>().map(Self)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// `metadata[NAME]`.
    pub(super) fn metadata(&self) -> Vec<(String, String)> {
        let inner =
            |name: &str| name.strip_prefix("metadata[").and_then(|name| name.strip_suffix(']')).map(str::to_owned);
        self.0.iter().filter_map(|(name, value)| Some((inner(name)?, value.clone()))).collect()
    }

    /// Is `latest_charge` to be shown whole?
    pub(super) fn expands_charge(&self) -> bool {
        self.0.iter().any(|(name, value)| name.starts_with("expand[") && value.ends_with("latest_charge"))
    }
}

impl Form {
    /// Is what a movement comes from to be shown whole?
    pub(super) fn expands_source(&self) -> bool {
        self.0.iter().any(|(name, value)| name.starts_with("expand[") && value == "data.source")
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let form = Form::parse(b"a%5Bb%5D=1+2%2B&metadata[x]=y&expand[0]=latest_charge&empty=").unwrap();
        assert_eq!(form.text("a[b]"), Some("1 2+"));
        assert_eq!((form.text("empty"), form.expands_charge()), (None, true));
        assert_eq!(form.metadata(), [("x".to_owned(), "y".to_owned())]);
        assert!(Form::parse(b"a=%f").is_none() && Form::parse(b"a=%ff").is_none());
    }
}
