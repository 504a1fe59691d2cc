//! Hardening of the process that holds cards.

/// A hardening step that the system refused.
#[derive(Debug, thiserror::Error)]
#[error("could not harden the process ({step}): {source}")]
pub struct HardenError {
    step: &'static str,
    source: std::io::Error,
}

/// No core dumps, no reading by other processes of the same user, no file that another user may read unless it is
/// given to them, no new privileges.
/// Call it first thing, before any secret can be there and before any thread is started; and [`drop_capabilities`] as soon
/// as nothing needs them any more.
pub fn harden() -> Result<(), HardenError> {
    no_core_dumps()?;
    files_for_this_user_alone();
    prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, 0)?;
    prctl("PR_SET_NO_NEW_PRIVS", libc::PR_SET_NO_NEW_PRIVS, 1)
}

fn check(step: &'static str, result: libc::c_int) -> Result<(), HardenError> {
    if result == 0 { Ok(()) } else { Err(HardenError { step, source: std::io::Error::last_os_error() }) }
}

fn no_core_dumps() -> Result<(), HardenError> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer leads to a valid rlimit for the length of the call.
    check("RLIMIT_CORE", unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) })
}

/// SQLite, recordings, whatever a library makes: the group, which is the office's too, gets nothing by default.
fn files_for_this_user_alone() {
    // SAFETY: takes a number, cannot fail.
    unsafe { libc::umask(0o077) };
}

fn prctl(step: &'static str, option: libc::c_int, value: libc::c_ulong) -> Result<(), HardenError> {
    let zero: libc::c_ulong = 0;
    // SAFETY: these options take plain numbers.
    check(step, unsafe { libc::prctl(option, value, zero, zero, zero) })
}

/// capset(2), header version 3: two 32-bit words for each of the three sets.
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapWord {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// No capability, for this process and for what it starts. Before any thread is started: each has its own.
pub fn drop_capabilities() -> Result<(), HardenError> {
    // Those that other programs would begin with go with those that are held.
    set_capabilities(0).map_err(|source| HardenError { step: "capset", source })
}

/// Holds exactly these of the capabilities that it holds, and lets other programs inherit them.
pub(crate) fn set_capabilities(set: u64) -> std::io::Result<()> {
    let header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let word = |half: u64| {
        let bits = u32::try_from(half & u64::from(u32::MAX)).unwrap_or(0);
        CapWord { effective: bits, permitted: bits, inheritable: bits }
    };
    let words = [word(set), word(set >> 32)];
    // SAFETY: both pointers lead to valid structures of the layout that version 3 asks for.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardened_process_has_no_capability_and_no_core() {
        harden().unwrap();
        drop_capabilities().unwrap();
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line =
            |name: &str| status.lines().find(|l| l.starts_with(name)).unwrap().split_whitespace().nth(1).unwrap();
        assert_eq!(line("CapEff:"), "0000000000000000");
        assert_eq!(line("CapPrm:"), "0000000000000000");
        assert_eq!(line("NoNewPrivs:"), "1");
        assert_eq!(line("Umask:"), "0077");
    }
}
