//! The open ports, in memory that the kernel's program reads: opening and closing one is a store, and asks for no right.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the program knows of a port.
#[repr(C)]
struct Entry {
    /// Zero: the port is not open. Else one more than the number of its thread.
    thread: AtomicU32,
    /// Its only peer, as it stands in a packet; zero: everybody.
    remote_ip4: AtomicU32,
    /// Zero: all ports of that host.
    remote_port: AtomicU32,
    unused: AtomicU32,
}

/// Bytes of an entry.
pub(super) const ENTRY_BYTES: u32 = 16;
const _: () = assert!(size_of::<Entry>() == 16);

/// The entries of a range of ports.
#[derive(Debug)]
pub(super) struct Table {
    entries: NonNull<Entry>,
    ports: usize,
}

// SAFETY: the memory stays where it is until `drop`, and is only read and written through atomics.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    /// The memory of the map.
    pub(super) fn of(map: &OwnedFd, ports: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place that the system chooses takes no memory from anybody.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes(ports), protection, libc::MAP_SHARED, map.as_raw_fd(), 0) };
        match NonNull::new(start.cast::<Entry>()) {
            Some(entries) if start != libc::MAP_FAILED => Ok(Self { entries, ports }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The table has this place.
    pub(super) fn has(&self, port: usize) -> bool {
        port < self.ports
    }

    fn entry(&self, port: usize) -> Option<&Entry> {
        if !self.has(port) {
            return None;
        }
        // SAFETY: the mapping holds so many entries, is aligned to a page, and lives as long as `self`. Every bit pattern
        // is an entry.
        Some(unsafe { self.entries.add(port).as_ref() })
    }

    /// Opens a port for a thread, if it is not open.
    pub(super) fn open(&self, port: usize, thread: u32) -> bool {
        let Some(entry) = self.entry(port) else { return false };
        entry.thread.compare_exchange(0, thread + 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Closes it and forgets its peer.
    pub(super) fn close(&self, port: usize) {
        self.set_peer(port, None);
        self.entry(port).into_iter().for_each(|entry| entry.thread.store(0, Ordering::Release));
    }

    /// Whom it hears. Between the two stores a packet of the peer may be dropped, or one of another port of the same host
    /// come through: the receiver knows its peer as well.
    pub(super) fn set_peer(&self, port: usize, peer: Option<SocketAddrV4>) {
        let Some(entry) = self.entry(port) else { return };
        let ip4 = peer.map_or(0, |peer| u32::from_ne_bytes(peer.ip().octets()));
        let remote_port = peer.map_or(0, |peer| u16::from_ne_bytes(peer.port().to_be_bytes()));
        entry.remote_port.store(remote_port.into(), Ordering::Release);
        entry.remote_ip4.store(ip4, Ordering::Release);
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: it is our mapping, of this length, and nobody has a reference into it any more.
        let _ = unsafe { libc::munmap(self.entries.as_ptr().cast(), bytes(self.ports)) };
    }
}

fn bytes(ports: usize) -> usize {
    ports * size_of::<Entry>()
}
