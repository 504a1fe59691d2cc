//! SIPp plays the carrier and the PBX.

use crate::stage::{Route, Setting, Stage, free_tcp, free_udp};
use crate::tools::Background;
use anyhow::{Context, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const CALLS_A_SECOND: &str = "50";
const ALL_CALLS_MAX: Duration = Duration::from_secs(90);

pub struct Sipp<'a> {
    pub folder: &'a Path,
    pub name: &'a str,
    pub at: SocketAddr,
    /// SIPp's word for a transport.
    pub transport: &'a str,
    pub calls: u64,
    pub extra: Vec<String>,
}

impl Sipp<'_> {
    pub fn start(&self) -> anyhow::Result<Background> {
        let scenario = format!("{}/tests/peers/sipp/{}.xml", env!("CARGO_MANIFEST_DIR"), self.name);
        let file = |kind: &str| self.folder.join(format!("sipp-{}.{kind}", self.name));
        // SIPp opens a port for sound although none is sent.
        let sound = free_udp()?.port();
        let mut command = Command::new("sipp");
        command.args(["-sf", &scenario, "-i", "127.0.0.1", "-p", &self.at.port().to_string()]);
        command.args(["-t", self.transport, "-m", &self.calls.to_string()]);
        command.args(["-mp", &sound.to_string(), "-nostdin", "-timeout", "80s", "-timeout_error"]);
        command.args(["-trace_stat", "-fd", "5", "-stf"]).arg(file("csv")).arg("-trace_err").arg("-error_file");
        command.arg(file("err")).args(&self.extra).env("TERM", "dumb").current_dir(self.folder);
        Background::start(&mut command, &file("log"))
    }

    /// A total of the last line of the statistics.
    fn total(&self, column: &str) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(self.folder.join(format!("sipp-{}.csv", self.name)))?;
        let mut lines = text.lines();
        let names = lines.next().context("no statistics")?;
        let place = names.split(';').position(|name| name == column).context("no such column")?;
        let last = lines.next_back().context("no statistics")?;
        Ok(last.split(';').nth(place).context("no such column")?.parse()?)
    }

    pub fn errors(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join(format!("sipp-{}.err", self.name))).unwrap_or_default();
        text.lines().take(30).collect::<Vec<_>>().join("\n")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_fifty_a_second_all_succeed() -> anyhow::Result<()> {
    let (carrier, pbx) = (free_udp()?, free_udp()?);
    all_succeed("sipp", ("udp", "u1"), (carrier, pbx), 1000, (30_000, 31_999)).await
}

/// One connection to the PBX carries them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_fifty_a_second_all_succeed_over_tcp() -> anyhow::Result<()> {
    let (carrier, pbx) = (free_tcp()?, free_tcp()?);
    all_succeed("sipp-tcp", ("tcp", "t1"), (carrier, pbx), 500, (28_000, 29_999)).await
}

async fn all_succeed(
    name: &str,
    (ours, theirs): (&'static str, &str),
    (carrier, pbx): (SocketAddr, SocketAddr),
    calls: u64,
    ports: (u16, u16),
) -> anyhow::Result<()> {
    let route = Route { extension: "1001".to_owned(), caller: carrier, agent: pbx };
    let setting = Setting { ports, records: false, transport: ours, ..Setting::new(0, vec![route]) };
    let stage = Stage::start(name, setting).await?;
    let folder = stage.folder.path();
    let pbx = Sipp { folder, name: "pbx", at: pbx, transport: theirs, calls, extra: Vec::new() };
    let call = ["-r", CALLS_A_SECOND, "-l", "500", &stage.sip.to_string()].map(str::to_owned).to_vec();
    let carrier = Sipp { folder, name: "carrier", at: carrier, transport: theirs, calls, extra: call };
    let mut answering = pbx.start()?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut calling = carrier.start()?;
    for (running, sipp) in [(&mut calling, &carrier), (&mut answering, &pbx)] {
        let good = running.ended(ALL_CALLS_MAX).await?;
        let (done, failed) = (sipp.total("SuccessfulCall(C)")?, sipp.total("FailedCall(C)")?);
        if !good || failed > 0 || done != calls {
            bail!("SIPp as {}: {done} calls succeeded, {failed} failed. It says:\n{}", sipp.name, sipp.errors());
        }
    }
    // SIPp asks again after half a second. A busy machine is late with a few; an answer that is not given would make it all.
    let again = carrier.total("Retransmissions(C)")?;
    assert!(again * 20 <= calls, "{again} requests of {calls} calls had to be sent again");
    stage.passed();
    Ok(())
}
