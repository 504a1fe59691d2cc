//! How the processes end: together, in order, and never half.

use crate::stage::folder::Folder;
use crate::stage::lane::Lane;
use crate::stage::{Setting, Stage, binary, free_udp};
use crate::tools::{run_command, signal};
use anyhow::ensure;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

/// A process that was asked to stop, with no call to drain.
const END_MAX: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_one_side_cannot_run_the_other_is_stopped_too_and_the_reason_is_told() -> anyhow::Result<()> {
    let folder = Folder::new("half")?;
    // Somebody else is where the office should listen.
    let taken = TcpListener::bind("127.0.0.1:0")?;
    std::fs::write(folder.join("cde.toml"), format!("[sip]\nlisten = \"{}\"\n", free_udp()?))?;
    std::fs::write(folder.join("office.toml"), format!("listen = \"{}\"\n", taken.local_addr()?))?;
    let mut command = Command::new(binary::normal());
    command.args(["serve", "--one-user", "--config"]).arg(folder.path());
    let said = run_command(&mut command, Duration::from_secs(40)).await?;
    assert!(!said.good, "serve ended well although the office could not run");
    assert!(said.stderr.contains("the office process ends as soon as it starts"), "{}", said.stderr);
    folder.forget();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_tonewall_in_the_same_folder_is_refused_and_the_first_keeps_its_door() -> anyhow::Result<()> {
    let stage = Stage::start("second", Setting::new(14, Vec::new())).await?;
    // Another configuration with ports of its own, so that nothing but the folders stand in its way.
    let second = Folder::new("second-configuration")?;
    let (data, database) = (stage.folder.join("cde-data"), stage.folder.join("office-data/office.db"));
    let cde = format!("[sip]\nlisten = \"{}\"\n[data]\nfolder = \"{}\"\n", free_udp()?, data.display());
    std::fs::write(second.join("cde.toml"), cde)?;
    let office = format!("listen = \"{}\"\ndatabase = \"{}\"\n", crate::stage::free_tcp()?, database.display());
    std::fs::write(second.join("office.toml"), office)?;
    let mut command = Command::new(binary::normal());
    command.args(["serve", "--one-user", "--config"]).arg(second.path());
    let said = run_command(&mut command, Duration::from_secs(40)).await?;
    assert!(!said.good && said.stderr.contains("another tonewall uses"), "{}", said.stderr);
    assert!(!said.stderr.contains("starting it again"), "one try is enough: {}", said.stderr);
    stage.ready().await?;
    signal("KILL", stage.pid("office").await?);
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.ready().await?;
    second.forget();
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_asked_to_stop_ends_and_is_started_again() -> anyhow::Result<()> {
    let stage = Stage::start("asked", Setting::new(11, Vec::new())).await?;
    for side in ["cde", "office"] {
        let before = stage.pid(side).await?;
        signal("TERM", before);
        ended(before).await?;
        assert_ne!(stage.pid(side).await?, before);
        stage.ready().await?;
    }
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_calls_are_drained_their_agents_keep_the_desk() -> anyhow::Result<()> {
    let mut lane = Lane::new("1001").await?;
    let mut stage = Stage::start("drain", Setting::new(12, vec![lane.route().await?])).await?;
    let desk = stage.desk("1001").await?;
    let call = lane.connect(&stage, &desk).await?;
    desk.line(&call, "secure").await?;
    stage.terminate();
    // Long enough for a process that does not wait for the call to be gone.
    tokio::time::sleep(Duration::from_secs(2)).await;
    desk.line(&call, "release").await?;
    desk.wait_for_line(&call, "open", END_MAX).await?;
    lane.caller.hang_up().await?;
    ensure!(stage.ended(END_MAX).await?, "not a good end:\n{}", stage.log());
    assert!(!stage.log().contains("starting it again"), "{}", stage.log());
    stage.passed();
    Ok(())
}

async fn ended(pid: u32) -> anyhow::Result<()> {
    let until = std::time::Instant::now() + END_MAX;
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        ensure!(std::time::Instant::now() < until, "process {pid} does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
