//! What goes over the loopback, written and read by tshark. Only root may capture.

use crate::tools::{Background, file_says, is_root, must};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TSHARK_MAX: Duration = Duration::from_secs(30);

pub struct Capture {
    tshark: Background,
    pub file: PathBuf,
}

/// What tshark saw on its way to one place.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub packets: usize,
    pub events: usize,
    pub infos: usize,
}

impl Capture {
    /// Captures what goes to these UDP ports; none when this user may not capture.
    pub async fn start(folder: &Path, name: &str, ports: &[u16]) -> anyhow::Result<Option<Self>> {
        let filter: Vec<String> = ports.iter().map(|port| format!("udp dst port {port}")).collect();
        Self::filtered(folder, name, &filter.join(" or ")).await
    }

    /// The same of what comes from them, the first and the last.
    pub async fn of_ports(folder: &Path, name: &str, (first, last): (u16, u16)) -> anyhow::Result<Option<Self>> {
        Self::filtered(folder, name, &format!("udp src portrange {first}-{last}")).await
    }

    async fn filtered(folder: &Path, name: &str, filter: &str) -> anyhow::Result<Option<Self>> {
        if !is_root() {
            eprintln!("not root: nothing is captured, only the phones' own counts are judged");
            return Ok(None);
        }
        let (file, log) = (folder.join(format!("{name}.pcap")), folder.join(format!("{name}.tshark.log")));
        let mut command = Command::new("tshark");
        // A limit of its own, should nobody end it.
        command.args(["-i", "lo", "-q", "-a", "duration:240", "-F", "pcap", "-f", filter, "-w"]).arg(&file);
        let tshark = Background::start(&mut command, &log)?;
        file_says(&log, "Capture started", TSHARK_MAX).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(Some(Self { tshark, file }))
    }

    /// Ends the capture; what is in the file then is complete.
    pub async fn end(self) -> anyhow::Result<PathBuf> {
        // What is in the kernel's buffer yet has to come out.
        tokio::time::sleep(Duration::from_millis(700)).await;
        self.tshark.interrupt(TSHARK_MAX).await?;
        Ok(self.file)
    }
}

/// Packets, telephone-events and INFO requests to an RTP and a SIP port, as tshark understands them.
pub async fn seen(file: &Path, rtp: u16, sip: u16) -> anyhow::Result<Seen> {
    let rtp_port = format!("udp.dstport=={rtp}");
    let packets = count(file, rtp, sip, &rtp_port).await?;
    let events = count(file, rtp, sip, &format!("{rtp_port} && rtpevent")).await?;
    let infos = count(file, rtp, sip, &format!("udp.dstport=={sip} && sip.Method==INFO")).await?;
    Ok(Seen { packets, events, infos })
}

/// RTCP as tshark understands it.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    pub from: u16,
    pub to: u16,
    /// The types of its packets, with commas.
    pub types: String,
    /// The receiver of this report's stream has had a report of it.
    pub answers: bool,
}

/// All RTCP, wherever it went. What tshark calls malformed is an error.
pub async fn reports(file: &Path) -> anyhow::Result<Vec<Report>> {
    let file = file.to_string_lossy();
    let read = ["-r", &file, "--enable-heuristic", "rtp_udp", "--enable-heuristic", "rtcp_udp", "-T", "fields", "-Y"];
    let bad = [&read[..], &["rtcp && (_ws.malformed || !(rtcp.length_check == 1))", "-e", "frame.number"]].concat();
    let bad = must("tshark", &bad, TSHARK_MAX).await?;
    anyhow::ensure!(bad.is_empty(), "malformed RTCP in the packets {bad}");
    let fields = ["rtcp", "-e", "udp.srcport", "-e", "udp.dstport", "-e", "rtcp.pt", "-e", "rtcp.ssrc.lsr"];
    let said = must("tshark", &[&read[..], &fields].concat(), TSHARK_MAX).await?;
    let report = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [from, to, types, last_report] = fields.as_slice() else { anyhow::bail!("tshark wrote {line}") };
        let answers = !matches!(*last_report, "" | "0");
        Ok(Report { from: from.parse()?, to: to.parse()?, types: (*types).to_owned(), answers })
    };
    said.lines().map(report).collect()
}

/// What was sent to these UDP ports, datagram by datagram.
pub async fn datagrams(file: &Path, ports: &RangeInclusive<u16>) -> anyhow::Result<Vec<Vec<u8>>> {
    let file = file.to_string_lossy();
    let filter = format!("udp.dstport >= {} && udp.dstport <= {}", ports.start(), ports.end());
    let said = must("tshark", &["-r", &file, "-Y", &filter, "-T", "fields", "-e", "udp.payload"], TSHARK_MAX).await?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    Ok(said.lines().map(|line| line.as_bytes().chunks(2).filter_map(byte).collect()).collect())
}

async fn count(file: &Path, rtp: u16, sip: u16, filter: &str) -> anyhow::Result<usize> {
    let file = file.to_string_lossy();
    let (as_rtp, as_sip) = (format!("udp.port=={rtp},rtp"), format!("udp.port=={sip},sip"));
    // The payload type that every phone here offers, in case the capture began after the SDP.
    let events = "rtpevent.event_payload_type_value:101";
    let arguments =
        ["-r", &file, "-d", &as_rtp, "-d", &as_sip, "-o", events, "-Y", filter, "-T", "fields", "-e", "frame.number"];
    Ok(must("tshark", &arguments, TSHARK_MAX).await?.lines().count())
}
