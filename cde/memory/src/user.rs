//! A process of another user, with the few capabilities that it needs at its start.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A user and its only group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
}

/// A right of root's (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// To set up the network.
    NetAdmin,
    /// To write packets.
    NetRaw,
    /// To give programs to the kernel.
    Bpf,
}

impl Capability {
    fn number(self) -> u32 {
        match self {
            Self::NetAdmin => 12,
            Self::NetRaw => 13,
            Self::Bpf => 39,
        }
    }
}

/// Lets the command run as this user. It begins with these capabilities, where the system lets it, and with no other.
pub fn run_as(command: &mut Command, user: User, keeps: &'static [Capability]) {
    // SAFETY: the closure runs in the new process before its program: it makes system calls and nothing else, no lock and
    // no memory.
    unsafe { command.pre_exec(move || change(user, keeps)) };
}

fn change(user: User, keeps: &[Capability]) -> io::Result<()> {
    let keeps_any = libc::c_ulong::from(!keeps.is_empty());
    // SAFETY: takes plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, keeps_any, NONE, NONE, NONE) })?;
    // SAFETY: a list of no groups.
    check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: takes a number.
    check(unsafe { libc::setgid(user.gid) })?;
    // SAFETY: takes a number.
    check(unsafe { libc::setuid(user.uid) })?;
    if !keeps.is_empty() {
        // Without them the process does its work too, if more slowly.
        let _ = keep(keeps);
    }
    Ok(())
}

/// Only what is in the ambient set is left when another program begins.
fn keep(keeps: &[Capability]) -> io::Result<()> {
    crate::process::set_capabilities(keeps.iter().fold(0, |set, keep| set | 1 << keep.number()))?;
    for capability in keeps {
        let number = libc::c_ulong::from(capability.number());
        // SAFETY: takes plain numbers.
        check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, AMBIENT_RAISE, number, NONE, NONE) })?;
    }
    Ok(())
}

const NONE: libc::c_ulong = 0;
/// `PR_CAP_AMBIENT_RAISE` of linux/prctl.h.
const AMBIENT_RAISE: libc::c_ulong = 2;

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_users_process_has_what_it_was_given_and_nothing_else() {
        let status = |keeps| {
            let mut command = Command::new("cat");
            command.arg("/proc/self/status");
            run_as(&mut command, User { uid: 54_321, gid: 54_322 }, keeps);
            match command.output() {
                // Only root can become another user.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
                output => Some(String::from_utf8(output.unwrap().stdout).unwrap()),
            }
        };
        let Some(given) = status(&[Capability::NetAdmin, Capability::NetRaw, Capability::Bpf]) else { return };
        let line = |status: &str, name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        for set in ["CapEff:", "CapPrm:"] {
            assert_eq!(line(&given, set), ["0000008000003000"]);
            assert_eq!(line(&status(&[]).unwrap(), set), ["0000000000000000"]);
        }
        assert_eq!(line(&given, "Uid:"), vec!["54321"; 4]);
        assert_eq!(line(&given, "Gid:"), vec!["54322"; 4]);
        assert!(line(&given, "Groups:").is_empty());
    }
}
