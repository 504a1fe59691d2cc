//! One region of locked pages, cut into slots.
//!
//! `memfd_secret` (Linux 5.14, on by default since 6.5) takes the pages out of the kernel's own map, so that not even
//! `/proc/PID/mem`, a debugger or another process as root reads them. Where the kernel lacks it, the pages are locked in
//! memory and left out of core dumps.

use crate::wipe::wipe;
use std::ptr::NonNull;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 64;
/// The region tried first: room for 16,384 slots, some 4,000 captures at once.
const REGION_BYTES_MAX: usize = 1024 * 1024;
/// The smallest region worth having; Linux lets every process lock this much.
const REGION_BYTES_MIN: usize = 64 * 1024;

/// How well the slots are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Pages that no other process and no dump can read.
    MemfdSecret,
    /// Pages locked in memory and left out of dumps.
    Mlock,
    /// Ordinary pages: the system allows no locking. A cde process refuses to start like this.
    None,
}

/// Every slot is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no locked memory is left for another card; {REGION_BYTES_MAX} bytes are the most this process takes")]
pub struct Exhausted;

struct Arena {
    protection: Protection,
    free: Mutex<Vec<NonNull<[u8; SLOT_BYTES]>>>,
}

// SAFETY: the pointers lead into a mapping that is never unmapped; each is either in `free`, behind the lock, or owned
// by exactly one `Slot`.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

fn arena() -> &'static Arena {
    static ARENA: OnceLock<Arena> = OnceLock::new();
    ARENA.get_or_init(|| {
        let (region, protection) = map_region();
        let slots = region.map(|(start, bytes)| cut(start, bytes)).unwrap_or_default();
        Arena { protection, free: Mutex::new(slots) }
    })
}

/// How well this process's slots are protected. The first call makes the arena.
pub fn protection() -> Protection {
    arena().protection
}

type Region = Option<(NonNull<u8>, usize)>;

fn map_region() -> (Region, Protection) {
    let sizes =
        || std::iter::successors(Some(REGION_BYTES_MAX), |s| Some(s / 2)).take_while(|s| *s >= REGION_BYTES_MIN);
    if let Some(region) = sizes().find_map(map_secret) {
        return (Some(region), Protection::MemfdSecret);
    }
    if let Some(region) = sizes().find_map(map_locked) {
        return (Some(region), Protection::Mlock);
    }
    (map_anonymous(REGION_BYTES_MIN), Protection::None)
}

fn map_secret(bytes: usize) -> Region {
    let length = libc::off_t::try_from(bytes).ok()?;
    // SAFETY: plain system calls with no pointers but the mapping's own; the descriptor is closed at once, the mapping
    // keeps the pages.
    unsafe {
        let fd = libc::c_int::try_from(libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC)).ok()?;
        if fd < 0 {
            return None;
        }
        let mapped = if libc::ftruncate(fd, length) == 0 { map(bytes, libc::MAP_SHARED, fd) } else { None };
        libc::close(fd);
        // A child of this process would share the pages.
        mapped.filter(|(start, bytes)| libc::madvise(start.as_ptr().cast(), *bytes, libc::MADV_DONTFORK) == 0)
    }
}

fn map_locked(bytes: usize) -> Region {
    let (start, bytes) = map_anonymous(bytes)?;
    // SAFETY: the range is the mapping just made.
    let locked = unsafe { libc::mlock(start.as_ptr().cast(), bytes) } == 0;
    if locked {
        return Some((start, bytes));
    }
    // SAFETY: the mapping just made, of which no pointer was handed out.
    unsafe { libc::munmap(start.as_ptr().cast(), bytes) };
    None
}

fn map_anonymous(bytes: usize) -> Region {
    let region = map(bytes, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
    // SAFETY: the range is the mapping just made; the advice keeps it out of dumps and of children.
    unsafe {
        libc::madvise(region.0.as_ptr().cast(), bytes, libc::MADV_DONTDUMP);
        libc::madvise(region.0.as_ptr().cast(), bytes, libc::MADV_DONTFORK);
    }
    Some(region)
}

fn map(bytes: usize, flags: libc::c_int, fd: libc::c_int) -> Region {
    // SAFETY: a new mapping at an address of the kernel's choice.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    Some((NonNull::new(start.cast())?, bytes))
}

fn cut(start: NonNull<u8>, bytes: usize) -> Vec<NonNull<[u8; SLOT_BYTES]>> {
    // SAFETY: every offset lies within the mapping, and a slot needs no alignment beyond a byte's.
    (0..bytes / SLOT_BYTES).map(|index| unsafe { start.add(index * SLOT_BYTES) }.cast()).collect()
}

/// 64 bytes of locked memory. Zero when taken, wiped when dropped, readable only inside a closure.
pub struct Slot(NonNull<[u8; SLOT_BYTES]>);

// SAFETY: a slot is the only owner of its bytes.
unsafe impl Send for Slot {}
// SAFETY: shared access only reads.
unsafe impl Sync for Slot {}

impl Slot {
    /// Takes a free slot.
    pub fn take() -> Result<Self, Exhausted> {
        let mut free = arena().free.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().map(Self).ok_or(Exhausted)
    }

    /// Reads the bytes.
    pub fn expose<R>(&self, read: impl FnOnce(&[u8; SLOT_BYTES]) -> R) -> R {
        // SAFETY: this slot owns the bytes and is borrowed.
        read(unsafe { self.0.as_ref() })
    }

    /// Changes the bytes.
    pub fn expose_mut<R>(&mut self, change: impl FnOnce(&mut [u8; SLOT_BYTES]) -> R) -> R {
        // SAFETY: this slot owns the bytes and is borrowed exclusively.
        change(unsafe { self.0.as_mut() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.expose_mut(|bytes| wipe(bytes));
        arena().free.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_zero_when_taken_and_wiped_when_dropped() {
        let mut slot = Slot::take().unwrap();
        assert!(slot.expose(|bytes| bytes.iter().all(|b| *b == 0)));
        slot.expose_mut(|bytes| bytes.fill(7));
        let place = slot.0;
        drop(slot);
        // SAFETY: the arena is never unmapped, and this test runs in a process of its own or takes no other slot.
        assert_eq!(unsafe { place.read() }, [0; SLOT_BYTES]);
    }

    #[test]
    fn an_empty_arena_refuses_instead_of_growing() {
        let mut taken = Vec::new();
        while let Ok(slot) = Slot::take() {
            taken.push(slot);
        }
        assert!(taken.len() >= REGION_BYTES_MIN / SLOT_BYTES);
        assert!(Slot::take().is_err());
        drop(taken);
        assert!(Slot::take().is_ok());
    }

    #[test]
    fn slots_are_locked_on_this_system() {
        assert_ne!(protection(), Protection::None);
    }
}
