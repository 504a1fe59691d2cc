//! The agents' PINs on disk: keyed hashes in a file of the data folder, and the key beside it. `tonewall pin` writes them; the
//! running cde looks every few seconds whether they have changed. A PIN itself is nowhere, and the office has no word for it.

use crate::{NodeError, io, seeds::Seeds};
use call::pins::{Hash, Pins};
use std::collections::BTreeMap;
use std::io::{Error, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use wire::Extension;

/// The fewest and the most digits of a PIN.
pub const DIGITS: std::ops::RangeInclusive<usize> = 6..=12;

const HASHES: &str = "pins";
const KEY: &str = "pin.key";

/// Why a PIN is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Not so many digits.
    #[error("a PIN has {} to {} digits and nothing else", DIGITS.start(), DIGITS.end())]
    Digits,
    /// The first that anybody would try.
    #[error("this PIN is among the first that anybody would try: take one that is no row and no repetition")]
    Weak,
}

/// Checks a PIN before it is set.
pub fn check(pin: &str) -> Result<(), PinError> {
    if !DIGITS.contains(&pin.len()) || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PinError::Digits);
    }
    let steps = pin.as_bytes().windows(2).filter_map(|two| match two {
        [one, other] => Some(other.wrapping_sub(*one)),
        _ => None,
    });
    let steps: std::collections::BTreeSet<u8> = steps.collect();
    let is_row = steps.len() == 1 && [0, 1, u8::MAX].iter().any(|step| steps.contains(step));
    if is_row { Err(PinError::Weak) } else { Ok(()) }
}

/// Sets an agent's PIN, or takes it away. Root may do this for the cde's user: the files become the folder's owner's.
pub fn set(data: &Path, extension: &Extension, pin: Option<&str>) -> Result<(), NodeError> {
    let what = || format!("data folder {}", data.display());
    std::fs::create_dir_all(data).map_err(io(what()))?;
    let owner = std::fs::metadata(data).map_err(io(what()))?;
    let key_file = data.join(KEY);
    let key = crate::secret(&key_file, &Seeds::new())?;
    chown(&key_file, Some(owner.uid()), Some(owner.gid())).map_err(io(what()))?;
    let mut hashes = read(data).map_err(io(what()))?;
    match pin {
        None => drop(hashes.remove(extension)),
        Some(pin) => {
            check(pin).map_err(|problem| io("PIN")(Error::other(problem)))?;
            let hash = Pins::new(&key, BTreeMap::new()).hash(extension, pin);
            let hash = hash.ok_or_else(|| io("PIN")(Error::other(PinError::Digits)))?;
            hashes.insert(extension.clone(), hash);
        }
    }
    write(data, &hashes, (owner.uid(), owner.gid())).map_err(io(what()))
}

/// As a whole or not at all.
fn write(data: &Path, hashes: &BTreeMap<Extension, Hash>, (uid, gid): (u32, u32)) -> Result<(), Error> {
    let (file, fresh) = (data.join(HASHES), data.join("pins.new"));
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut created = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    for (extension, hash) in hashes {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(created, "{extension} {hex}")?;
    }
    created.sync_all()?;
    chown(&fresh, Some(uid), Some(gid))?;
    std::fs::rename(&fresh, &file)
}

fn read(data: &Path) -> Result<BTreeMap<Extension, Hash>, Error> {
    let text = match std::fs::read_to_string(data.join(HASHES)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        text => text?,
    };
    let line = |(number, line): (usize, &str)| {
        let entry = line.split_once(' ').and_then(|(extension, hex)| Some((extension.parse().ok()?, bytes(hex)?)));
        entry.ok_or_else(|| {
            Error::other(format!("{HASHES}, line {}: expected an extension and 64 hex digits", number + 1))
        })
    };
    text.lines().enumerate().map(line).collect()
}

fn bytes(hex: &str) -> Option<Hash> {
    let digits: Vec<&[u8]> = hex.as_bytes().chunks(2).collect();
    let byte = |two: &&[u8]| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok();
    digits.iter().map(byte).collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// Looks at the files again and again.
pub(crate) struct Watch {
    data: PathBuf,
    seen: Option<SystemTime>,
}

impl Watch {
    pub(crate) fn new(data: &Path) -> Self {
        Self { data: data.to_owned(), seen: None }
    }

    /// The PINs, if they are others than before. What cannot be read changes nothing, and is said.
    pub(crate) fn look(&mut self) -> Option<Pins> {
        let changed = std::fs::metadata(self.data.join(HASHES)).ok()?.modified().ok()?;
        if self.seen.replace(changed) == Some(changed) {
            return None;
        }
        let pins = crate::secret(&self.data.join(KEY), &Seeds::new()).and_then(|key| {
            let hashes = read(&self.data).map_err(io("the agents' PINs"))?;
            Ok(Pins::new(&key, hashes))
        });
        pins.inspect_err(|error| tracing::error!(%error, "the PINs of before stay")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Folder;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_pin_is_six_digits_that_are_no_row() {
        for good in ["481516", "121212", "000001", "135791357913"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["48151", "4815162342481", "48151a", "", "48 151"] {
            assert_eq!(check(bad), Err(PinError::Digits), "{bad}");
        }
        for weak in ["000000", "123456", "987654", "77777777"] {
            assert_eq!(check(weak), Err(PinError::Weak), "{weak}");
        }
    }

    #[test]
    fn a_pin_that_was_set_is_on_disk_as_a_hash_for_its_user_alone() {
        let folder = Folder::new();
        let extension: Extension = "1001".parse().unwrap();
        let mut watch = Watch::new(&folder.0);
        assert!(watch.look().is_none(), "no file, no PINs");
        set(&folder.0, &extension, Some("481516")).unwrap();
        assert!(watch.look().is_some() && watch.look().is_none(), "once");
        for file in [HASHES, KEY] {
            let file = folder.0.join(file);
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(!String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains("481516"));
        }
        let hash = read(&folder.0).unwrap()[&extension];
        set(&folder.0, &"1002".parse().unwrap(), Some("481516")).unwrap();
        assert_eq!(read(&folder.0).unwrap()[&extension], hash, "the others stay");
        assert_ne!(read(&folder.0).unwrap()[&"1002".parse().unwrap()], hash, "and cannot be compared");
        set(&folder.0, &extension, None).unwrap();
        assert_eq!(read(&folder.0).unwrap().len(), 1);
        assert!(set(&folder.0, &extension, Some("123456")).is_err());
    }

    #[test]
    fn a_file_that_is_damaged_is_said_with_its_line() {
        let folder = Folder::new();
        std::fs::write(folder.0.join(HASHES), "1001 abc\n").unwrap();
        assert!(read(&folder.0).unwrap_err().to_string().contains("line 1"));
        assert!(Watch::new(&folder.0).look().is_none());
    }
}
