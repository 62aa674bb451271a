//! User namespaces that hold nothing but an id map, for ID-mapped mounts (mount_setattr(2)).

use crate::process::{Side, clone3, signal, wait};
use crate::{Errno, Result};
use nix::sched::CloneFlags;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};

/// A line of an id map (user_namespaces(7)): first id inside, first outside, how many.
pub type Range = [u32; 3];

/// A user namespace with these maps. It takes a process to make one, which ends at once; its number
/// is asked of /proc, whose pid namespace may be another than the caller's.
pub fn namespace(uids: &[Range], gids: &[Range]) -> Result<OwnedFd> {
    // SAFETY: the tools have one thread when they start a container; the child only waits.
    let (pid, pidfd) = match unsafe { clone3(CloneFlags::CLONE_NEWUSER, None) }? {
        Side::Child => loop {
            nix::unistd::pause();
        },
        Side::Parent(pid, pidfd) => (pid, pidfd),
    };
    let made = (|| {
        let info = fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", pidfd.as_raw_fd()))?;
        let number = info.lines().find_map(|l| l.strip_prefix("Pid:")).ok_or(Errno(libc::ESRCH))?.trim();
        fs::write(format!("/proc/{number}/uid_map"), lines(uids))?;
        fs::write(format!("/proc/{number}/gid_map"), lines(gids))?;
        Ok(File::open(format!("/proc/{number}/ns/user"))?.into())
    })();
    signal(&pidfd, crate::process::KILL)?;
    wait(pid)?;
    made
}

fn lines(map: &[Range]) -> String {
    map.iter().map(|[inside, outside, count]| format!("{inside} {outside} {count}\n")).collect()
}
