//! Leak checks have a control: a build with masking off, in which they must fail. Only a person who asks for it by name
//! on the command line may get that build, so nothing but a feature of the same name may switch it on.

use crate::metadata::Package;

/// The feature, in every crate that has it.
const CONTROL: &str = "masking-off-control";

/// Features and dependencies that would switch masking off for somebody who did not ask.
pub(super) fn breaches(packages: &[Package]) -> Vec<String> {
    packages.iter().filter(|package| package.source.is_none()).flat_map(in_package).collect()
}

fn in_package(package: &Package) -> Vec<String> {
    let name = &package.name;
    let other = package.features.iter().filter(|(feature, _)| *feature != CONTROL);
    let switching = other.filter(|(_, switches)| switches.iter().any(|feature| is_control(feature)));
    let by_feature = switching.map(|(feature, _)| format!("feature `{feature}` of `{name}` switches on `{CONTROL}`"));
    let asking = package.dependencies.iter().filter(|used| used.features.iter().any(|feature| is_control(feature)));
    let by_edge = asking.map(|used| format!("`{name}` uses `{}` with `{CONTROL}`", used.name));
    by_feature.chain(by_edge).collect()
}

/// `x`, `crate/x` or `crate?/x`.
fn is_control(feature: &str) -> bool {
    feature.rsplit('/').next() == Some(CONTROL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(default: &str, asked: &str) -> Package {
        let json = serde_json::json!({
            "name": "node", "version": "0.1.0", "id": "node", "manifest_path": "", "targets": [],
            "features": { "default": [default], CONTROL: [format!("media/{CONTROL}")] },
            "dependencies": [{ "name": "media", "features": [asked] }],
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn masking_is_off_only_for_who_asks_by_name() {
        assert!(breaches(&[package("shell", "std")]).is_empty());
        assert_eq!(breaches(&[package(CONTROL, CONTROL)]).len(), 2);
        let found = breaches(&[package(&format!("media?/{CONTROL}"), "std")]);
        assert_eq!(found, [format!("feature `default` of `node` switches on `{CONTROL}`")]);
    }
}
