//! Under whom the two processes run.
//!
//! Two system users, `tonewall-cde` and `tonewall-office`, and one group, `tonewall-door`, which owns nothing but the
//! door: the cde's files are the cde's alone.

use super::folders::{Owner, hand_over_file, hand_over_folder};
use crate::tell;
use anyhow::Context;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tokio::process::Command;

const CDE: &str = "tonewall-cde";
const OFFICE: &str = "tonewall-office";
const DOOR: &str = "tonewall-door";
const ROOT: u32 = 0;
/// To steer packets (node::MediaSockets).
const MEDIA_RIGHTS: &[node::Capability] =
    &[node::Capability::NetAdmin, node::Capability::NetRaw, node::Capability::Bpf];

/// Who runs what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    /// Both as whoever started us.
    One,
    /// Each its own.
    Two {
        /// The cde's user id.
        cde: u32,
        /// The office's user id.
        office: u32,
        /// The group that may pass the door.
        door: u32,
    },
}

impl Users {
    /// Two users when started as root, unless asked otherwise.
    pub(crate) fn choose(one_user: bool) -> anyhow::Result<Self> {
        if one_user {
            return Ok(Self::One);
        }
        if std::fs::metadata("/proc/self").context("/proc is needed")?.uid() != ROOT {
            anyhow::bail!(
                "only root can start the two processes under two users. Start as root, start `tonewall cde` and \
                 `tonewall office` each as its user, or accept one user for both with --one-user."
            );
        }
        let passwd = std::fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
        let group = std::fs::read_to_string("/etc/group").context("/etc/group")?;
        match (id_of(&passwd, CDE), id_of(&passwd, OFFICE), id_of(&group, DOOR)) {
            (Some(cde), Some(office), Some(door)) => Ok(Self::Two { cde, office, door }),
            _ => anyhow::bail!(
                "the users of the two processes are missing. Make them with\n  groupadd --system {DOOR}\n  \
                 useradd --system --no-create-home --shell /usr/sbin/nologin --gid {DOOR} {CDE}\n  \
                 useradd --system --no-create-home --shell /usr/sbin/nologin --gid {DOOR} {OFFICE}\n\
                 or accept one user for both with --one-user."
            ),
        }
    }

    /// Makes the folders that each process writes to, with what root (`tonewall user add`) left in them, and takes the
    /// cde's file away from everybody else.
    pub(crate) fn prepare(self, folder: &Path, places: &node::Places, database: &Path) -> anyhow::Result<()> {
        let Self::Two { cde, office, door } = self else { return Ok(()) };
        let (cde, office) = (Owner { uid: cde, gid: door }, Owner { uid: office, gid: door });
        let inner = places.recordings.as_deref().map_or("", name);
        let kept = |name: &str| name.starts_with("journal.db") || ["digest.key", "lock", "door", inner].contains(&name);
        hand_over_folder(&places.data, cde, 0o710, kept)?;
        if let Some(recordings) = &places.recordings {
            hand_over_folder(recordings, cde, 0o700, |name| name.ends_with(".wav"))?;
        }
        if let Some(folder) = places.door.parent() {
            hand_over_folder(folder, cde, 0o750, |entry| entry == name(&places.door))?;
        }
        if let Some(folder) = database.parent() {
            let file = name(database);
            hand_over_folder(folder, office, 0o700, |entry| !file.is_empty() && entry.starts_with(file))?;
        }
        let file = folder.join("cde.toml");
        if std::fs::metadata(&file).is_ok_and(|data| data.uid() != cde.uid) {
            tell(&format!("tonewall: {} now belongs to {CDE}, for whom alone it is", file.display()));
        }
        hand_over_file(&file, cde, 0o600)
    }

    /// Sets user, group and the peer that the process must find at the door.
    pub(crate) fn apply(self, command: &mut Command, side: &str) {
        let Self::Two { cde, office, door } = self else { return };
        let (uid, flag, peer) = if side == "cde" { (cde, "--office-uid", office) } else { (office, "--cde-uid", cde) };
        command.arg(flag).arg(peer.to_string());
        // The cde gives them up once its media sockets stand.
        let keeps = if side == "cde" { MEDIA_RIGHTS } else { &[] };
        node::run_as(command.as_std_mut(), node::User { uid, gid: door }, keeps);
    }
}

/// The last part of a path; an empty one for a path that no file can have.
fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The third field of the line of that name, in passwd(5) and group(5) alike.
fn id_of(table: &str, name: &str) -> Option<u32> {
    let line = table.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_their_exact_name() {
        let table = "root:x:0:0::/root:/bin/sh\ntonewall-cde:x:998:997::/:/usr/sbin/nologin\n";
        assert_eq!(id_of(table, "tonewall-cde"), Some(998));
        assert_eq!(id_of(table, "tonewall"), None);
    }
}
