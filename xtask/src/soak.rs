//! `cargo xtask soak` and `train-gate`: the long trials of the mask, of SIP and of money, and how the mask's gate is taught.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::run::{Steps, Tool};

/// Keys of CI, and of a whole soak.
const KEYS_OF_CI: &str = "5000";
const KEYS: &str = "100000";
const KEYS_AT_12_MS: &str = "20000";
const KEYS_OF_G722: &str = "20000";
const KEYS_OF_OPUS: &str = "10000";
const MUTANTS_OF_CI: &str = "100000";
/// Payments of CI, and how often the process is killed meanwhile.
const PAYMENTS_OF_CI: [&str; 2] = ["1000", "8"];
const PAYMENTS: [&str; 2] = ["100000", "1000"];
/// Of the control, in which agents order a new charge where an answer is lost.
const PAYMENTS_OF_NAIVE: [&str; 2] = ["300", "4"];
/// What the mean score of ITU-T P.862 must reach.
const VOICE_MIN: &str = "4.2";
/// Pairs of WAV files, and a Python of our own for PyPI's `pesq`.
const PAIRS: &str = "target/trials/voice";
const PYTHON: &str = "target/trials/python";

/// The part of the leak soak that runs with each change.
pub(crate) fn leaks_of_ci(root: &Path) -> Result<()> {
    trials(root).args(["leaks", "--keys", KEYS_OF_CI]).run()
}

/// Spoilt messages for the program that the tests were run with.
pub(crate) fn storm_of_ci(root: &Path) -> Result<()> {
    Tool::cargo(root).args(["build", "--quiet", "--package", "tonewall"]).run()?;
    trials(root).args(["storm", "--mutants", MUTANTS_OF_CI, "--tonewall", "target/debug/tonewall"]).run()
}

/// The first payments at banks that break, for the program that the tests were run with.
pub(crate) fn payments_of_ci(root: &Path) -> Result<()> {
    payments(root, PAYMENTS_OF_CI).run()
}

fn payments(root: &Path, [payments, kills]: [&str; 2]) -> Tool {
    let program = ["--tonewall", "target/debug/tonewall"];
    trials(root).args(["payments", "--payments", payments, "--kills", kills]).args(program)
}

/// All of it: takes about an hour and a half.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("payments: 100,000 at banks that break, 1,000 kills", || {
        Tool::cargo(root).args(["build", "--quiet", "--package", "tonewall"]).run()?;
        payments(root, PAYMENTS).run()
    })?;
    steps.step("payments: the control is found out", || {
        let was_found = !payments(root, PAYMENTS_OF_NAIVE).args(["--naive"]).succeeds();
        ensure!(was_found, "agents that order twice have charged nobody twice: the trial finds nothing");
        Ok(())
    })?;
    steps.step("leaks: 100,000 keys", || trials(root).args(["leaks", "--keys", KEYS]).run())?;
    steps.step("leaks with a hold of 12 ms: 20,000 keys", || {
        trials(root).args(["leaks", "--hold", "12", "--keys", KEYS_AT_12_MS]).run()
    })?;
    steps.step("leaks of callers with G.722: 20,000 keys", || {
        trials(root).args(["leaks", "--phone", "g722", "--keys", KEYS_OF_G722]).run()
    })?;
    for phone in ["opus", "browser"] {
        steps.step("leaks of callers with Opus: 10,000 keys each", || {
            trials(root).args(["leaks", "--phone", phone, "--keys", KEYS_OF_OPUS]).run()
        })?;
    }
    steps.step("voice: how much is masked", || trials(root).args(["voice", "--wav", PAIRS]).run())?;
    steps.step("voice: ITU-T P.862", || score(root))?;
    steps.step("witness", || trials(root).args(["witness"]).run())?;
    steps.step("an agent's voice", || trials(root).args(["agent"]).run())?;
    steps.step("keys named, beside other decoders", || trials(root).args(["accuracy"]).run())?;
    steps.step("false keys in speech and music", || trials(root).args(["talkoff"]).run())?;
    Tool::cargo(root).args(["build", "--quiet", "--release", "--package", "tonewall"]).run()?;
    let ways = [
        ("a million spoilt messages over UDP", "udp"),
        ("a million spoilt messages over TCP", "tcp"),
        ("a million spoilt messages over TLS", "tls"),
    ];
    for (name, over) in ways {
        steps.step(name, || trials(root).args(["storm", "--over", over, "--p99-ms-max", "50"]).run())?;
    }
    steps.summary();
    Ok(())
}

/// Teaches the gate anew. The same speakers give the same weights.
pub(crate) fn train_gate(root: &Path) -> Result<()> {
    trials(root).args(["train"]).run()?;
    println!(
        "the checksums in cde/media/src/gate/weights*.rs tell whether anything has changed; then run `cargo xtask soak`"
    );
    Ok(())
}

fn score(root: &Path) -> Result<()> {
    if !Tool::new(&format!("{PYTHON}/bin/python"), root).args(["-c", "import pesq"]).succeeds() {
        Tool::new("python3", root).args(["-m", "venv", PYTHON]).run()?;
        let install = ["-m", "pip", "install", "--quiet", "numpy", "pesq==0.0.4"];
        Tool::new(&format!("{PYTHON}/bin/python"), root).args(install).run()?;
    }
    Tool::new(&format!("{PYTHON}/bin/python"), root).args(["trials/score_voice.py", PAIRS, VOICE_MIN]).run()
}

fn trials(root: &Path) -> Tool {
    Tool::cargo(root).args(["run", "--quiet", "--profile", "sim", "--package", "trials", "--"])
}
