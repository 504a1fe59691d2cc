//! What several tests need.

use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use uuid::Uuid;
use wire::{AuditAction, AuditEvent, CallId, Origin};

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("tonewall-node-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.0.join(name)).unwrap().mode() & 0o777
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An address of this process alone: its ports are taken by no test that runs beside it, and no other's packets come there.
pub(crate) fn own_host() -> Ipv4Addr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    // Linux counts processes to 2^22.
    Ipv4Addr::new(127, 64 | high, middle, low)
}

/// What the program does first: reqwest wants to be told whose cryptography it is to use.
pub(crate) fn cryptography() {
    // Another test of this process may have done it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

pub(crate) fn audit() -> AuditEvent {
    AuditEvent {
        origin: Origin::System,
        call: CallId(Uuid::from_u128(9)),
        extension: "1001".parse().unwrap(),
        action: AuditAction::CallStarted,
    }
}
