//! `tonewall vault`: the stored cards, seen and looked after from the command line. No command shows a card.

mod purge;
mod rotate;
mod transfer;

use crate::{Folder, log, print, runtime, tell};
use anyhow::{Context, bail, ensure};
use node::custody::{Cards, Custody, Keyring, Purpose, Reason, Store, Tenant, close, now_ms};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Subcommand)]
#[command(
    after_help = "Run it as the user that runs the cde (`sudo -u tonewall-cde tonewall vault …`). All commands may be used while \
    Tonewall runs. docs/vault.md has the key ceremony, backups, and what is not protected."
)]
pub(crate) enum Command {
    /// Makes the root key, where there is none, and gives a tenant its keys. Doing it again changes nothing.
    Init(TenantArguments),
    /// What is there: root keys, tenants, their keys and cards, unfinished rotations.
    Status {
        #[command(flatten)]
        folder: Folder,
    },
    /// New keys for old. May be stopped at any time and called again: it goes on where it was.
    #[command(subcommand)]
    Rotate(rotate::Command),
    /// Makes cards impossible to open, for ever, in every backup too.
    Shred(Shred),
    /// Shreds the cards whose time is over, and writes a signed report of it.
    Purge(purge::Arguments),
    /// Prints where other vaults send this tenant's cards: a public key.
    Address(TenantArguments),
    /// People who may approve exports and imports: each takes two of them.
    #[command(subcommand)]
    Officer(transfer::Officers),
    /// Writes down what two people are to approve.
    #[command(subcommand)]
    Request(transfer::Ask),
    /// Adds a person's approval to a request. It needs no vault: do it on the person's own machine.
    Approve(transfer::Approve),
    /// Seals a tenant's cards to another vault, as two people have approved.
    Export(transfer::Move),
    /// Takes in cards that another vault has sealed to this one, as two people have approved. They keep their tokens.
    Import(transfer::Move),
    /// Copies the records to a file while the vault is in use. No key is in it: without the keys' folder it opens nothing.
    Backup {
        #[command(flatten)]
        folder: Folder,
        /// The new file.
        file: PathBuf,
    },
}

#[derive(clap::Args)]
pub(crate) struct TenantArguments {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Whose cards. Each tenant has keys of its own.
    #[arg(long, default_value = "main")]
    pub(crate) tenant: Tenant,
}

#[derive(clap::Args)]
pub(crate) struct Shred {
    #[command(flatten)]
    tenant: TenantArguments,
    /// Tokens of the cards.
    #[arg(required_unless_present = "whole_tenant", conflicts_with = "whole_tenant")]
    tokens: Vec<String>,
    /// Every card of the tenant, and its keys. Say the tenant's name again.
    #[arg(long, value_name = "TENANT")]
    whole_tenant: Option<Tenant>,
}

pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    node::harden().context("hardening")?;
    log();
    match command {
        Command::Init(arguments) => init(arguments)?,
        Command::Status { folder } => with(&folder.path, async |_, cards| status(cards).await)?,
        Command::Rotate(command) => rotate::run(command)?,
        Command::Shred(arguments) => {
            with(&arguments.tenant.folder.path, async |_, cards| shred(cards, arguments).await)?;
        }
        Command::Purge(arguments) => return purge::run(arguments),
        Command::Address(arguments) => transfer::address(arguments)?,
        Command::Officer(command) => transfer::officer(command)?,
        Command::Request(command) => transfer::ask(command)?,
        Command::Approve(arguments) => transfer::approve(arguments)?,
        Command::Export(arguments) => transfer::export(arguments)?,
        Command::Import(arguments) => transfer::import(arguments)?,
        Command::Backup { folder, file } => with(&folder.path, async |custody, cards| {
            cards.records().back_up(file).await?;
            print(&format!("{}: the records; {} is not in it and must not be", file.display(), custody.keys.display()));
            Ok(())
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the vault is. Files that root made would be closed to the cde.
fn custody(folder: &Path) -> anyhow::Result<Custody> {
    let file = folder.join("cde.toml");
    let owner = std::fs::metadata(&file).with_context(|| file.display().to_string())?.uid();
    let own = std::fs::metadata("/proc/self").context("/proc/self")?.uid();
    ensure!(own == owner, "{} belongs to user {owner}, who runs the cde: run this as that user", file.display());
    Ok(Custody::of(&node::Config::load(&file)?, folder)?)
}

/// Opens the vault, does the work, and closes it.
fn with<T>(folder: &Path, work: impl AsyncFnOnce(&Custody, &Cards) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let custody = custody(folder)?;
    runtime()?.block_on(async {
        let cards = custody.open().await?;
        let done = work(&custody, &cards).await;
        close(Some(&cards)).await;
        done
    })
}

fn init(arguments: &TenantArguments) -> anyhow::Result<()> {
    let custody = custody(&arguments.folder.path)?;
    let is_new = custody.init()?;
    with(&arguments.folder.path, async |custody, cards| {
        tell(&custody.said());
        if is_new {
            print(&format!("a root key was made in {}", custody.keys.display()));
        }
        let tenant = &arguments.tenant;
        let is_new = cards.found(tenant).await?;
        print(&format!("tenant {tenant} {}", if is_new { "has got its keys" } else { "has its keys already" }));
        Ok(())
    })
}

async fn status(cards: &Cards) -> anyhow::Result<()> {
    let roots = cards.key_store().roots()?;
    let current = cards.key_store().current()?;
    print(&format!("root key: version {current}{}", unfinished(roots.len(), "root")));
    for tenant in cards.keyring().tenants().await? {
        let keys = cards.keyring().tenant_keys(&tenant).await?;
        let keks: Vec<_> = keys.iter().filter(|key| key.purpose == Purpose::Records).collect();
        let newest = keks.iter().map(|key| key.version).max().unwrap_or_default();
        let (kept, gone) = cards.records().count(&tenant).await?;
        print(&format!(
            "tenant {tenant}: {kept} cards, {gone} shredded; KEK version {newest}{}",
            unfinished(keks.len(), "kek")
        ));
        for (kek, count) in cards.keyring().count(&tenant).await? {
            print(&format!("  {count} keys of cards under KEK version {kek}"));
        }
    }
    Ok(())
}

fn unfinished(keys: usize, what: &str) -> String {
    if keys > 1 {
        format!(" (a rotation was cut off: go on with `tonewall vault rotate {what}`)")
    } else {
        String::new()
    }
}

async fn shred(cards: &Cards, arguments: &Shred) -> anyhow::Result<()> {
    let tenant = &arguments.tenant.tenant;
    let shred = match &arguments.whole_tenant {
        Some(again) if again == tenant => cards.shred_tenant(now_ms(), tenant).await?,
        Some(_) => bail!("--whole-tenant and --tenant name different tenants: nothing was shredded"),
        None => cards.shred(now_ms(), tenant, &tokens(&arguments.tokens)?, Reason::Shredded).await?,
    };
    print(&format!("tenant {tenant}: {} keys deleted, {} cards removed", shred.keys, shred.records));
    let wanted = u64::try_from(arguments.tokens.len()).unwrap_or(u64::MAX);
    if shred.keys < wanted {
        tell(&format!("{} of the tokens had no card (any more)", wanted - shred.keys));
    }
    Ok(())
}

/// Not by clap, which would repeat what was typed: it may be a card number.
fn tokens(texts: &[String]) -> anyhow::Result<Vec<wire::Token>> {
    let parsed = texts.iter().zip(1..).map(|(text, place)| text.parse().with_context(|| format!("word {place}")));
    parsed.collect()
}
