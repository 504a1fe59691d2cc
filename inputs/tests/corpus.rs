//! Every input that is kept does no harm. A machine needs no fuzzer for that.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fuzz/corpus")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn no_kept_input_does_harm() {
    for target in inputs::TARGETS {
        let folder = corpus().join(target.name);
        let inputs = names(&folder);
        assert!(inputs.len() > 5, "{} has {} inputs only", target.name, inputs.len());
        for name in inputs {
            let input = std::fs::read(folder.join(&name)).unwrap();
            let taken = std::panic::catch_unwind(|| (target.take)(&input));
            assert!(taken.is_ok(), "{} {name}", target.name);
        }
    }
}

#[test]
fn every_folder_belongs_to_a_target_and_all_are_small() {
    let mut known: Vec<&str> = inputs::TARGETS.iter().map(|target| target.name).collect();
    known.sort_unstable();
    assert_eq!(names(&corpus()), known);
    let sizes = known.iter().map(|name| corpus().join(name)).flat_map(|folder| {
        names(&folder).into_iter().map(move |name| std::fs::metadata(folder.join(name)).unwrap().len())
    });
    let total: u64 = sizes.sum();
    assert!(total <= 256 * 1024, "{total} bytes are kept: more than a repository should hold");
}

#[test]
fn every_target_has_a_program_for_the_fuzzer() {
    let programs = names(&corpus().parent().unwrap().join("fuzz_targets"));
    let mut expected: Vec<String> = inputs::TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    expected.sort();
    assert_eq!(programs, expected);
}
