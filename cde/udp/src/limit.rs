//! What the system allows a process: open ports, short sleeps.

use std::io;

/// Raises the limit of open files as far as this process may, and says how high it is then. A port takes one file; the
/// usual limit of 1,024 is for programs that use `select`.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes one `rlimit`, which is there and ours.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: the call reads one `rlimit`, which is there.
    let done = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0;
    Ok(if done { raised.rlim_cur } else { limit.rlim_cur })
}

/// Lets this thread sleep as short as it asks; usually the system adds 50 microseconds, to wake several at once. A refusal
/// costs nothing but that.
pub fn sleep_exactly() {
    let nanosecond: libc::c_ulong = 1;
    // SAFETY: takes plain numbers.
    let _ = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanosecond, 0, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_known() {
        let limit = raise_open_files().unwrap();
        assert!(limit > 0);
        assert_eq!(raise_open_files().unwrap(), limit);
    }
}
