//! The root key's file.

use super::{KeyFile, KeyStore, Passphrase, Source, System, custody, passphrase};
use crate::samples::Folder;
use std::os::unix::fs::PermissionsExt;
use vault::Key;

fn other() -> Passphrase {
    Passphrase::new(b"quite another passphrase\nsecond line").unwrap()
}

#[test]
fn the_root_key_opens_with_its_passphrase_alone() {
    let folder = Folder::new();
    let file = folder.0.join("root.key");
    KeyFile::create(&file, &passphrase(), &System).unwrap();
    assert!(KeyFile::create(&file, &passphrase(), &System).is_err(), "it is never overwritten");
    let roots = KeyFile::open(&file, &passphrase()).unwrap();
    let wrapped = roots.wrap(1, b"here", &Key::new(&[7; 32]).unwrap(), &System).unwrap();
    assert!(KeyFile::open(&file, &other()).is_err_and(|error| error.to_string().contains("wrong passphrase")));
    roots.seal_by(&other(), &System).unwrap();
    assert!(KeyFile::open(&file, &passphrase()).is_err(), "the old passphrase opens nothing");
    let again = KeyFile::open(&file, &other()).unwrap();
    assert!(again.unwrap(1, b"here", &wrapped).unwrap().expose(|bytes| *bytes == [7; 32]));
    assert!(again.unwrap(1, b"there", &wrapped).is_err());
    assert!(roots.unwrap(1, b"here", &wrapped).is_ok(), "who had it open goes on");
}

#[test]
fn what_one_process_rotates_the_other_sees_at_once() {
    let folder = Folder::new();
    let file = folder.0.join("root.key");
    KeyFile::create(&file, &passphrase(), &System).unwrap();
    let (one, two) = (KeyFile::open(&file, &passphrase()).unwrap(), KeyFile::open(&file, &passphrase()).unwrap());
    assert_eq!(one.add(&System).unwrap(), 2);
    assert_eq!((two.current().unwrap(), two.roots().unwrap()), (2, vec![1, 2]));
    let wrapped = one.wrap(2, b"", &Key::new(&[7; 32]).unwrap(), &System).unwrap();
    assert!(two.unwrap(2, b"", &wrapped).is_ok());
    assert!(two.retire(2).is_err(), "the current one is in use");
    two.retire(1).unwrap();
    assert_eq!(one.roots().unwrap(), [2]);
    assert!(two.retire(1).is_err());
}

#[test]
fn a_file_that_others_may_read_or_that_was_changed_is_refused() {
    let folder = Folder::new();
    let file = folder.0.join("root.key");
    KeyFile::create(&file, &passphrase(), &System).unwrap();
    let open = || KeyFile::open(&file, &passphrase()).map(drop);
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o640);
    assert!(open().is_err_and(|error| error.to_string().contains("others may read it")));
    mode(0o600);
    assert!(open().is_ok());
    let text = std::fs::read_to_string(&file).unwrap();
    let spoils = [
        text.replace("\"passes\": 3", "\"passes\": 4"),
        text.replace("\"memory_kib\": 65536", "\"memory_kib\": 4294967295"),
        text.replace("\"1\":", "\"2\":"),
        text.replace("\"format\": 1", "\"format\": 2"),
        text.replace("\"salt\": \"", "\"salt\": \"00"),
        String::new(),
    ];
    for spoilt in spoils {
        assert_ne!(spoilt, text);
        std::fs::write(&file, &spoilt).unwrap();
        assert!(open().is_err(), "{spoilt}");
    }
}

#[test]
fn a_passphrase_comes_from_a_file_or_from_systemd_and_is_long_enough() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("tonewall-vault"), "a credential of systemd\n").unwrap();
    let credential = Source::Credential("tonewall-vault".to_owned());
    assert_eq!(credential.read(Some(&folder.0)).unwrap().bytes(), b"a credential of systemd");
    assert!(credential.read(None).is_err_and(|error| error.to_string().contains("LoadCredentialEncrypted")));
    std::fs::write(folder.0.join("short"), "too short\nthough there is a second line").unwrap();
    assert!(Source::File(folder.0.join("short")).read(None).is_err());
    assert!(Source::File(folder.0.join("none")).read(None).is_err_and(|error| error.to_string().contains("none")));
    assert!(custody(&folder).init().is_ok());
}
