//! SIP messages that are wrong in a million ways, sent to a Tonewall as it really runs.
//!
//! The RFC's torture messages and ordinary ones are changed by chance: bytes, lines, numbers, pieces of each other. After
//! each few of them an OPTIONS must be answered, so that nothing is lost in a full socket, and a hang is seen.

#![expect(clippy::disallowed_methods, reason = "who measures time needs a clock")]

mod mutants;
mod stream;

use crate::dice::Dice;
use anyhow::{Context, bail, ensure};
use mutants::Mutants;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use stream::{Authority, Stream};

/// Between two OPTIONS.
const MUTANTS_TOGETHER: usize = 40;
/// An OPTIONS that takes longer is a hang.
const HANG: Duration = Duration::from_secs(1);
const READY_MAX: Duration = Duration::from_secs(20);
/// Memory is compared with what it was after so many: tables have their size by then.
const WARM: usize = 20_000;
/// Of memory: what full tables take.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many messages.
    #[arg(long, default_value_t = 1_000_000)]
    mutants: usize,
    /// By which way; all if none is named.
    #[arg(long, value_enum)]
    over: Option<Over>,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fail if the slowest hundredth of the answers takes longer. For a quiet machine and a program built for release.
    #[arg(long, value_name = "MS")]
    p99_ms_max: Option<u64>,
    /// The program with `cde`.
    #[arg(long, default_value = "target/release/tonewall", value_name = "FILE")]
    tonewall: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Over {
    Udp,
    Tcp,
    Tls,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    for over in options.over.map_or(vec![Over::Udp, Over::Tcp, Over::Tls], |over| vec![over]) {
        storm(options, over).with_context(|| format!("{over:?}, seed {}", options.seed))?;
    }
    Ok(())
}

fn storm(options: &Options, over: Over) -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let mut target = Target::start(&options.tonewall, &authority)?;
    let mut mutants = Mutants::new(Dice::new(options.seed))?;
    let mut asker = Asker::new(target.sip)?;
    let mut sender = Sender::new(over, &target, authority)?;
    let (mut before, mut longest_us, began) = (target.memory()?, Vec::new(), Instant::now());
    let mut sent = 0;
    while sent < options.mutants {
        for _ in 0..MUTANTS_TOGETHER {
            sender.send(&mutants.next());
        }
        sent += MUTANTS_TOGETHER;
        longest_us.push(asker.ask().with_context(|| format!("after {sent} messages"))?.as_micros());
        if sent == WARM / MUTANTS_TOGETHER * MUTANTS_TOGETHER {
            before = target.memory()?;
        }
        if sent.is_multiple_of(100_000) {
            println!("{sent} messages, {} s", began.elapsed().as_secs());
        }
    }
    target.must_run()?;
    let growth = target.memory()?.saturating_sub(before);
    longest_us.sort_unstable();
    let at = |part: usize| longest_us[(longest_us.len() - 1) * part / 100];
    println!(
        "{over:?}: {sent} messages in {:.0} s, answers to OPTIONS among them p50/p99/max {}/{}/{} us, memory grown by {} KiB, \
         {} connections",
        began.elapsed().as_secs_f64(),
        at(50),
        at(99),
        at(100),
        growth / 1024,
        sender.connections,
    );
    ensure!(growth < GROWTH_BYTES_MAX, "memory has grown by {growth} bytes");
    let slow = options.p99_ms_max.filter(|most| at(99) > u128::from(*most) * 1000);
    ensure!(slow.is_none(), "OPTIONS take {} us", at(99));
    Ok(())
}

/// The card side of a Tonewall, to which all of this machine is a trunk.
struct Target {
    process: Child,
    sip: SocketAddr,
    tls: SocketAddr,
    folder: PathBuf,
}

impl Target {
    fn start(program: &Path, authority: &Authority) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("tonewall-storm-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        // Free for both of them a moment ago.
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let (sip, tls) = (free()?, free()?);
        authority.write(&folder)?;
        std::fs::write(
            folder.join("cde.toml"),
            format!(
                "[sip]\nlisten = \"{sip}\"\nlisten_tcp = \"{sip}\"\nlisten_tls = \"{tls}\"\ncertificate = \"sip.pem\"\n\
                 private_key = \"sip.key\"\n[media]\nfirst_port = 16000\nlast_port = 19999\n\
                 [[trunk]]\nname = \"storm\"\naddress = \"127.0.0.1\"\ntransport = \"udp\"\n\
                 [[trunk]]\nname = \"storm-tls\"\naddress = \"127.0.0.1\"\ntransport = \"tls\"\nca = \"ca.pem\"\n\
                 [[trunk]]\nname = \"sink\"\naddress = \"127.0.0.2:9\"\n[[route]]\nfrom = \"storm\"\nto = \"sink\"\n"
            ),
        )?;
        let process = Command::new(program)
            .args(["cde", "--config"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log"))?)
            .spawn()
            .with_context(|| format!("{} (cargo build --release -p tonewall)", program.display()))?;
        let target = Self { process, sip, tls, folder };
        let until = Instant::now() + READY_MAX;
        let mut asker = Asker::new(sip)?;
        while asker.ask().is_err() {
            ensure!(Instant::now() < until, "it does not start: {}", target.log());
        }
        Ok(target)
    }

    fn memory(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).context("it has ended")?;
        let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix("kB"));
        Ok(kib.context("no RssAnon")?.trim().parse::<u64>()? * 1024)
    }

    fn must_run(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!("it has ended ({status}): {}", self.log());
        }
        let log = self.log();
        ensure!(!log.contains("panicked"), "{log}");
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Asks by OPTIONS whether anybody is there.
struct Asker {
    socket: UdpSocket,
    asked: u32,
}

impl Asker {
    fn new(sip: SocketAddr) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(sip)?;
        Ok(Self { socket, asked: 0 })
    }

    /// How long the answer took.
    fn ask(&mut self) -> anyhow::Result<Duration> {
        self.asked += 1;
        let (at, number) = (self.socket.local_addr()?, self.asked);
        let request = format!(
            "OPTIONS sip:{} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK-ask-{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:ask@{at}>;tag=a\r\nTo: <sip:tonewall@{at}>\r\nCall-ID: ask-{number}\r\nCSeq: {number} OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            self.socket.peer_addr()?
        );
        let (began, mut buffer) = (Instant::now(), [0; 65_535]);
        self.socket.send(request.as_bytes())?;
        loop {
            let left =
                HANG.checked_sub(began.elapsed()).filter(|left| !left.is_zero()).context("no answer in a second")?;
            self.socket.set_read_timeout(Some(left))?;
            let Ok(length) = self.socket.recv(&mut buffer) else { bail!("no answer in a second") };
            let answer = String::from_utf8_lossy(&buffer[..length]);
            if answer.contains(&format!("z9hG4bK-ask-{number}\r")) || answer.contains(&format!("z9hG4bK-ask-{number};"))
            {
                ensure!(answer.starts_with("SIP/2.0 200"), "{answer}");
                return Ok(began.elapsed());
            }
        }
    }
}

/// Where the messages leave from. What is answered is read and forgotten.
struct Sender {
    over: Over,
    /// Of UDP and TCP, and of TLS.
    to: [SocketAddr; 2],
    authority: Authority,
    udp: UdpSocket,
    stream: Option<Stream>,
    connections: usize,
}

impl Sender {
    fn new(over: Over, target: &Target, authority: Authority) -> anyhow::Result<Self> {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        udp.set_nonblocking(true)?;
        Ok(Self { over, to: [target.sip, target.tls], authority, udp, stream: None, connections: 0 })
    }

    fn send(&mut self, message: &[u8]) {
        match self.over {
            Over::Udp => {
                // One that is too long for a datagram is none.
                let _ = self.udp.send_to(message, self.to[0]);
                while self.udp.recv(&mut [0; 65_535]).is_ok() {}
            }
            Over::Tcp | Over::Tls => self.write(message),
        }
    }

    /// A stream that cannot be cut into messages is closed by the other side: then there is a new one.
    fn write(&mut self, message: &[u8]) {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => match self.connect() {
                Ok(stream) => stream,
                Err(_) => return,
            },
        };
        let written = stream.write_all(message).is_ok();
        let open = loop {
            match stream.read(&mut [0; 65_535]) {
                Ok(0) => break false,
                Ok(_) => {}
                Err(error) => break error.kind() == ErrorKind::WouldBlock,
            }
        };
        self.stream = (written && open).then_some(stream);
    }

    fn connect(&mut self) -> anyhow::Result<Stream> {
        let stream = match self.over {
            Over::Tls => self.authority.connect(self.to[1])?,
            _ => Stream::plain(self.to[0])?,
        };
        self.connections += 1;
        Ok(stream)
    }
}
