//! mount(2), the newer mount calls, and fstab's words for their flags.

use crate::{Errno, Result};
use nix::mount::{MntFlags, MsFlags};
use rustix::fs::{AtFlags, StatxFlags, statx};
use rustix::mount as rx;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// OVERLAYFS_SUPER_MAGIC of linux/magic.h.
pub const OVERLAY: i64 = 0x794c_7630;
/// NSFS_MAGIC of linux/magic.h: a pinned namespace.
pub const NSFS: i64 = 0x6e73_6673;

/// mount(2) with fstab's words; words that are no flag go to the file system as its data. The
/// kernel ignores a bind's further flags and any propagation in this call: [`more`] sets them.
pub fn mount(source: &str, target: &Path, kind: Option<&str>, words: &[String]) -> Result<()> {
    let (flags, _, data) = parse(words);
    let bind = flags.contains(MsFlags::MS_BIND);
    let data = if data.is_empty() { None } else { Some(data.as_str()) };
    if bind {
        let plain = flags & (MsFlags::MS_BIND | MsFlags::MS_REC);
        return Ok(nix::mount::mount(Some(source), target, None::<&str>, plain, None::<&str>)?);
    }
    Ok(nix::mount::mount(Some(source), target, kind, flags, data)?)
}

/// Whether [`more`] has anything to do.
pub fn needs_more(words: &[String]) -> bool {
    let (flags, propagation, _) = parse(words);
    propagation.is_some() || (flags.contains(MsFlags::MS_BIND) && flags.difference(BIND) != MsFlags::empty())
}

/// The second half of a mount, on the new mount itself: a bind's flags, and propagation.
pub fn more(target: &Path, words: &[String]) -> Result<()> {
    let (flags, propagation, _) = parse(words);
    let extra = flags.difference(BIND);
    if flags.contains(MsFlags::MS_BIND) && !extra.is_empty() {
        remount_bind(target, extra)?;
    }
    if let Some(p) = propagation {
        nix::mount::mount(None::<&str>, target, None::<&str>, p, None::<&str>)?;
    }
    Ok(())
}

const BIND: MsFlags = MsFlags::MS_BIND.union(MsFlags::MS_REC);

/// Adds flags to a bind mount and keeps those that it has: where the mount came locked from
/// another user namespace, leaving one out is EPERM.
pub fn remount_bind(target: &Path, extra: MsFlags) -> Result<()> {
    let st = nix::sys::statvfs::statvfs(target)?.flags().bits();
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | extra;
    for (bit, flag) in [
        (libc::ST_RDONLY, MsFlags::MS_RDONLY),
        (libc::ST_NOSUID, MsFlags::MS_NOSUID),
        (libc::ST_NODEV, MsFlags::MS_NODEV),
        (libc::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (libc::ST_NOATIME, MsFlags::MS_NOATIME),
        (libc::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (libc::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if st & bit != 0 {
            flags |= flag;
        }
    }
    Ok(nix::mount::mount(None::<&str>, target, None::<&str>, flags, None::<&str>)?)
}

/// Makes a bind mount read-only, its other flags kept.
pub fn remount_readonly(target: &Path) -> Result<()> {
    remount_bind(target, MsFlags::MS_RDONLY)
}

/// The word's flag as mount(8) has it: (flag, whether the word clears it).
fn flag(word: &str) -> Option<(MsFlags, bool)> {
    Some(match word {
        "bind" => (MsFlags::MS_BIND, false),
        "rbind" => (MsFlags::MS_BIND.union(MsFlags::MS_REC), false),
        "ro" => (MsFlags::MS_RDONLY, false),
        "rw" => (MsFlags::MS_RDONLY, true),
        "nosuid" => (MsFlags::MS_NOSUID, false),
        "suid" => (MsFlags::MS_NOSUID, true),
        "nodev" => (MsFlags::MS_NODEV, false),
        "dev" => (MsFlags::MS_NODEV, true),
        "noexec" => (MsFlags::MS_NOEXEC, false),
        "exec" => (MsFlags::MS_NOEXEC, true),
        "sync" => (MsFlags::MS_SYNCHRONOUS, false),
        "async" => (MsFlags::MS_SYNCHRONOUS, true),
        "dirsync" => (MsFlags::MS_DIRSYNC, false),
        "remount" => (MsFlags::MS_REMOUNT, false),
        "noatime" => (MsFlags::MS_NOATIME, false),
        "atime" => (MsFlags::MS_NOATIME, true),
        "nodiratime" => (MsFlags::MS_NODIRATIME, false),
        "diratime" => (MsFlags::MS_NODIRATIME, true),
        "relatime" => (MsFlags::MS_RELATIME, false),
        "norelatime" => (MsFlags::MS_RELATIME, true),
        "strictatime" => (MsFlags::MS_STRICTATIME, false),
        "nostrictatime" => (MsFlags::MS_STRICTATIME, true),
        "defaults" => (MsFlags::empty(), false),
        _ => return None,
    })
}

fn propagation(word: &str) -> Option<MsFlags> {
    let rec = MsFlags::MS_REC;
    Some(match word {
        "private" => MsFlags::MS_PRIVATE,
        "rprivate" => MsFlags::MS_PRIVATE | rec,
        "slave" => MsFlags::MS_SLAVE,
        "rslave" => MsFlags::MS_SLAVE | rec,
        "shared" => MsFlags::MS_SHARED,
        "rshared" => MsFlags::MS_SHARED | rec,
        "unbindable" => MsFlags::MS_UNBINDABLE,
        "runbindable" => MsFlags::MS_UNBINDABLE | rec,
        _ => return None,
    })
}

fn parse(words: &[String]) -> (MsFlags, Option<MsFlags>, String) {
    let (mut flags, mut prop, mut data) = (MsFlags::empty(), None, String::new());
    for word in words {
        if let Some((f, clear)) = flag(word) {
            flags = if clear { flags - f } else { flags | f };
        } else if let Some(p) = propagation(word) {
            prop = Some(p);
        } else {
            if !data.is_empty() {
                data.push(',');
            }
            data.push_str(word);
        }
    }
    (flags, prop, data)
}

/// Changes the propagation of a mount (mount_namespaces(7)): `rslave`, `rprivate`, ...
pub fn propagate(target: &Path, word: &str) -> Result<()> {
    let flags = propagation(word).ok_or(Errno(libc::EINVAL))?;
    Ok(nix::mount::mount(None::<&str>, target, None::<&str>, flags, None::<&str>)?)
}

/// What is in the upper directory is all there, also where the kernel's defaults are others: no
/// directory that only points at a lower one, no file whose data stayed below.
const WHOLE: &str = ",redirect_dir=off,metacopy=off";

/// An overlay as the kernel is asked for it.
pub struct Overlay<'a> {
    /// Topmost first, as `lowerdir=` has them.
    pub lower: &'a [PathBuf],
    /// The directory that takes what is written; none: read-only.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// No sync of the upper file system at umount; a second mount over it is then refused.
    pub volatile: bool,
}

impl Overlay<'_> {
    /// The data of mount(2), as `mount -o` takes it. Colons and commas in paths are escaped.
    pub fn data(&self) -> String {
        let esc = |p: &Path| {
            let s = p.to_string_lossy().replace('\\', "\\\\");
            s.replace(':', "\\:").replace(',', "\\,")
        };
        let lower: Vec<String> = self.lower.iter().map(|p| esc(p)).collect();
        let mut data = format!("lowerdir={}", lower.join(":"));
        if let Some((upper, work)) = self.upper {
            data += &format!(",upperdir={},workdir={}{WHOLE}", esc(upper), esc(work));
        }
        if self.volatile {
            data += ",volatile";
        }
        data
    }

    /// Mounts it on `at`. One mount(2) where the options fit its page; else fsopen(2) with one
    /// `lowerdir+` a layer (Linux 6.5).
    pub fn mount(&self, at: &Path) -> Result<()> {
        let data = self.data();
        if data.len() < PAGE - 1 {
            let flags = MsFlags::empty();
            return Ok(nix::mount::mount(Some("overlay"), at, Some("overlay"), flags, Some(data.as_str()))?);
        }
        let mnt = self.detached()?;
        let empty_path = rx::MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        Ok(rx::move_mount(&mnt, "", rustix::fs::CWD, at, empty_path)?)
    }

    fn detached(&self) -> Result<OwnedFd> {
        let fs = rx::fsopen("overlay", rx::FsOpenFlags::FSOPEN_CLOEXEC)?;
        for dir in self.lower {
            rx::fsconfig_set_string(&fs, "lowerdir+", dir.as_path())?;
        }
        if let Some((upper, work)) = self.upper {
            rx::fsconfig_set_string(&fs, "upperdir", upper)?;
            rx::fsconfig_set_string(&fs, "workdir", work)?;
            for (key, value) in WHOLE.split(',').filter_map(|w| w.split_once('=')) {
                rx::fsconfig_set_string(&fs, key, value)?;
            }
        }
        if self.volatile {
            rx::fsconfig_set_flag(&fs, "volatile")?;
        }
        rx::fsconfig_create(&fs)?;
        let none = rx::MountAttrFlags::empty();
        Ok(rx::fsmount(&fs, rx::FsMountFlags::FSMOUNT_CLOEXEC, none)?)
    }
}

/// The longest data that mount(2) takes; beyond it the kernel's answer misleads.
pub const PAGE: usize = 4096;

/// Whether a mount's root lies at `path`, and of which file system (statfs(2) magic).
pub fn is_mount(path: &Path) -> Result<Option<i64>> {
    let st =
        statx(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::TYPE)?;
    if !st.stx_attributes.contains(rustix::fs::StatxAttributes::MOUNT_ROOT) {
        return Ok(None);
    }
    magic(path).map(Some)
}

/// The kind of file system at a path (statfs(2), f_type).
pub fn magic(path: &Path) -> Result<i64> {
    Ok(rustix::fs::statfs(path)?.f_type as i64)
}

/// Takes away every mount stacked at `path`; none there is fine. Detached, so that a process
/// which still stands in it keeps its view and nothing blocks.
pub fn umount_all(path: &Path) -> Result<()> {
    loop {
        match nix::mount::umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            Err(nix::Error::EINVAL | nix::Error::ENOENT) => return Ok(()),
            // Refused before the kernel looks whether there is anything.
            Err(nix::Error::EPERM) if !matches!(is_mount(path), Ok(Some(_))) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
pub fn unescape(field: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let (mut out, bytes) = (Vec::new(), field.as_bytes());
    let mut i = 0;
    while i < bytes.len() {
        let octal = field.get(i + 1..i + 4).and_then(|o| u8::from_str_radix(o, 8).ok());
        match (bytes[i], octal) {
            (b'\\', Some(b)) => {
                out.push(b);
                i += 4;
            }
            (b, _) => {
                out.push(b);
                i += 1;
            }
        }
    }
    std::ffi::OsString::from_vec(out).into()
}

/// pivot_root(2) into `root` and drops the old root: both are the same directory, the old one
/// lies on top (pivot_root(2), NOTES).
pub fn pivot_root(root: &Path) -> Result<()> {
    nix::unistd::chdir(root)?;
    nix::unistd::pivot_root(".", ".")?;
    nix::mount::umount2(".", MntFlags::MNT_DETACH)?;
    Ok(nix::unistd::chdir("/")?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_become_flags_and_data() {
        let words: Vec<String> =
            ["nosuid", "ro", "rw", "mode=755", "rslave", "size=1k"].map(String::from).into();
        let (flags, prop, data) = parse(&words);
        assert_eq!(flags, MsFlags::MS_NOSUID);
        assert_eq!(prop, Some(MsFlags::MS_SLAVE | MsFlags::MS_REC));
        assert_eq!(data, "mode=755,size=1k");
    }

    #[test]
    fn mountinfo_octal() {
        assert_eq!(unescape(r"/a\040b\134c\0"), Path::new("/a b\\c\\0"));
    }

    #[test]
    fn overlay_data_escapes() {
        let lower = [PathBuf::from("/a:b"), PathBuf::from("/c,d")];
        let o = Overlay { lower: &lower, upper: Some((Path::new("/u"), Path::new("/w"))), volatile: true };
        assert_eq!(
            o.data(),
            r"lowerdir=/a\:b:/c\,d,upperdir=/u,workdir=/w,redirect_dir=off,metacopy=off,volatile"
        );
    }
}
