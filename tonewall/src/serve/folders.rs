//! The files and folders of the two processes: made by root, and handed over once.
//!
//! # Invariants
//! - Only what is root's is handed over, and only where nobody but root can put something else in its place: no link is
//!   followed that another user has made, and no folder on the way may be changed by others.
//! - A folder that holds anything but what its process keeps there stays whose it is. `/run` and `/var/lib` are such.

use anyhow::{Context, bail};
use std::fs::{DirBuilder, Metadata, Permissions, symlink_metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::Path;

const ROOT: u32 = 0;
/// Writable for the group or for everybody.
const LOOSE: u32 = 0o022;
/// Everybody may add to it, and change only what is their own.
const STICKY: u32 = 0o1000;
const WAY_OUT: &str = "move it below a folder of root's, such as /etc/tonewall or /var/lib/tonewall, or use --one-user";

/// Who gets it.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Whose the place is in which something is to be made or handed over.
#[derive(PartialEq, Eq)]
enum Place {
    /// Root's, up to `/`.
    Roots,
    /// The process's own: it needs no help there, and what it has put there is not to be trusted by root.
    Owners,
}

/// Makes a folder for a process, or hands over one of root's with what root left in it (`tonewall user add`). One that
/// is the process's already, or stands in a folder of its own, is left to it.
pub(super) fn hand_over_folder(
    folder: &Path,
    owner: Owner,
    mode: u32,
    keeps: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    let Some(above) = folder.parent() else { bail!("{} cannot be given away", folder.display()) };
    if place(above, owner)? == Place::Owners {
        return Ok(());
    }
    make_way(above)?;
    match found(folder)? {
        None => DirBuilder::new().mode(0o700).create(folder).with_context(|| shown(folder))?,
        Some(found) if !found.is_dir() => bail!("{} is no folder", folder.display()),
        Some(found) if found.uid() == owner.uid => return Ok(()),
        Some(found) => hand_over_entries(folder, &found, owner, keeps)?,
    }
    give(folder, owner, mode)
}

/// Hands over a file of root's, if it is there.
pub(super) fn hand_over_file(file: &Path, owner: Owner, mode: u32) -> anyhow::Result<()> {
    let Some(data) = found(file)? else { return Ok(()) };
    let place = place(file.parent().unwrap_or(Path::new("/")), owner)?;
    if !data.is_file() {
        bail!("{} is a link or no file: put the file itself there", file.display());
    }
    match data.uid() {
        uid if uid == owner.uid && place == Place::Owners => Ok(()),
        uid if (uid == owner.uid || uid == ROOT) && place == Place::Roots => give(file, owner, mode),
        uid => bail!("{} belongs to user {uid}: give it to the owner of its folder", file.display()),
    }
}

fn hand_over_entries(
    folder: &Path,
    found: &Metadata,
    owner: Owner,
    keeps: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    if found.uid() != ROOT {
        bail!("{} belongs to user {}: make it root's, or name another folder", folder.display(), found.uid());
    }
    if found.mode() & LOOSE != 0 {
        bail!("others may write in {}: name a folder that is Tonewall's alone", folder.display());
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| shown(folder))? {
        let entry = entry.with_context(|| shown(folder))?;
        if !entry.file_name().to_str().is_some_and(&keeps) {
            let name = entry.file_name();
            bail!("{} holds {}: name a folder that is Tonewall's alone", folder.display(), name.display());
        }
        entries.push(entry.path());
    }
    for entry in entries {
        lchown(&entry, Some(owner.uid), Some(owner.gid)).with_context(|| shown(&entry))?;
    }
    Ok(())
}

/// Looks at every folder on the way, as it is written and as it is after root's links.
fn place(folder: &Path, owner: Owner) -> anyhow::Result<Place> {
    if walk(folder, owner)? == Place::Owners {
        return Ok(Place::Owners);
    }
    match folder.ancestors().find(|path| path.exists()) {
        Some(there) => walk(&there.canonicalize().with_context(|| shown(there))?, owner),
        None => Ok(Place::Roots),
    }
}

fn walk(folder: &Path, owner: Owner) -> anyhow::Result<Place> {
    for path in top_down(folder) {
        let Some(found) = found(path)? else { break };
        match found.uid() {
            uid if uid == owner.uid && found.is_dir() => return Ok(Place::Owners),
            ROOT if found.is_symlink() => {}
            ROOT if found.mode() & LOOSE == 0 || found.mode() & STICKY != 0 => passable(path, &found, owner)?,
            ROOT => bail!("others may write in {}: nothing is handed over there; {WAY_OUT}", path.display()),
            uid => bail!("{} belongs to user {uid}: nothing is handed over there; {WAY_OUT}", path.display()),
        }
    }
    Ok(Place::Roots)
}

/// Better said here than by a process that does not find what was made for it.
fn passable(folder: &Path, found: &Metadata, owner: Owner) -> anyhow::Result<()> {
    if found.mode() & 0o001 == 0 && (found.gid() != owner.gid || found.mode() & 0o010 == 0) {
        let folder = folder.display();
        bail!("user {} cannot pass through {folder}: let others do so (chmod o+x {folder}); {WAY_OUT}", owner.uid);
    }
    Ok(())
}

/// Makes the folders above, for everybody to pass.
fn make_way(folder: &Path) -> anyhow::Result<()> {
    for path in top_down(folder).into_iter().filter(|path| !path.exists()) {
        std::fs::create_dir(path).with_context(|| shown(path))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).with_context(|| shown(path))?;
    }
    Ok(())
}

fn top_down(folder: &Path) -> Vec<&Path> {
    let mut paths: Vec<&Path> = folder.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
    paths.reverse();
    paths
}

/// What is there itself, not what a link leads to.
fn found(path: &Path) -> anyhow::Result<Option<Metadata>> {
    match symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| shown(path)),
    }
}

/// Rights last: whoever owns it may set them, so nothing is open in between.
fn give(path: &Path, owner: Owner, mode: u32) -> anyhow::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).with_context(|| shown(path))?;
    lchown(path, Some(owner.uid), Some(owner.gid)).with_context(|| shown(path))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, symlink};
    use std::path::PathBuf;

    const OWNER: Owner = Owner { uid: 54_321, gid: 54_322 };
    const STRANGER: u32 = 54_323;

    /// A folder of root's that goes with the test; none when we are not root and can hand over nothing.
    struct World(PathBuf);

    impl World {
        fn new(name: &str) -> Option<Self> {
            let folder = std::env::temp_dir().join(format!("tonewall-folders-{name}-{}", std::process::id()));
            DirBuilder::new().mode(0o755).create(&folder).unwrap();
            let world = Self(folder);
            (symlink_metadata(&world.0).unwrap().uid() == ROOT).then_some(world)
        }

        fn folder(&self, name: &str, uid: u32) -> PathBuf {
            let folder = self.0.join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
            chown(&folder, Some(uid), Some(uid)).unwrap();
            folder
        }

        fn rights(&self, name: &str) -> (u32, u32, u32) {
            let found = symlink_metadata(self.0.join(name)).unwrap();
            (found.uid(), found.gid(), found.mode() & 0o777)
        }

        fn hand_over(&self, name: &str) -> Result<(), String> {
            let keeps = |name: &str| name.starts_with("journal.db");
            hand_over_folder(&self.0.join(name), OWNER, 0o710, keeps).map_err(|error| error.to_string())
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_configured_folder_is_made_or_handed_over_with_what_root_left() {
        let Some(world) = World::new("made") else { return };
        world.hand_over("var/lib/cde").unwrap();
        assert_eq!(world.rights("var/lib/cde"), (OWNER.uid, OWNER.gid, 0o710));
        assert_eq!(world.rights("var/lib"), (ROOT, ROOT, 0o755), "the process can get there");
        let left = world.folder("left", ROOT);
        std::fs::write(left.join("journal.db-wal"), "").unwrap();
        world.hand_over("left").unwrap();
        assert_eq!(world.rights("left/journal.db-wal").0, OWNER.uid);
        // Again, at the next start: nothing is wrong with it, and nothing is left to do below it.
        world.hand_over("left").unwrap();
        world.hand_over("left/door").unwrap();
        assert!(!left.join("door").exists());
    }

    #[test]
    fn a_folder_that_others_use_is_never_handed_over() {
        let Some(world) = World::new("shared") else { return };
        let shared = world.folder("run", ROOT);
        std::fs::write(shared.join("sshd.pid"), "1").unwrap();
        assert!(world.hand_over("run").unwrap_err().contains("holds sshd.pid"));
        world.folder("hers", STRANGER);
        assert!(world.hand_over("hers").unwrap_err().contains("belongs to user 54323"));
        assert!(world.hand_over("hers/cde").unwrap_err().contains("belongs to user 54323"));
        std::fs::set_permissions(world.folder("loose", ROOT), Permissions::from_mode(0o777)).unwrap();
        assert!(world.hand_over("loose").unwrap_err().contains("others may write"));
        assert!(world.hand_over("loose/cde").unwrap_err().contains("others may write"));
        assert_eq!((world.rights("run").0, world.rights("loose").0), (ROOT, ROOT));
    }

    #[test]
    fn a_way_that_the_process_cannot_go_is_said() {
        let Some(world) = World::new("way") else { return };
        std::fs::set_permissions(world.folder("var", ROOT), Permissions::from_mode(0o700)).unwrap();
        let refused = world.hand_over("var/cde").unwrap_err();
        assert!(refused.contains("cannot pass through") && refused.contains("chmod o+x"), "{refused}");
    }

    #[test]
    fn no_link_is_followed() {
        let Some(world) = World::new("link") else { return };
        world.folder("etc", ROOT);
        symlink(world.0.join("etc"), world.0.join("cde")).unwrap();
        assert!(world.hand_over("cde").unwrap_err().contains("is no folder"));
        world.folder("hers", STRANGER);
        symlink(world.0.join("hers"), world.0.join("way")).unwrap();
        assert!(world.hand_over("way/cde").unwrap_err().contains("belongs to user 54323"));
        std::fs::write(world.0.join("etc/shadow"), "").unwrap();
        symlink(world.0.join("etc/shadow"), world.0.join("cde.toml")).unwrap();
        let refused = hand_over_file(&world.0.join("cde.toml"), OWNER, 0o600).unwrap_err().to_string();
        assert!(refused.contains("is a link"), "{refused}");
        assert_eq!((world.rights("etc").0, world.rights("etc/shadow").0), (ROOT, ROOT));
    }
}
