//! Text with places for what is known of a call. What is put there is escaped for where it stands: a name that came with a call
//! never becomes anything but a value.

use std::fmt::Write;

/// What may be put in.
pub(crate) const NAMES: [&str; 7] = ["event", "id", "call", "agent", "customer_call", "caller_leg", "agent_leg"];

/// One text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
    escape: Escape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    Percent,
    Json,
}

/// A value that the text needs is not known, or is one that must not stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing;

impl Template {
    /// Values are percent-encoded (RFC 3986 §2.1).
    pub(crate) fn in_url(text: &str) -> Result<Self, String> {
        Ok(Self { parts: parts(text)?, escape: Escape::Percent })
    }

    /// As in a URL: what forms send.
    pub(crate) fn in_form(text: &str) -> Result<Self, String> {
        Self::in_url(text)
    }

    /// Values stand within quotes that the text has.
    pub(crate) fn in_json(text: &str) -> Result<Self, String> {
        let template = Self { parts: json_parts(text), escape: Escape::Json };
        let sample = template.filled_with("a");
        let found: Result<serde_json::Value, _> = serde_json::from_str(&sample);
        if found.is_err() {
            return Err(format!(
                "with values put in it is no JSON: values stand within quotes, and are {}",
                NAMES.map(|name| format!("{{{name}}}")).join(", ")
            ));
        }
        let unknown = NAMES.iter().fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), ""));
        match placeholder(&unknown) {
            Some(name) => Err(unknown_name(&name)),
            None => Ok(template),
        }
    }

    /// Does it say any of these?
    pub(crate) fn says(&self, names: &[&str]) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Value(name) if names.contains(name)))
    }

    /// With this everywhere.
    pub(crate) fn filled_with(&self, value: &str) -> String {
        self.fill(|_| Some(value.to_owned())).unwrap_or_default()
    }

    /// With what `value` knows by that name.
    pub(crate) fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Result<String, Missing> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Value(name) => {
                    let value = value(name).filter(|value| !value.is_empty()).ok_or(Missing)?;
                    // As a segment of a path these lead elsewhere (RFC 3986 §5.2.4), even percent-encoded.
                    if value.bytes().all(|byte| byte == b'.') {
                        return Err(Missing);
                    }
                    filled.push_str(&escaped(self.escape, &value));
                }
            }
        }
        Ok(filled)
    }
}

fn escaped(escape: Escape, value: &str) -> String {
    match escape {
        Escape::Percent => {
            let mut text = String::new();
            for byte in value.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    // Writing to a `String` cannot fail.
                    let _ = write!(text, "%{byte:02X}");
                }
            }
            text
        }
        Escape::Json => {
            let quoted = serde_json::Value::String(value.to_owned()).to_string();
            quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned()
        }
    }
}

fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').ok_or("a { without its }")?;
        let name = NAMES.into_iter().find(|known| *known == name).ok_or_else(|| unknown_name(name))?;
        parts.extend([Part::Text(before.to_owned()), Part::Value(name)]);
        rest = behind;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

/// JSON has braces of its own, so only the known names are places.
fn json_parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let found = NAMES.into_iter().filter_map(|name| Some((rest.find(&format!("{{{name}}}"))?, name))).min();
        let Some((at, name)) = found else { break };
        parts.extend([Part::Text(rest.get(..at).unwrap_or_default().to_owned()), Part::Value(name)]);
        rest = rest.get(at + name.len() + 2..).unwrap_or_default();
    }
    parts.push(Part::Text(rest.to_owned()));
    parts
}

/// Something in braces that is no JSON but looks like a place.
fn placeholder(text: &str) -> Option<String> {
    let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    text.split('{')
        .skip(1)
        .filter_map(|after| after.split_once('}'))
        .map(|(name, _)| name)
        .find(is_name)
        .map(str::to_owned)
}

fn unknown_name(name: &str) -> String {
    format!("{{{name}}} is not known: expected {}", NAMES.map(|name| format!("{{{name}}}")).join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &Template, customer: Option<&str>) -> Result<String, Missing> {
        template.fill(|name| match name {
            "event" => Some("pause".to_owned()),
            "customer_call" => customer.map(str::to_owned),
            _ => None,
        })
    }

    #[test]
    fn a_value_stays_a_value_wherever_it_stands() {
        let url = Template::in_url("https://r.example/calls/{customer_call}/rec?e={event}").unwrap();
        assert_eq!(fill(&url, Some("a-1_2.3")).unwrap(), "https://r.example/calls/a-1_2.3/rec?e=pause");
        let odd = fill(&url, Some("../x?y=1&z#%2f@h")).unwrap();
        assert_eq!(odd, "https://r.example/calls/..%2Fx%3Fy%3D1%26z%23%252f%40h/rec?e=pause");
        let parsed: reqwest::Url = odd.parse().unwrap();
        assert_eq!((parsed.host_str(), parsed.path_segments().unwrap().count()), (Some("r.example"), 3));
        for dots in [".", "..", "..."] {
            assert_eq!(fill(&url, Some(dots)), Err(Missing), "it would be another place");
        }
        assert_eq!(fill(&url, None), Err(Missing));
        let json = Template::in_json("{\"id\": \"{customer_call}\", \"state\": {\"now\": \"{event}\"}}").unwrap();
        let body = fill(&json, Some("a\"},\\\"b")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((value["id"].as_str(), value["state"]["now"].as_str()), (Some("a\"},\\\"b"), Some("pause")));
    }

    #[test]
    fn an_unknown_name_and_what_is_no_json_are_refused() {
        assert!(Template::in_url("https://r.example/{card}").unwrap_err().contains("{card}"));
        assert!(Template::in_url("https://r.example/{call").unwrap_err().contains("without its"));
        assert!(Template::in_json("{\"a\": \"{card}\"}").unwrap_err().contains("{card}"));
        assert!(Template::in_json("{\"a\": {event}}").unwrap_err().contains("no JSON"));
        assert!(Template::in_json("{\"a\": {}}").is_ok());
    }
}
