//! `recorder_hook` of a `[[route]]` and of a trunk's `on_demand`.

use call::config as calls;
use serde::Deserialize;
use wire::HookRule;

/// The longest name of a header.
const HEADER_LENGTH_MAX: usize = 64;

/// Whether recorders elsewhere must pause while the line is not open. Where they are stands in office.toml: nobody is asked by the
/// card side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecorderHook {
    /// Nobody is asked.
    #[default]
    Off,
    /// They are asked, and a payment goes on without them.
    BestEffort,
    /// They are asked, and nothing is keyed before they have said that they have paused.
    Required,
}

/// What cannot work, and the key that it is about.
pub(super) fn problem(hook: RecorderHook, header: Option<&String>) -> Option<(&'static str, String)> {
    let header = header?;
    let key = "recorder_call_id";
    if hook == RecorderHook::Off {
        return Some((key, format!("{key} needs a recorder_hook: nobody is told it")));
    }
    let is_header = (1..=HEADER_LENGTH_MAX).contains(&header.len())
        && header.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // Others say what is to be paid, or who somebody is.
    let name = header.to_ascii_lowercase();
    let is_customers = name == "user-to-user" || name.starts_with("x-") && !name.starts_with("x-tonewall-");
    (!is_header || !is_customers).then(|| {
        (
            key,
            format!(
                "{key} = \"{header}\": expected User-to-User, or a name that begins with X- and not with X-Tonewall-"
            ),
        )
    })
}

pub(crate) fn call(hook: RecorderHook, header: Option<&String>) -> Option<calls::Hook> {
    let rule = match hook {
        RecorderHook::Off => return None,
        RecorderHook::BestEffort => HookRule::BestEffort,
        RecorderHook::Required => HookRule::Required,
    };
    Some(calls::Hook { rule, call_id_header: header.cloned() })
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use std::path::Path;

    const TRUNK: &str = "[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\n";

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("cde.toml")).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_hook_is_one_of_three_words_and_names_a_header_of_the_customers() {
        let route = |more: &str| parse(&format!("{TRUNK}[[route]]\nfrom = \"a\"\nto = \"a\"\n{more}"));
        let good = route("recorder_hook = \"required\"\nrecorder_call_id = \"X-Conversation-ID\"\n").unwrap();
        let hook = super::call(good.route[0].recorder_hook, good.route[0].recorder_call_id.as_ref()).unwrap();
        assert_eq!((hook.rule, hook.call_id_header.as_deref()), (wire::HookRule::Required, Some("X-Conversation-ID")));
        assert_eq!(super::call(route("").unwrap().route[0].recorder_hook, None), None, "off is the default");
        assert!(route("recorder_hook = \"best_effort\"\n").is_ok());
        for (wrong, line, says) in [
            ("recorder_hook = \"maybe\"\n", 7, "best_effort"),
            ("recorder_call_id = \"X-A\"\n", 7, "needs a recorder_hook"),
            ("recorder_hook = \"required\"\nrecorder_call_id = \"Call Id\"\n", 8, "begins with X-"),
            ("recorder_hook = \"required\"\nrecorder_call_id = \"X-Tonewall-Amount\"\n", 8, "not with X-Tonewall-"),
        ] {
            let problem = route(wrong).unwrap_err();
            assert!(problem.contains(says) && problem.contains(&format!("line {line}")), "{problem}");
        }
        let on_demand = format!("{TRUNK}on_demand = {{ extensions = [\"10xx\"], recorder_hook = \"required\" }}\n");
        let trunk = parse(&on_demand).unwrap().trunk.remove(0);
        assert_eq!(trunk.on_demand.unwrap().call().hook.unwrap().rule, wire::HookRule::Required);
    }
}
