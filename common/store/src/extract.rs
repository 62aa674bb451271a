//! A layer's archive becomes a directory for overlayfs: whiteouts are turned into overlayfs' own
//! (image-spec layer.md; the kernel's filesystems/overlayfs.rst), and nothing is made outside.

use crate::archive::{Archive, Entry};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use sys::Errno;
use sys::extract::{self as make, Node, Stat, Tree};

/// Whether the directory that was made is right on top of any other layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Made {
    /// It is: the archive says all.
    Alone,
    /// It holds things of lower layers: a hard link's file, a parent directory's owner and mode.
    OnLower,
}

/// What an entry says of what it makes.
struct Meta {
    owner: (u32, u32),
    mode: u32,
    mtime: (i64, u32),
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

struct Extractor<'a> {
    tree: Tree,
    lower: &'a [PathBuf],
    /// Whether owners, devices and privileged attributes can be set.
    privileged: bool,
    /// Mode and time of directories, set at the end: what comes into one changes its time, and a
    /// mode may forbid an ordinary user to put it there.
    dirs: BTreeMap<PathBuf, (u32, (i64, u32))>,
    /// Directories that the archive puts things into and has no entry of, so far.
    bare: BTreeSet<PathBuf>,
    linked_lower: bool,
}

/// Extracts a layer into the empty directory `dir`. `lower` are the layers below it, lowest first.
/// `privileged`: as root; else as tar(1) does for a user: everything is the caller's, no devices.
/// The input is read to its end.
pub fn extract(input: impl Read, dir: &Path, lower: &[PathBuf], privileged: bool) -> Result<Made> {
    let tree = Tree::open(dir).with_context(|| format!("open {}", dir.display()))?;
    let mut x = Extractor {
        tree,
        lower,
        privileged,
        dirs: BTreeMap::new(),
        bare: BTreeSet::new(),
        linked_lower: false,
    };
    let mut archive = Archive::new(input);
    while let Some(entry) = archive.next().context("read the archive")? {
        let shown = || format!("extract {}", String::from_utf8_lossy(&entry.path).escape_debug());
        x.entry(&entry, &mut archive).with_context(shown)?;
    }
    archive.drain().context("read the archive")?;
    x.finish()
}

/// A name that an archive chose, as one below the tree's root: `..` and a leading `/` stay inside.
pub fn clean(name: &[u8]) -> PathBuf {
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(name)).components() {
        match part {
            Component::Normal(p) => path.push(p),
            Component::ParentDir => {
                path.pop();
            }
            _ => {}
        }
    }
    path
}

/// What a name beginning with `.wh.` means.
#[derive(Debug, PartialEq)]
enum Whiteout<'a> {
    Hides(&'a OsStr),
    Opaque,
    /// aufs' own bookkeeping.
    Aufs,
}

fn whiteout(name: &OsStr) -> Result<Option<Whiteout<'_>>> {
    let Some(rest) = name.as_bytes().strip_prefix(b".wh.") else { return Ok(None) };
    Ok(Some(match rest {
        b".wh..opq" => Whiteout::Opaque,
        b"" | b"." | b".." => bail!("a whiteout of no name"),
        rest if rest.starts_with(b".wh.") => Whiteout::Aufs,
        rest => Whiteout::Hides(OsStr::from_bytes(rest)),
    }))
}

impl Extractor<'_> {
    fn entry(&mut self, entry: &Entry, data: &mut impl Read) -> Result<()> {
        if entry.path.contains(&0) || entry.link.contains(&0) {
            bail!("a name with a NUL byte");
        }
        if entry.pax.iter().any(|(k, _)| k.starts_with(b"GNU.sparse.")) || entry.kind().is_gnu_sparse() {
            bail!("sparse files are not supported yet");
        }
        let path = clean(&entry.path);
        let Some(name) = path.file_name() else { return self.root(entry) };
        let parent = path.parent().unwrap_or(Path::new(""));
        for part in parent {
            match whiteout(part)? {
                None => {}
                Some(Whiteout::Aufs) => return Ok(()),
                Some(_) => bail!("a whiteout is no directory"),
            }
        }
        match whiteout(name)? {
            Some(Whiteout::Aufs) => return Ok(()),
            Some(Whiteout::Opaque) => return self.opaque(parent),
            Some(Whiteout::Hides(name)) => return self.hide(parent, name),
            None => {}
        }
        let kind = entry.kind();
        // As of old: a name that ends in / is a directory.
        if kind.is_dir() || (kind.is_file() && entry.path.ends_with(b"/")) {
            return self.directory(&path, parent, name, meta(entry)?);
        }
        if kind.is_hard_link() {
            return self.hard_link(parent, name, &clean(&entry.link));
        }
        let meta = meta(entry)?;
        if kind.is_file() || kind.is_contiguous() {
            return self.file(parent, name, entry.size, data, &meta);
        }
        let device = || entry.device().context("device numbers");
        let node = match kind {
            k if k.is_symlink() => Node::Symlink(&entry.link),
            k if k.is_character_special() => device().map(|(major, minor)| Node::Char(major, minor))?,
            k if k.is_block_special() => device().map(|(major, minor)| Node::Block(major, minor))?,
            k if k.is_fifo() => Node::Fifo,
            k => bail!("no such type of entry: {:?}", char::from(k.as_byte())),
        };
        if !self.privileged && matches!(node, Node::Char(..) | Node::Block(..)) {
            return Ok(());
        }
        self.node(parent, name, node, &meta)
    }

    /// The parent's handle, after whatever stood at the name has gone.
    fn place(&mut self, parent: &Path, name: &OsStr) -> Result<Option<Stat>> {
        let bare = &mut self.bare;
        let dir = self.tree.dir(parent, &mut |made| {
            bare.insert(made.to_owned());
        })?;
        Ok(make::stat(dir, name)?)
    }

    fn dir(&mut self, parent: &Path) -> Result<std::os::fd::BorrowedFd<'_>, Errno> {
        self.tree.dir(parent, &mut |_| {})
    }

    fn clear(&mut self, parent: &Path, name: &OsStr, old: Option<Stat>) -> Result<()> {
        let Some(old) = old else { return Ok(()) };
        self.tree.remove(parent, name).context("replace it")?;
        if old.is_dir() {
            let gone = parent.join(name);
            self.dirs.retain(|p, _| !p.starts_with(&gone));
            self.bare.retain(|p| !p.starts_with(&gone));
        }
        Ok(())
    }

    fn root(&mut self, entry: &Entry) -> Result<()> {
        if !entry.kind().is_dir() {
            bail!("the root is a directory");
        }
        let meta = meta(entry)?;
        self.dirs.insert(PathBuf::new(), (meta.mode, meta.mtime));
        self.set(Path::new(""), OsStr::new("."), &meta, Kind::Dir)
    }

    fn directory(&mut self, path: &Path, parent: &Path, name: &OsStr, meta: Meta) -> Result<()> {
        let old = self.place(parent, name)?;
        if !old.is_some_and(|s| s.is_dir()) {
            self.clear(parent, name, old)?;
            make::make(self.dir(parent)?, name, Node::Dir)?;
            if old.is_some_and(|s| s.is_whiteout()) {
                // Hidden below and made anew: nothing of the lower one shows through.
                self.mark_opaque(parent, name)?;
            }
        }
        self.bare.remove(path);
        self.dirs.insert(path.to_owned(), (meta.mode, meta.mtime));
        self.set(parent, name, &meta, Kind::Dir)
    }

    fn file(
        &mut self,
        parent: &Path,
        name: &OsStr,
        size: u64,
        data: &mut impl Read,
        meta: &Meta,
    ) -> Result<()> {
        let old = self.place(parent, name)?;
        self.clear(parent, name, old)?;
        let mut file = make::create(self.dir(parent)?, name)?;
        let copied = io::copy(&mut data.take(size), &mut file)?;
        if copied < size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        drop(file);
        self.set(parent, name, meta, Kind::Other)
    }

    fn node(&mut self, parent: &Path, name: &OsStr, node: Node, meta: &Meta) -> Result<()> {
        let old = self.place(parent, name)?;
        self.clear(parent, name, old)?;
        make::make(self.dir(parent)?, name, node)?;
        let kind = if matches!(node, Node::Symlink(_)) { Kind::Symlink } else { Kind::Other };
        self.set(parent, name, meta, kind)
    }

    /// The target's own entry has said all of it, so nothing is set. A target that this layer does
    /// not have is a lower one's, whose file gets one more name.
    fn hard_link(&mut self, parent: &Path, name: &OsStr, target: &Path) -> Result<()> {
        let Some(target_name) = target.file_name() else { bail!("a hard link to the root") };
        let target_parent = target.parent().unwrap_or(Path::new(""));
        let old = self.place(parent, name)?;
        let own = self.tree.find_dir(target_parent).ok();
        let own = own.filter(|d| matches!(make::stat(d, target_name), Ok(Some(s)) if !s.is_whiteout()));
        let own_is_it = own.is_some();
        let from: OwnedFd = match own {
            Some(dir) => dir,
            None => {
                let found = self.in_lower(target_parent, |dir| {
                    matches!(make::stat(dir, target_name), Ok(Some(s)) if !s.is_dir() && !s.is_whiteout())
                });
                self.linked_lower = true;
                found.ok_or_else(|| anyhow!("link to {}: {}", target.display(), Errno(sys::ENOENT)))?
            }
        };
        if own_is_it && target == parent.join(name) {
            return Ok(());
        }
        self.clear(parent, name, old)?;
        make::link(from, target_name, self.dir(parent)?, name)
            .with_context(|| format!("link to {}", target.display()))
    }

    /// A directory of the lower layers, topmost first, as far as they are not hidden by one that
    /// has something else there.
    fn in_lower(&self, dir: &Path, fits: impl Fn(&OwnedFd) -> bool) -> Option<OwnedFd> {
        for layer in self.lower.iter().rev() {
            match Tree::open(layer).and_then(|t| t.find_dir(dir)) {
                Ok(fd) if fits(&fd) => return Some(fd),
                Ok(_) | Err(Errno(sys::ENOENT)) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// What lower layers have at the name is hidden. What this layer itself has there stays
    /// (layer.md: whiteouts concern lower layers only), but a directory no longer shows a lower one.
    fn hide(&mut self, parent: &Path, name: &OsStr) -> Result<()> {
        match self.whiteout_place(parent, name)? {
            Place::Covered => Ok(()),
            Place::Free => Ok(make::make(self.dir(parent)?, name, Node::Char(0, 0))?),
            Place::Taken(old) if old.is_dir() => self.mark_opaque(parent, name),
            Place::Taken(_) => Ok(()),
        }
    }

    fn opaque(&mut self, dir: &Path) -> Result<()> {
        match self.whiteout_place(dir, OsStr::new("."))? {
            Place::Covered => Ok(()),
            _ => self.mark_opaque(dir, OsStr::new(".")),
        }
    }

    /// umoci writes whiteouts for all that was in a directory which became a file: that hides them
    /// already.
    fn whiteout_place(&mut self, parent: &Path, name: &OsStr) -> Result<Place> {
        match self.place(parent, name) {
            Ok(None) => Ok(Place::Free),
            Ok(Some(old)) => Ok(Place::Taken(old)),
            Err(e) if e.downcast_ref() == Some(&Errno(sys::ENOTDIR)) => Ok(Place::Covered),
            Err(e) => Err(e),
        }
    }

    fn mark_opaque(&mut self, parent: &Path, name: &OsStr) -> Result<()> {
        let key = if self.privileged { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
        make::set_xattr(self.dir(parent)?, name, OsStr::new(key), b"y").with_context(|| format!("set {key}"))
    }

    /// What was just made, or is a directory, gets what its entry says.
    fn set(&mut self, parent: &Path, name: &OsStr, meta: &Meta, kind: Kind) -> Result<()> {
        let privileged = self.privileged;
        set(self.dir(parent)?, name, meta, kind, privileged)
    }

    /// Parents without an entry are as the lower layers have them; then modes and times of all
    /// directories, deepest first. By now a path may lead elsewhere than when it was noted, so each
    /// is opened as a directory, no link followed at its end, and changed by its handle.
    fn finish(mut self) -> Result<Made> {
        let this = OsStr::new(".");
        for path in &self.bare {
            let Some(like) = self.in_lower(path, |_| true) else { continue };
            let stat = make::stat_fd(&like)?;
            let xattrs = make::xattrs(&like, this)?;
            let meta = Meta { owner: stat.owner, mode: stat.mode & 0o7777, mtime: stat.mtime, xattrs };
            let dir = self.tree.find_dir(path).with_context(|| format!("extract {}", path.display()))?;
            set(&dir, this, &meta, Kind::Dir, self.privileged)
                .with_context(|| format!("extract {}", path.display()))?;
            self.dirs.insert(path.clone(), (meta.mode, meta.mtime));
        }
        for (path, (mode, mtime)) in self.dirs.iter().rev() {
            let Ok(dir) = self.tree.find_dir(path) else { continue };
            make::set_mode(&dir, this, *mode)
                .and_then(|()| make::set_mtime(&dir, this, *mtime))
                .with_context(|| format!("extract {}", path.display()))?;
        }
        self.tree.sync().context("syncfs")?;
        let alone = self.bare.is_empty() && !self.linked_lower;
        Ok(if alone { Made::Alone } else { Made::OnLower })
    }
}

/// Where a whiteout would be.
enum Place {
    Free,
    Taken(Stat),
    /// Below something of this layer that is no directory.
    Covered,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Its mode and time come at the end.
    Dir,
    /// It has no mode.
    Symlink,
    Other,
}

/// In this order: chown(2) clears setuid bits and file capabilities.
fn set(dir: impl AsFd, name: &OsStr, meta: &Meta, kind: Kind, privileged: bool) -> Result<()> {
    if privileged {
        let (uid, gid) = meta.owner;
        make::set_owner(&dir, name, meta.owner).with_context(|| format!("chown it to {uid}:{gid}"))?;
    }
    if kind == Kind::Other {
        make::set_mode(&dir, name, meta.mode)?;
    }
    for (key, value) in meta.xattrs.iter().filter(|(k, _)| wanted(k, privileged)) {
        let key = OsStr::from_bytes(key);
        match make::set_xattr(&dir, name, key, value) {
            // The file system has none of that kind: as docker, go on.
            Ok(()) | Err(Errno(sys::EOPNOTSUPP)) => {}
            other => other.with_context(|| format!("set {}", key.display()))?,
        }
    }
    if kind != Kind::Dir {
        make::set_mtime(&dir, name, meta.mtime)?;
    }
    Ok(())
}

/// overlayfs' own attributes are not an archive's to set, and a label of SELinux belongs to the
/// machine that gave it. Without privilege only `user.` can be set.
fn wanted(key: &[u8], privileged: bool) -> bool {
    let never = [&b"trusted.overlay."[..], b"user.overlay.", b"security.selinux"];
    !never.iter().any(|n| key.starts_with(n)) && (privileged || key.starts_with(b"user."))
}

fn meta(entry: &Entry) -> Result<Meta> {
    let xattrs = entry
        .pax
        .iter()
        .filter_map(|(k, v)| Some((k.strip_prefix(b"SCHILY.xattr.")?.to_vec(), v.clone())))
        .collect();
    Ok(Meta { owner: entry.owner()?, mode: entry.mode()?, mtime: entry.mtime()?, xattrs })
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
