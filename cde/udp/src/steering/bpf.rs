//! bpf(2): the four of its commands that are needed. The kernel checks whatever it is given.

use super::program::Instruction;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

// Commands, kinds and flags of linux/bpf.h.
const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;
const PROG_TYPE_SK_LOOKUP: u32 = 30;
const ATTACH_SK_LOOKUP: u32 = 36;

/// A kind of map.
#[derive(Clone, Copy)]
pub(super) enum Map {
    /// An array whose memory we can have as well.
    SharedArray,
    /// Sockets by number.
    Sockets,
}

#[repr(C)]
struct CreateMap {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries_max: u32,
    flags: u32,
}

/// A new map with keys of four bytes.
pub(super) fn create_map(kind: Map, value_bytes: u32, entries_max: u32) -> io::Result<OwnedFd> {
    let (kind, flags) = match kind {
        Map::SharedArray => (2, 1 << 10),
        Map::Sockets => (15, 0),
    };
    // SAFETY: the attributes are those of the command, and hold no address.
    unsafe { descriptor(MAP_CREATE, &CreateMap { kind, key_bytes: 4, value_bytes, entries_max, flags }) }
}

#[repr(C)]
struct UpdateElement {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Puts a socket into a map of sockets.
pub(super) fn put_socket(map: &OwnedFd, number: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
    let socket = number_of(&socket);
    let update = UpdateElement {
        map_fd: number_of(map),
        padding: 0,
        key: address_of(&raw const number),
        value: address_of(&raw const socket),
        flags: 0,
    };
    // SAFETY: the attributes are those of the command; both addresses are of four bytes that live to its end.
    unsafe { call(MAP_UPDATE_ELEM, &update) }.map(drop)
}

#[repr(C)]
struct LoadProgram {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

/// Gives the kernel a program of socket look-up, which it checks.
pub(super) fn load(code: &[Instruction]) -> io::Result<OwnedFd> {
    let load = LoadProgram {
        kind: PROG_TYPE_SK_LOOKUP,
        instructions: u32::try_from(code.len()).unwrap_or(0),
        code: address_of(code.as_ptr()),
        license: address_of(c"Apache-2.0".as_ptr()),
        log_level: 0,
        log_bytes: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"tonewall_media\0\0",
        interface: 0,
        attach: ATTACH_SK_LOOKUP,
    };
    // SAFETY: the attributes are those of the command; the addresses are of so many instructions and of a text with its
    // end, which live to its end.
    unsafe { descriptor(PROG_LOAD, &load) }
}

#[repr(C)]
struct CreateLink {
    program_fd: u32,
    target_fd: u32,
    attach: u32,
    flags: u32,
}

/// Lets the program be asked in this network namespace for as long as the link is open.
pub(super) fn attach(program: &OwnedFd, namespace: &std::fs::File) -> io::Result<OwnedFd> {
    let link = CreateLink {
        program_fd: number_of(program),
        target_fd: number_of(namespace),
        attach: ATTACH_SK_LOOKUP,
        flags: 0,
    };
    // SAFETY: the attributes are those of the command, and hold no address.
    unsafe { descriptor(LINK_CREATE, &link) }
}

fn number_of(fd: &impl AsRawFd) -> u32 {
    u32::try_from(fd.as_raw_fd()).unwrap_or(u32::MAX)
}

fn address_of<T>(pointer: *const T) -> u64 {
    u64::try_from(pointer.expose_provenance()).unwrap_or(0)
}

/// # Safety
/// `attributes` must be what the command takes, and the command one that gives a new descriptor.
unsafe fn descriptor<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: as the caller promises.
    let fd = unsafe { call(command, attributes) }?;
    // SAFETY: the kernel has just made it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// # Safety
/// `attributes` must be what the command takes, with no address in it but of memory that the command may use so.
unsafe fn call<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads so many bytes of the attributes, and takes those that are not there for zero.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    libc::c_int::try_from(result).ok().filter(|result| *result >= 0).ok_or_else(io::Error::last_os_error)
}
