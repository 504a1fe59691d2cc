//! Wiping memory so that the compiler cannot leave it out.

use std::alloc::{GlobalAlloc, Layout, System};

/// Fills the bytes with zeros. `explicit_bzero` is defined to happen even if nobody reads the bytes again.
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: the pointer and length are those of one exclusive slice of plain bytes.
    unsafe { libc::explicit_bzero(bytes.as_mut_ptr().cast(), bytes.len()) }
}

/// The system's allocator, but every block is wiped before it is given back. It covers the copies that libraries make
/// of a request on its way to the gateway.
#[derive(Clone, Copy, Debug, Default)]
pub struct WipingAllocator;

// SAFETY: every method forwards to `System` with the same layout; wiping touches only the block that is being freed,
// which the caller owns until then.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block has `layout.size()` bytes and nobody uses it any more.
        unsafe {
            libc::explicit_bzero(block.cast(), layout.size());
            System.dealloc(block, layout);
        }
    }

    // The default `realloc` of the trait allocates, copies and calls `dealloc` above, so the old block is wiped.
    // `System.realloc` is not used because it may move the block and leave the old bytes behind.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiped_bytes_are_zero() {
        let mut bytes = *b"secret";
        wipe(&mut bytes);
        assert_eq!(bytes, [0; 6]);
    }

    #[test]
    fn growing_a_block_keeps_its_content() {
        let layout = Layout::from_size_align(16, 8).unwrap();
        // SAFETY: a block is allocated, written within its size, grown and freed with matching layouts.
        unsafe {
            let block = WipingAllocator.alloc(layout);
            block.write_bytes(7, 16);
            let grown = WipingAllocator.realloc(block, layout, 64);
            assert_eq!(std::slice::from_raw_parts(grown, 16), [7; 16]);
            WipingAllocator.dealloc(grown, Layout::from_size_align(64, 8).unwrap());
        }
    }
}
