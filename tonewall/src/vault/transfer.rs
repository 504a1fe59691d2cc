//! `tonewall vault export`, `import`, and what two people do before.

use super::{TenantArguments, custody, with};
use crate::selftest::key::SigningKey;
use crate::selftest::report::{hex, unhex};
use crate::{Folder, print, tell};
use anyhow::{Context, bail, ensure};
use aws_lc_rs::{digest, rand};
use node::custody::{Approval, Approved, Cards, Custody, Deed, Officer, Request, now_ms};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const HOUR_MS: i64 = 60 * 60 * 1000;
const OFFICERS_MAX: usize = 100;
const APPROVALS_MAX: usize = 10;
/// The longest line of an export.
const LINE_BYTES_MAX: u64 = 64 * 1024;

#[derive(clap::Subcommand)]
pub(crate) enum Officers {
    /// On the person's own machine: makes their key, and prints the public part, which is enrolled.
    Key {
        /// The new file; for its owner alone.
        file: PathBuf,
    },
    /// Enrolls a person who may approve exports and imports of this vault.
    Enroll {
        #[command(flatten)]
        folder: Folder,
        /// Their name.
        name: String,
        /// The public part of their key, 64 hexadecimal characters.
        public_key: String,
    },
}

#[derive(clap::Subcommand)]
pub(crate) enum Ask {
    /// A tenant's cards, as they are stored now, to another vault.
    Export {
        #[command(flatten)]
        tenant: TenantArguments,
        /// What `tonewall vault address` says there.
        #[arg(long, value_name = "HEX")]
        to: String,
        #[command(flatten)]
        file: RequestFile,
    },
    /// A file that another vault has sealed to this one.
    Import {
        #[command(flatten)]
        tenant: TenantArguments,
        /// The file.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        #[command(flatten)]
        file: RequestFile,
    },
}

#[derive(clap::Args)]
pub(crate) struct RequestFile {
    /// For how many hours it may be done.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u8).range(1..=168))]
    hours: u8,
    /// Where the request goes; a new file. The approvals are added to it.
    file: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct Approve {
    /// The request.
    request: PathBuf,
    /// The name that was enrolled.
    #[arg(long)]
    name: String,
    /// The person's key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct Move {
    #[command(flatten)]
    folder: Folder,
    /// The request with the approvals of two people.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The file with the sealed cards.
    file: PathBuf,
}

/// A request on its way from one person to the next.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paper {
    request: Request,
    approvals: Vec<Approval>,
}

pub(super) fn address(arguments: &TenantArguments) -> anyhow::Result<()> {
    with(&arguments.folder.path, async |_, cards| {
        print(&hex(&cards.address(&arguments.tenant).await?));
        Ok(())
    })
}

pub(super) fn officer(command: &Officers) -> anyhow::Result<()> {
    match command {
        Officers::Key { file } => {
            ensure!(!file.exists(), "{} is there already: it is never overwritten", file.display());
            print(&hex(&SigningKey::in_file(file)?.public()));
            Ok(())
        }
        Officers::Enroll { folder, name, public_key } => {
            let custody = custody(&folder.path)?;
            let public = unhex(public_key).context("a public key has 64 hexadecimal characters")?;
            let mut known = officers(&custody)?;
            let is_known = known.iter().any(|officer| officer.name == *name || officer.public == public);
            ensure!(!is_known, "this name or key is enrolled already");
            ensure!(known.len() < OFFICERS_MAX, "at most {OFFICERS_MAX} people are enrolled");
            known.push(Officer { name: name.clone(), public });
            replace(&custody.keys.join("officers.json"), &known)?;
            print(&format!("{name} may approve exports and imports; {} people may", known.len()));
            Ok(())
        }
    }
}

pub(super) fn ask(command: &Ask) -> anyhow::Result<()> {
    let (tenant, file) = match command {
        Ask::Export { tenant, file, .. } | Ask::Import { tenant, file, .. } => (tenant, file),
    };
    let (deed, to, digest) = match command {
        Ask::Export { to, .. } => {
            (Deed::Export, unhex(to).context("an address has 64 hexadecimal characters")?, [0; 32])
        }
        Ask::Import { from, .. } => {
            let ours = with(&tenant.folder.path, async |_, cards| Ok(cards.address(&tenant.tenant).await?))?;
            (Deed::Import, ours, sha256(from)?)
        }
    };
    let mut id = [0; 16];
    rand::fill(&mut id).ok().context("no random bytes")?;
    let made_ms = now_ms();
    let until_ms = made_ms.saturating_add(i64::from(file.hours) * HOUR_MS);
    let request = Request { id, deed, tenant: tenant.tenant.clone(), to, digest, made_ms, until_ms };
    let paper = Paper { request, approvals: Vec::new() };
    new_file(&file.file)?.write_all(serde_json::to_string_pretty(&paper)?.as_bytes())?;
    print(&format!("{}: two people now run `tonewall vault approve` on it, one after the other", file.file.display()));
    Ok(())
}

pub(super) fn approve(arguments: &Approve) -> anyhow::Result<()> {
    let mut paper = paper(&arguments.request)?;
    ensure!(paper.approvals.len() < APPROVALS_MAX, "it has {APPROVALS_MAX} approvals");
    ensure!(arguments.key.exists(), "{}: there is no such key", arguments.key.display());
    let Request { deed, tenant, to, .. } = &paper.request;
    let what = if *deed == Deed::Export { "leave for" } else { "come in to" };
    tell(&format!("approved: cards of tenant {tenant} {what} the vault with the address {}", hex(to)));
    let signature = SigningKey::in_file(&arguments.key)?.sign(&paper.request.bytes());
    let signature = signature.try_into().ok().context("a signature has 64 bytes")?;
    paper.approvals.retain(|approval| approval.officer != arguments.name);
    paper.approvals.push(Approval { officer: arguments.name.clone(), signature });
    replace(&arguments.request, &paper)?;
    print(&format!("{} approvals", paper.approvals.len()));
    Ok(())
}

pub(super) fn export(arguments: &Move) -> anyhow::Result<()> {
    with(&arguments.folder.path, async |custody, cards| {
        let approved = approved(custody, &arguments.request)?;
        let mut file = new_file(&arguments.file)?;
        let mut written = Ok(());
        let line = |line: &str| {
            if written.is_ok() {
                written = writeln!(file, "{line}");
            }
        };
        let count = cards.export(&approved, line).await?;
        written.and_then(|()| file.sync_all()).with_context(|| arguments.file.display().to_string())?;
        print(&format!("{count} cards, sealed to the other vault, are in {}", arguments.file.display()));
        Ok(())
    })
}

pub(super) fn import(arguments: &Move) -> anyhow::Result<()> {
    with(&arguments.folder.path, async |custody, cards| {
        let approved = approved(custody, &arguments.request)?;
        let digest = sha256(&arguments.file)?;
        take_in(cards, &approved, digest, &arguments.file).await
    })
}

async fn take_in(cards: &Cards, approved: &Approved, digest: [u8; 32], path: &Path) -> anyhow::Result<()> {
    let mut file = BufReader::new(File::open(path).with_context(|| path.display().to_string())?);
    let mut line = || -> anyhow::Result<Option<String>> {
        let mut text = String::new();
        let read = (&mut file).take(LINE_BYTES_MAX).read_line(&mut text)?;
        Ok((read > 0).then(|| text.trim_end().to_owned()))
    };
    let first = line()?.context("the file is empty")?;
    let mut import = cards.import(approved, digest, &first).await?;
    while let Some(text) = line()? {
        cards.import_line(now_ms(), &mut import, &text).await?;
    }
    if !import.ended() {
        bail!("{} cards were taken in, but the file was cut off: the others are missing", import.cards());
    }
    print(&format!("{} cards were taken in, under the tokens that they had", import.cards()));
    Ok(())
}

fn approved(custody: &Custody, request: &Path) -> anyhow::Result<Approved> {
    let Paper { request, approvals } = paper(request)?;
    Ok(Approved::check(request, &approvals, &officers(custody)?, now_ms())?)
}

fn paper(path: &Path) -> anyhow::Result<Paper> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{}: no request", path.display()))
}

fn officers(custody: &Custody) -> anyhow::Result<Vec<Officer>> {
    let path = custody.keys.join("officers.json");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn sha256(path: &Path) -> anyhow::Result<[u8; 32]> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut part).with_context(|| path.display().to_string())?;
        if read == 0 {
            return context.finish().as_ref().try_into().context("a digest has 32 bytes");
        }
        context.update(part.get(..read).unwrap_or_default());
    }
}

fn new_file(path: &Path) -> anyhow::Result<File> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.with_context(|| path.display().to_string())
}

/// Puts a whole new file in the place of the old one.
fn replace(path: &Path, content: &impl Serialize) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    let what = || fresh.display().to_string();
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh).with_context(what)?;
    file.write_all(serde_json::to_string_pretty(content)?.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(what)?;
    std::fs::rename(&fresh, path).with_context(|| path.display().to_string())
}
