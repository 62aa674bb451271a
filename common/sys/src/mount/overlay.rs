//! overlayfs: a directory that takes what is written over layers that do not change.

use crate::Result;
use nix::mount::MsFlags;
use rustix::mount as rx;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What is in the upper directory is all there, also where the kernel's defaults are others: no
/// directory that only points at a lower one, no file whose data stayed below.
const WHOLE: &str = ",redirect_dir=off,metacopy=off";

/// With user attributes neither is done, and the first word is refused.
fn whole(userxattr: bool) -> &'static str {
    if userxattr { "" } else { WHOLE }
}

/// An overlay as the kernel is asked for it.
pub struct Overlay<'a> {
    /// Topmost first, as `lowerdir=` has them.
    pub lower: &'a [PathBuf],
    /// The directory that takes what is written; none: read-only.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// No sync of the upper file system at umount; a second mount over it is then refused.
    pub volatile: bool,
    /// Notes in user.overlay.*: all that may be written in a user namespace.
    pub userxattr: bool,
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
            data += &format!(",upperdir={},workdir={}{}", esc(upper), esc(work), whole(self.userxattr));
        }
        if self.volatile {
            data += ",volatile";
        }
        if self.userxattr {
            data += ",userxattr";
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
            for (key, value) in whole(self.userxattr).split(',').filter_map(|w| w.split_once('=')) {
                rx::fsconfig_set_string(&fs, key, value)?;
            }
        }
        if self.volatile {
            rx::fsconfig_set_flag(&fs, "volatile")?;
        }
        if self.userxattr {
            rx::fsconfig_set_flag(&fs, "userxattr")?;
        }
        rx::fsconfig_create(&fs)?;
        let none = rx::MountAttrFlags::empty();
        Ok(rx::fsmount(&fs, rx::FsMountFlags::FSMOUNT_CLOEXEC, none)?)
    }
}

/// The longest data that mount(2) takes; beyond it the kernel's answer misleads.
pub const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlay_data_escapes() {
        let lower = [PathBuf::from("/a:b"), PathBuf::from("/c,d")];
        let upper = Some((Path::new("/u"), Path::new("/w")));
        let o = Overlay { lower: &lower, upper, volatile: true, userxattr: false };
        assert_eq!(
            o.data(),
            r"lowerdir=/a\:b:/c\,d,upperdir=/u,workdir=/w,redirect_dir=off,metacopy=off,volatile"
        );
    }
}
