//! `tonewall selftest` as an operator runs it: it passes here, it fails without the mask, and its report cannot be changed.

use crate::stage::binary;
use crate::stage::folder::Folder;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn selftest(program: &Path, folder: Option<&Path>, arguments: &[&str]) -> Output {
    run(Command::new(program), folder, arguments)
}

fn run(mut command: Command, folder: Option<&Path>, arguments: &[&str]) -> Output {
    command.env_remove("TONEWALL_CONFIG").arg("selftest").args(arguments);
    if let Some(folder) = folder {
        command.arg("--config").arg(folder);
    }
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Reads the report, after `--verify` has found it good.
fn verified(program: &Path, file: &Path) -> Value {
    let output = selftest(program, None, &["--verify", &file.to_string_lossy()]);
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// A configuration whose `[media]` can be told from every default.
fn configuration(folder: &Folder) {
    let media = "[media]\nfirst_port = 31000\nlast_port = 31099\nthreads = 1\nmasking = \"strict\"\n";
    std::fs::write(folder.join("cde.toml"), media).unwrap();
}

#[test]
fn a_self_test_passes_and_no_byte_of_its_report_can_be_changed() {
    let (program, folder) = (binary::normal(), Folder::new("self").unwrap());
    configuration(&folder);
    let file = folder.join("report.json");
    let arguments = ["--keys", "tones", "--report", &file.to_string_lossy()];
    let output = selftest(&program, Some(folder.path()), &arguments);
    assert!(output.status.success(), "{}", said(&output));

    let report = verified(&program, &file);
    assert_eq!((&report["verdict"], &report["complete"]), (&"passed".into(), &false.into()));
    assert_eq!(report["configured_media"]["first_port"], 31_000);
    let cases = report["cases"].as_array().unwrap();
    let masking: Vec<_> = cases.iter().map(|case| case["masking"].as_str().unwrap()).collect();
    assert_eq!(masking, ["natural", "strict"]);
    for case in cases {
        assert_eq!((&case["keys"]["sent"], &case["keys"]["captured"]), (&23.into(), &23.into()), "{case}");
        assert_eq!(case["agent_leg"]["heard"]["digits_live_detector"], "");
        assert_eq!(case["control"]["caller_leg"]["heard"]["digits_live_detector"], 23, "the control");
        assert!(case["witness"]["frames"].as_u64().unwrap() > 400, "{case}");
    }
    is_for_the_owner_alone(&folder.join("selftest.key"));
    changed_reports_are_refused(&program, &folder, &file);
    folder.forget();
}

fn is_for_the_owner_alone(key: &Path) {
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
}

fn changed_reports_are_refused(program: &Path, folder: &Folder, file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    let changed = folder.join("changed.json");
    let refused = |bytes: &[u8]| {
        std::fs::write(&changed, bytes).unwrap();
        !selftest(program, None, &["--verify", &changed.to_string_lossy()]).status.success()
    };
    assert!(!refused(&bytes), "the control: a copy is good");
    for place in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        let mut bytes = bytes.clone();
        bytes[place] ^= 1;
        assert!(refused(&bytes), "byte {place} was changed");
    }
    // The folder's key is the expected one; another run's is not.
    let shown = file.to_string_lossy();
    let own = selftest(program, Some(folder.path()), &["--verify", &shown]);
    assert!(own.status.success(), "{}", said(&own));
    let other = selftest(program, None, &["--verify", &shown, "--public-key", &"ab".repeat(32)]);
    assert!(!other.status.success() && said(&other).contains("another key"), "{}", said(&other));
}

#[test]
fn with_masking_off_the_self_test_fails() {
    let program: PathBuf = binary::masking_off().unwrap();
    let folder = Folder::new("self-off").unwrap();
    let file = folder.join("report.json");
    let arguments = ["--keys", "events,tones", "--masking", "strict", "--report", &file.to_string_lossy()];
    // What a failed run keeps goes with the folder.
    let mut command = Command::new(&program);
    command.env("TMPDIR", folder.path());
    let output = run(command, None, &arguments);
    assert!(!output.status.success(), "{}", said(&output));
    let report = verified(&program, &file);
    assert_eq!(report["verdict"], "failed");
    let leaks = |case: usize| report["cases"][case]["problems"].to_string();
    assert!(leaks(0).contains("event packets reached the agent"), "{}", leaks(0));
    for listener in ["plain detector reads 23 keys", "live detector reads 23 keys", "frames at the agent sound like"] {
        assert!(leaks(1).contains(listener), "{listener}: {}", leaks(1));
    }
    folder.forget();
}
