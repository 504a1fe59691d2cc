//! `tonewall lab relay`: the media plane without SIP, as a generator of load sees it. What passes stands in node's tests.

use crate::stage::binary;
use crate::stage::folder::Folder;
use crate::tools::{Background, file_says, run_command};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SECONDS: Duration = Duration::from_secs(10);

fn relay(line: &str, first_port: u16, pairs: &Path) -> Command {
    let mut command = Command::new(binary::normal());
    let port = first_port.to_string();
    command.args(["lab", "relay", "--calls", "3", line, "--first-port", &port, "--pairs"]).arg(pairs);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lab_relay_relays_on_the_ports_it_names_until_it_is_stopped() -> anyhow::Result<()> {
    let folder = Folder::new("relay")?;
    let (pairs, log) = (folder.join("pairs"), folder.join("relay.log"));
    let relay = Background::start(&mut relay("--plain", 30_000, &pairs), &log)?;
    file_says(&log, "relaying 3 plain calls", SECONDS).await?;
    let text = std::fs::read_to_string(pairs)?;
    assert_eq!(text, "30000 30002 30012 30013\n30004 30006 30012 30013\n30008 30010 30012 30013\n");
    let (caller, agent) =
        (UdpSocket::bind((Ipv4Addr::LOCALHOST, 30_012))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 30_013))?);
    agent.set_read_timeout(Some(SECONDS))?;
    let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7][..], &[0x55; 160]].concat();
    caller.send_to(&packet, (Ipv4Addr::LOCALHOST, 30_008))?;
    let mut got = [0; 2048];
    let (length, from) = agent.recv_from(&mut got)?;
    assert_eq!((length, from.port(), &got[12..length]), (172, 30_010, &packet[12..]));
    assert!(relay.interrupt(SECONDS).await?, "it did not end well");
    folder.forget();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lab_relay_says_which_port_is_taken() -> anyhow::Result<()> {
    let folder = Folder::new("relay-taken")?;
    let _taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 30_103))?;
    let said = run_command(&mut relay("--plain", 30_100, &folder.join("pairs")), SECONDS).await?;
    assert!(!said.good && said.stderr.contains("port 30103"), "{}", said.all());
    assert!(!folder.join("pairs").exists());
    folder.forget();
    Ok(())
}
