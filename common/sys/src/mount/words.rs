//! The words of fstab(5) and of the runtime specification (config.md, Linux mount options), and what
//! each of them asks the kernel for.

use std::ops::BitOr;

/// Flags of mount(2).
pub(super) const RDONLY: u64 = libc::MS_RDONLY;
pub(super) const NOSUID: u64 = libc::MS_NOSUID;
pub(super) const NODEV: u64 = libc::MS_NODEV;
pub(super) const NOEXEC: u64 = libc::MS_NOEXEC;
pub(super) const NOSYMFOLLOW: u64 = 256; // linux/mount.h
pub(super) const NOATIME: u64 = libc::MS_NOATIME;
pub(super) const NODIRATIME: u64 = libc::MS_NODIRATIME;
pub(super) const RELATIME: u64 = libc::MS_RELATIME;
pub(super) const STRICTATIME: u64 = libc::MS_STRICTATIME;

/// Attributes of a mount (mount_setattr(2)).
pub(super) mod attr {
    pub const RDONLY: u64 = 0x1;
    pub const NOSUID: u64 = 0x2;
    pub const NODEV: u64 = 0x4;
    pub const NOEXEC: u64 = 0x8;
    /// One field of several bits: relatime is 0 in it.
    pub const ATIME: u64 = 0x70;
    pub const NOATIME: u64 = 0x10;
    pub const STRICTATIME: u64 = 0x20;
    pub const NODIRATIME: u64 = 0x80;
    pub const IDMAP: u64 = 0x10_0000;
    pub const NOSYMFOLLOW: u64 = 0x20_0000;
}

/// The flags that are attributes of a single bit.
const PLAIN: [(u64, u64); 5] = [
    (RDONLY, attr::RDONLY),
    (NOSUID, attr::NOSUID),
    (NODEV, attr::NODEV),
    (NOEXEC, attr::NOEXEC),
    (NOSYMFOLLOW, attr::NOSYMFOLLOW),
];

/// What is set, and what is cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Bits to set.
    pub set: u64,
    /// Bits to clear.
    pub clear: u64,
}

impl Change {
    /// A later word wins.
    fn set(&mut self, bits: u64) {
        self.set |= bits;
        self.clear &= !bits;
    }

    fn clear(&mut self, bits: u64) {
        self.clear |= bits;
        self.set &= !bits;
    }

    /// Whether it changes nothing.
    pub fn is_empty(self) -> bool {
        self == Change::default()
    }
}

impl BitOr for Change {
    type Output = Change;
    fn bitor(self, other: Change) -> Change {
        Change { set: self.set | other.set, clear: self.clear | other.clear }
    }
}

/// The options of one mount, told apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words {
    /// `bind` or `rbind`: whether what is mounted below the source comes along.
    pub bind: Option<bool>,
    /// A change of a mount that is there.
    pub remount: bool,
    /// Flags of mount(2), without those of the kind of mount.
    pub flags: Change,
    /// Attributes for the mount and all below it: `rro` and its like.
    pub recursive: Change,
    /// Propagation (mount_namespaces(7)), in order: an MS_ flag, perhaps with MS_REC.
    pub propagation: Vec<u64>,
    /// `idmap` or `ridmap`: whether the map holds for what is mounted below too.
    pub idmap: Option<bool>,
    /// `tmpcopyup`: a tmpfs begins with what it hides.
    pub copy_up: bool,
    /// `copy-symlink`: a source that is a symbolic link is made anew, not followed.
    pub copy_link: bool,
    /// `src-nofollow`: such a source is mounted as the link that it is.
    pub source_nofollow: bool,
    /// `dest-nofollow`: a destination that is a link is mounted on, not followed.
    pub to_nofollow: bool,
    /// Everything else: the file system's own.
    pub data: Vec<String>,
}

impl Words {
    /// Of a list of words; one that is not known is the file system's.
    pub fn of<S: AsRef<str>>(words: &[S]) -> Words {
        let mut all = Words::default();
        for word in words {
            let word = word.as_ref();
            if !all.kind(word) && !all.flag(word) && !all.recursive(word) {
                all.data.push(word.to_owned());
            }
        }
        all
    }

    fn kind(&mut self, word: &str) -> bool {
        match word {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "remount" => self.remount = true,
            "idmap" => self.idmap = Some(self.idmap.unwrap_or(false)),
            "ridmap" => self.idmap = Some(true),
            "tmpcopyup" => self.copy_up = true,
            "copy-symlink" => self.copy_link = true,
            "src-nofollow" => self.source_nofollow = true,
            "dest-nofollow" => self.to_nofollow = true,
            "defaults" => {}
            _ => match propagation(word) {
                Some(flag) => self.propagation.push(flag),
                None => return false,
            },
        }
        true
    }

    fn flag(&mut self, word: &str) -> bool {
        let (bits, set) = match word {
            "ro" => (RDONLY, true),
            "rw" => (RDONLY, false),
            "nosuid" => (NOSUID, true),
            "suid" => (NOSUID, false),
            "nodev" => (NODEV, true),
            "dev" => (NODEV, false),
            "noexec" => (NOEXEC, true),
            "exec" => (NOEXEC, false),
            "nosymfollow" => (NOSYMFOLLOW, true),
            "symfollow" => (NOSYMFOLLOW, false),
            "noatime" => (NOATIME, true),
            "atime" => (NOATIME, false),
            "nodiratime" => (NODIRATIME, true),
            "diratime" => (NODIRATIME, false),
            "relatime" => (RELATIME, true),
            "norelatime" => (RELATIME, false),
            "strictatime" => (STRICTATIME, true),
            "nostrictatime" => (STRICTATIME, false),
            "sync" => (libc::MS_SYNCHRONOUS, true),
            "async" => (libc::MS_SYNCHRONOUS, false),
            "dirsync" => (libc::MS_DIRSYNC, true),
            "lazytime" => (libc::MS_LAZYTIME, true),
            "nolazytime" => (libc::MS_LAZYTIME, false),
            "iversion" => (libc::MS_I_VERSION, true),
            "noiversion" => (libc::MS_I_VERSION, false),
            "mand" => (libc::MS_MANDLOCK, true),
            "nomand" => (libc::MS_MANDLOCK, false),
            "silent" => (libc::MS_SILENT, true),
            "loud" => (libc::MS_SILENT, false),
            "acl" => (libc::MS_POSIXACL, true),
            _ => return false,
        };
        if set {
            self.flags.set(bits)
        } else {
            self.flags.clear(bits)
        }
        true
    }

    fn recursive(&mut self, word: &str) -> bool {
        let change = &mut self.recursive;
        // Of the access times one is in force: to set one is to clear the field.
        let atime = |change: &mut Change, bits: u64| {
            change.clear(attr::ATIME);
            change.set |= bits;
        };
        match word {
            "rro" => change.set(attr::RDONLY),
            "rrw" => change.clear(attr::RDONLY),
            "rnosuid" => change.set(attr::NOSUID),
            "rsuid" => change.clear(attr::NOSUID),
            "rnodev" => change.set(attr::NODEV),
            "rdev" => change.clear(attr::NODEV),
            "rnoexec" => change.set(attr::NOEXEC),
            "rexec" => change.clear(attr::NOEXEC),
            "rnosymfollow" => change.set(attr::NOSYMFOLLOW),
            "rsymfollow" => change.clear(attr::NOSYMFOLLOW),
            "rnodiratime" => change.set(attr::NODIRATIME),
            "rdiratime" => change.clear(attr::NODIRATIME),
            "rnoatime" => atime(change, attr::NOATIME),
            "rstrictatime" => atime(change, attr::STRICTATIME),
            "rrelatime" | "ratime" | "rnostrictatime" => atime(change, 0),
            // What it clears has no bit of its own.
            "rnorelatime" => {}
            _ => return false,
        }
        true
    }

    /// Without `ro`, where something is to be written first.
    pub(super) fn writable(&self, first: bool) -> Words {
        let mut words = self.clone();
        if first {
            words.flags.set &= !RDONLY;
        }
        words
    }

    /// What holds for the mount holds for all below it.
    pub fn make_recursive(&mut self) {
        let set = std::mem::take(&mut self.flags).set;
        for (flag, bit) in PLAIN {
            if set & flag != 0 {
                self.recursive.set(bit);
            }
        }
    }

    /// Flags for mount(2) of a new file system.
    pub(super) fn mount_flags(&self) -> u64 {
        self.flags.set
    }

    /// The data of mount(2).
    pub fn text(&self) -> String {
        self.data.join(",")
    }

    /// Whether anything is left once mount(2) has made the mount.
    pub(super) fn needs_handle(&self) -> bool {
        !self.recursive.is_empty() || !self.propagation.is_empty() || self.copy_up
    }

    /// A bind's own attributes as mount(8) has them for `bind,...`: those that are not asked for
    /// are cleared, but of the access times only where one is asked for. No word: all stay.
    pub(super) fn bind_attributes(&self) -> Change {
        let Change { set, clear } = self.flags;
        if set | clear == 0 {
            return Change::default();
        }
        let mut change = self.atime();
        for (flag, bit) in PLAIN {
            if set & flag != 0 {
                change.set |= bit;
            } else {
                change.clear |= bit;
            }
        }
        change
    }

    /// The same, but what is not named stays.
    pub(super) fn named_attributes(&self) -> Change {
        let mut named = self.atime();
        for (flag, bit) in PLAIN {
            if self.flags.set & flag != 0 {
                named.set |= bit;
            } else if self.flags.clear & flag != 0 {
                named.clear |= bit;
            }
        }
        named
    }

    fn atime(&self) -> Change {
        let set = self.flags.set;
        if set & (NOATIME | NODIRATIME | RELATIME | STRICTATIME) == 0 {
            return Change::default();
        }
        let mut change = Change { set: 0, clear: attr::ATIME };
        if set & STRICTATIME != 0 {
            change.set |= attr::STRICTATIME;
        } else if set & NOATIME != 0 {
            change.set |= attr::NOATIME;
        }
        if set & NODIRATIME != 0 {
            change.set |= attr::NODIRATIME;
        } else {
            change.clear |= attr::NODIRATIME;
        }
        change
    }
}

/// Propagation by its word: an MS_ flag, with MS_REC for those that begin with `r`.
pub fn propagation(word: &str) -> Option<u64> {
    let (base, rec) = match word {
        "rprivate" | "rslave" | "rshared" | "runbindable" => (&word[1..], libc::MS_REC),
        _ => (word, 0),
    };
    let flag = match base {
        "private" => libc::MS_PRIVATE,
        "slave" => libc::MS_SLAVE,
        "shared" => libc::MS_SHARED,
        "unbindable" => libc::MS_UNBINDABLE,
        _ => return None,
    };
    Some(flag | rec)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(text: &str) -> Words {
        Words::of(&text.split(',').collect::<Vec<_>>())
    }

    /// Every word of config.md, Linux mount options: none of them is the file system's.
    const SPEC: &str = "async,atime,bind,defaults,dev,diratime,dirsync,exec,iversion,lazytime,loud,mand,noatime,\
        nodev,nodiratime,noexec,noiversion,nolazytime,nomand,norelatime,nostrictatime,nosuid,nosymfollow,private,\
        ratime,rbind,rdev,rdiratime,relatime,remount,rexec,rnoatime,rnodiratime,rnoexec,rnorelatime,\
        rnostrictatime,rnosuid,rnosymfollow,ro,rprivate,rrelatime,rro,rrw,rshared,rslave,rstrictatime,rsuid,\
        rsymfollow,runbindable,rw,shared,silent,slave,strictatime,suid,symfollow,sync,tmpcopyup,unbindable,idmap,\
        ridmap,rnodev";

    #[test]
    fn every_word_of_the_specification() {
        for word in SPEC.split(',').map(str::trim) {
            let words = Words::of(&[word]);
            assert_eq!(words.data, [""; 0], "{word}");
            let says_nothing = ["defaults", "rnorelatime"].contains(&word);
            assert_eq!(words == Words::default(), says_nothing, "{word}");
        }
    }

    #[test]
    fn the_rest_is_data_and_the_last_wins() {
        let words = of("nosuid,ro,rw,mode=755,rslave,size=1k,private");
        assert_eq!(words.flags, Change { set: NOSUID, clear: RDONLY });
        assert_eq!(words.propagation, [libc::MS_SLAVE | libc::MS_REC, libc::MS_PRIVATE]);
        assert_eq!(words.text(), "mode=755,size=1k");
        assert_eq!(of("rro,rrw").recursive, Change { set: 0, clear: attr::RDONLY });
        assert_eq!(
            of("rnoatime,rstrictatime").recursive,
            Change { set: attr::STRICTATIME, clear: attr::ATIME }
        );
        assert_eq!(of("rbind,bind").bind, Some(true));
    }

    #[test]
    fn a_bind_with_words_has_those_alone() {
        assert!(of("bind").bind_attributes().is_empty());
        let plain = attr::NOSUID | attr::NODEV | attr::NOEXEC | attr::NOSYMFOLLOW;
        assert_eq!(of("bind,ro").bind_attributes(), Change { set: attr::RDONLY, clear: plain });
        // Access times stay until one is set.
        assert_eq!(of("bind,atime").bind_attributes().clear & attr::ATIME, 0);
        let both = of("bind,nodiratime,strictatime").bind_attributes();
        assert_eq!(both.set, attr::NODIRATIME | attr::STRICTATIME);
        assert_eq!(both.clear & attr::ATIME, attr::ATIME);
        // Where they are locked, what is not named stays.
        let locked = of("bind,ro,suid").named_attributes();
        assert_eq!(locked, Change { set: attr::RDONLY, clear: attr::NOSUID });
    }
}
