//! `tonewall vault rotate`

use super::{TenantArguments, custody, with};
use crate::{Folder, print, tell};
use node::custody::{Cards, Source, Tenant};
use std::path::PathBuf;

/// A line of progress after so many keys.
const TOLD_EVERY: u64 = 10_000;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// A new key of a tenant: the keys of all its cards are wrapped anew, then the old one is destroyed.
    Kek(TenantArguments),
    /// A new root key: the keys of all tenants are wrapped anew, then the old one is destroyed.
    Root {
        #[command(flatten)]
        folder: Folder,
    },
    /// Another passphrase for the root key. Put it where cde.toml says afterwards: the next start needs it.
    Passphrase {
        #[command(flatten)]
        folder: Folder,
        /// File with the new passphrase on its first line.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: PathBuf,
    },
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Kek(arguments) => with(&arguments.folder.path, async |_, cards| kek(cards, &arguments.tenant).await),
        Command::Root { folder } => with(&folder.path, async |_, cards| root(cards).await),
        Command::Passphrase { folder, new_passphrase_file } => {
            custody(&folder.path)?.seal_by(&Source::File(new_passphrase_file.clone()))?;
            print("the root key is sealed by the new passphrase, and by no other");
            Ok(())
        }
    }
}

async fn kek(cards: &Cards, tenant: &Tenant) -> anyhow::Result<()> {
    if !cards.rotate_kek(tenant).await? {
        tell("going on with the rotation that was cut off");
    }
    let (mut rewrapped, mut told) = (0, 0);
    loop {
        let progress = cards.rotate_kek_step(tenant).await?;
        rewrapped += progress.rewrapped;
        if rewrapped >= told + TOLD_EVERY {
            told = rewrapped;
            tell(&format!("{rewrapped} keys wrapped anew, {} to go", progress.left));
        }
        if progress.done {
            break;
        }
    }
    print(&format!("tenant {tenant}: {rewrapped} keys wrapped by the new KEK; the old one is destroyed"));
    Ok(())
}

async fn root(cards: &Cards) -> anyhow::Result<()> {
    if !cards.rotate_root()? {
        tell("going on with the rotation that was cut off");
    }
    let mut rewrapped = 0;
    loop {
        let progress = cards.rotate_root_step().await?;
        rewrapped += progress.rewrapped;
        if progress.done {
            break;
        }
    }
    print(&format!("{rewrapped} keys of tenants wrapped by the new root key; the old one is destroyed"));
    Ok(())
}
