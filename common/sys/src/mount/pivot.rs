//! The root of a mount namespace is exchanged for another.

use super::unescape;
use crate::Result;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::{Path, PathBuf};

/// pivot_root(2) into `root` and drops the old root: both are the same directory, the old one
/// lies on top (pivot_root(2), NOTES). What is unmounted of it stays mounted for everybody else.
pub fn pivot_root(root: &Path) -> Result<()> {
    let old = crate::inroot::root(Path::new("/"))?;
    nix::unistd::chdir(root)?;
    nix::unistd::pivot_root(".", ".")?;
    // By the old one's handle: `.` is the new one still, below it.
    nix::unistd::fchdir(&old)?;
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(None::<&str>, ".", None::<&str>, slave, None::<&str>)?;
    umount2(".", MntFlags::MNT_DETACH)?;
    Ok(nix::unistd::chdir("/")?)
}

/// Whether pivot_root(2) cannot leave the root: the kernel's first one, in memory, is at the bottom
/// of every tree (Documentation/filesystems/ramfs-rootfs-initramfs.rst).
pub fn is_initramfs() -> bool {
    const RAMFS: i64 = 0x8584_58f6;
    const TMPFS: i64 = 0x0102_1994;
    super::magic(Path::new("/")).is_ok_and(|m| m == RAMFS || m == TMPFS)
}

/// MS_MOVE of `root` over the old root, and chroot(2). The old root stays below, out of reach by any
/// path; the proc and sysfs mounts in it are taken away, since by being there unmasked they would
/// allow new ones to a user namespace inside.
pub fn move_root(root: &Path) -> Result<()> {
    let root = std::fs::canonicalize(root)?;
    for at in whole_kernel_mounts(&crate::io::text("/proc/self/mountinfo")?) {
        if !at.starts_with(&root) {
            hide(&at)?;
        }
    }
    nix::unistd::chdir(&root)?;
    mount(Some(&root), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    nix::unistd::chroot(".")?;
    Ok(nix::unistd::chdir("/")?)
}

/// chroot(2), for a process that has no mount namespace of its own.
pub fn change_root(root: &Path) -> Result<()> {
    nix::unistd::chdir(root)?;
    nix::unistd::chroot(".")?;
    Ok(nix::unistd::chdir("/")?)
}

fn whole_kernel_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let of = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let kind = right.split(' ').next()?;
        let mut fields = left.split(' ').skip(3);
        let whole = fields.next()? == "/" && ["proc", "sysfs"].contains(&kind);
        fields.next().filter(|_| whole).map(unescape)
    };
    mountinfo.lines().filter_map(of).collect()
}

fn hide(at: &Path) -> Result<()> {
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    match mount(None::<&str>, at, None::<&str>, slave, None::<&str>) {
        // It was below one that has gone.
        Err(nix::Error::ENOENT | nix::Error::EINVAL) => return Ok(()),
        other => other?,
    }
    match umount2(at, MntFlags::MNT_DETACH) {
        Err(nix::Error::EINVAL | nix::Error::EPERM) => {
            Ok(mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), None::<&str>)?)
        }
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_mounts_of_proc_and_sysfs() {
        let text = "\
1 0 8:1 / / rw - ext4 /dev/sda rw
2 1 0:5 / /proc rw - proc proc rw
3 1 0:5 /sys /srv/part rw - proc proc rw
4 1 0:6 / /my\\040sys rw shared:3 - sysfs sysfs rw
";
        assert_eq!(whole_kernel_mounts(text), [Path::new("/proc"), Path::new("/my sys")]);
    }
}
