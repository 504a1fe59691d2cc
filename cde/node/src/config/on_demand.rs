//! `on_demand` of a `[[trunk]]`.

use super::hook::{self, RecorderHook};
use call::config as calls;
use serde::Deserialize;

/// Patterns of extensions.
const EXTENSIONS_MAX: usize = 256;

/// `on_demand` of a `[[trunk]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnDemand {
    /// The extensions of its agents; an `x` is any digit. Nobody else is called back, and none of them is a caller.
    pub extensions: Vec<String>,
    /// What codes that are dialed by keys begin with.
    #[serde(default)]
    pub number: Option<String>,
    /// The keys of callers who are transferred pass through it.
    #[serde(default = "yes")]
    pub keys_cross_pbx: bool,
    /// Callers may be extensions of its agents: for trials.
    #[serde(default)]
    pub internal_callers: bool,
    /// It transfers attended calls by INVITE with Replaces: agents may call the code first.
    #[serde(default)]
    pub attended: bool,
    /// Its agents may add us to conferences, in which they hear every key: the weakest way.
    #[serde(default)]
    pub conference: bool,
    /// Security codes may be keyed there too.
    #[serde(default)]
    pub conference_code: bool,
    /// Whether recorders elsewhere, such as its own, must pause while the line is not open. The office asks them.
    #[serde(default)]
    pub recorder_hook: RecorderHook,
    /// The header of its INVITEs in which the customer's own name of the call stands, for those recorders.
    #[serde(default)]
    pub recorder_call_id: Option<String>,
}

fn yes() -> bool {
    true
}

impl OnDemand {
    /// What cannot work.
    pub(super) fn problem(&self) -> Option<String> {
        let is_pattern = |text: &String| text.parse::<wire::Extension>().is_ok();
        if self.extensions.is_empty()
            || self.extensions.len() > EXTENSIONS_MAX
            || !self.extensions.iter().all(is_pattern)
        {
            return Some(format!(
                "on_demand: extensions: expected one to {EXTENSIONS_MAX} extensions of agents, such as \"1001\" or \"10xx\", \
                 where an x is any digit"
            ));
        }
        if self.conference_code && !self.conference {
            return Some("on_demand: conference_code = true means nothing without conference = true".to_owned());
        }
        if let Some((_, message)) = hook::problem(self.recorder_hook, self.recorder_call_id.as_ref()) {
            return Some(format!("on_demand: {message}"));
        }
        let number = self.number.as_ref().filter(|number| !is_dialed(number))?;
        Some(format!(
            "on_demand: number = \"{number}\": expected what a telephone can dial: 1 to 20 of 0 to 9, * and #"
        ))
    }

    pub(crate) fn call(&self) -> calls::OnDemand {
        calls::OnDemand {
            extensions: self.extensions.clone(),
            number: self.number.clone(),
            keys_cross_pbx: self.keys_cross_pbx,
            internal_callers: self.internal_callers,
            attended: self.attended,
            conference: self.conference.then_some(calls::Conferences { code: self.conference_code }),
            hook: hook::call(self.recorder_hook, self.recorder_call_id.as_ref()),
        }
    }
}

/// What a telephone can dial.
pub(super) fn is_dialed(number: &str) -> bool {
    (1..=20).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit() || b"*#".contains(&byte))
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use std::path::Path;

    fn parse(on_demand: &str) -> Result<Config, String> {
        let text = format!("[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\non_demand = {on_demand}\n");
        Config::parse(&text, Path::new("cde.toml")).map_err(|problem| problem.to_string())
    }

    #[test]
    fn what_cannot_be_an_agent_or_a_number_is_refused_with_its_line() {
        let config = parse("{ extensions = [\"10xx\"], number = \"*77\" }").unwrap();
        let on_demand = config.trunk[0].on_demand.as_ref().unwrap();
        assert!(on_demand.keys_cross_pbx && !on_demand.internal_callers, "the careful words are the defaults");
        for wrong in ["[]", "[\"\"]", "[\"a b\"]"] {
            let problem = parse(&format!("{{ extensions = {wrong} }}")).unwrap_err();
            assert!(problem.contains("line 4") && problem.contains("10xx"), "{problem}");
        }
        let problem = parse("{ extensions = [\"10xx\"], number = \"seven\" }").unwrap_err();
        assert!(problem.contains("line 4") && problem.contains("dial"), "{problem}");
        assert!(on_demand.call().conference.is_none(), "nobody hears keys in a conference unless the file says so");
        let problem = parse("{ extensions = [\"10xx\"], conference_code = true }").unwrap_err();
        assert!(problem.contains("line 4") && problem.contains("conference = true"), "{problem}");
        assert!(parse("{ extensions = [\"10xx\"], pin = 1 }").unwrap_err().contains("pin"));
    }
}
