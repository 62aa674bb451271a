//! A layer's archive becomes a directory for overlayfs, in which whiteouts are overlayfs' own
//! (image-spec layer.md; the kernel's filesystems/overlayfs.rst), or goes into a plain tree over the
//! layers before it. Nothing is made or changed outside.

mod data;
mod flat;
mod lower;
mod meta;
mod names;
mod whiteout;

use crate::archive::{Archive, Entry, Sparse};
use anyhow::{Context, Result, anyhow, bail};
use data::{copy, holes};
use lower::Found;
use meta::Meta;
use names::{parts, shown};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::extract::{self as make, Node, Tree};
use whiteout::{Whiteout, whiteout};

pub use lower::{Below, Nothing};
pub use meta::Rights;
pub use names::clean;

/// Symbolic links on the way to one path, as the kernel counts them (path_resolution(7)).
const HOPS: usize = 40;

/// Directories on the way to one path: more than a system call could name.
const LEVELS: usize = 4096;

/// Whether the directory that was made is right on top of any other layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Made {
    /// It is: the archive says all.
    Alone,
    /// What it holds depends on lower layers: a hard link's file, a parent directory's owner and
    /// mode, a symbolic link on the way.
    OnLower,
}

/// What the directory is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// One layer, for overlayfs.
    Overlay,
    /// All layers so far, one over the other.
    Flat,
}

/// Where a layer goes.
pub struct Extractor<'a> {
    tree: Tree,
    shape: Shape,
    rights: Rights,
    below: &'a dyn Below,
    /// Directories whose mode or default ACL comes at the end, by their real paths: others inherit
    /// from it, or it would keep an ordinary user out.
    late: BTreeMap<PathBuf, Late>,
    /// The archive has an entry of the root.
    rooted: bool,
    /// Something was taken from lower layers, or looked for there.
    on_lower: bool,
    own: flat::Own,
}

/// What has come of a directory that was not there.
enum Missing {
    /// The layers below have a link there, to this.
    Link(Vec<u8>),
    /// It was made as they have it.
    Made,
    /// It was made, and they have none.
    MadeAlone,
}

struct Late {
    mode: u32,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Extracts one layer into the empty directory `dir`, for overlayfs. The input is read to its end.
/// The calling thread gets a umask of its own.
pub fn extract(input: impl BufRead, dir: &Path, below: &dyn Below, rights: Rights) -> Result<Made> {
    let mut x = Extractor::new(dir, Shape::Overlay, below, rights)?;
    x.layer(input)?;
    x.finish()
}

impl<'a> Extractor<'a> {
    /// Into the empty directory `dir`. The calling thread gets a umask of its own.
    pub fn new(dir: &Path, shape: Shape, below: &'a dyn Below, rights: Rights) -> Result<Extractor<'a>> {
        let exact = make::own_umask().is_ok();
        let tree = Tree::open(dir, exact).with_context(|| format!("open {}", dir.display()))?;
        Ok(Extractor {
            tree,
            shape,
            rights,
            below,
            late: BTreeMap::new(),
            rooted: false,
            on_lower: false,
            own: flat::Own::default(),
        })
    }

    /// One archive; of a plain tree, the next layer. It is read to its end.
    pub fn layer(&mut self, input: impl BufRead) -> Result<()> {
        let mut archive = Archive::over(input);
        while let Some(entry) = archive.next().context("read the archive")? {
            self.entry(&entry, &mut archive).with_context(|| format!("extract {}", shown(&entry.path)))?;
        }
        archive.drain().context("read the archive")?;
        self.own.forget();
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, data: &mut impl BufRead) -> Result<()> {
        if entry.path.contains(&0) || entry.link.contains(&0) {
            bail!("a name with a NUL byte");
        }
        let path = clean(&entry.path);
        let Some(name) = path.file_name() else { return self.root(entry) };
        let parent = path.parent().unwrap_or(Path::new(""));
        for (level, part) in parent.iter().enumerate() {
            match whiteout(part)? {
                _ if level == LEVELS => bail!("a path of more than {LEVELS} directories"),
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
        if kind.is_hard_link() {
            self.enter(parent)?;
            return self.hard_link(name, &clean(&entry.link), &path);
        }
        let meta = Meta::of(entry, self.rights)?;
        // As of old: a name that ends in / is a directory.
        if kind.is_dir() || (kind.is_file() && entry.path.ends_with(b"/")) {
            self.enter(parent)?;
            return self.directory(name, meta);
        }
        if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            self.enter(parent)?;
            return self.file(name, entry.sparse.as_ref(), data, &meta);
        }
        let device = || entry.device().context("device numbers");
        let node = match kind {
            k if k.is_symlink() => Node::Symlink(&entry.link),
            k if k.is_character_special() => device().map(|(major, minor)| Node::Char(major, minor))?,
            k if k.is_block_special() => device().map(|(major, minor)| Node::Block(major, minor))?,
            k if k.is_fifo() => Node::Fifo,
            k => bail!("no such type of entry: '{}'", k.as_byte().escape_ascii()),
        };
        if !self.rights.devices() && matches!(node, Node::Char(..) | Node::Block(..)) {
            return Ok(());
        }
        self.enter(parent)?;
        self.node(name, node, &meta)
    }

    /// Goes to a directory of the tree, through the tree's own links and, in a layer, through those
    /// of the layers below. What is missing is made as the layers below have it.
    fn enter(&mut self, path: &Path) -> Result<()> {
        let common = self.tree.names().iter().zip(path).take_while(|(a, b)| a.as_os_str() == *b).count();
        self.tree.up_to(common)?;
        let mut todo: Vec<OsString> = path.iter().skip(common).map(OsStr::to_owned).collect();
        todo.reverse();
        let mut hops = 0;
        // Under a directory that no lower layer has there is nothing to ask for.
        let mut bottom = usize::MAX;
        while let Some(name) = todo.pop() {
            if name == ".." {
                let up = self.tree.names().len().saturating_sub(1);
                self.tree.up_to(up)?;
                bottom = usize::MAX;
                continue;
            }
            let link = match self.tree.down(&name) {
                Ok(()) => continue,
                Err(Errno(sys::ENOENT)) if self.tree.names().len() > bottom => {
                    self.directory(&name, Meta::plain())?;
                    None
                }
                Err(Errno(sys::ENOENT)) => match self.missing(&name)? {
                    Missing::Link(target) => Some(target),
                    Missing::Made => None,
                    Missing::MadeAlone => {
                        bottom = self.tree.names().len();
                        None
                    }
                },
                Err(Errno(sys::ENOTDIR)) => self.in_the_way(&name)?,
                Err(e) => return Err(e.into()),
            };
            let Some(target) = link else {
                self.tree.down(&name)?;
                continue;
            };
            hops += 1;
            if hops > HOPS {
                return Err(Errno(sys::ELOOP).into());
            }
            if target.starts_with(b"/") {
                self.tree.up_to(0)?;
            }
            bottom = usize::MAX;
            todo.extend(parts(&target).into_iter().rev());
        }
        Ok(())
    }

    /// A directory that the archive puts something into and has no entry of, so far.
    fn missing(&mut self, name: &OsStr) -> Result<Missing> {
        let path = self.path(name);
        let (mut meta, mut made) = (Meta::plain(), Missing::MadeAlone);
        if self.shape == Shape::Overlay && !lower::own_hides(&self.tree, &path) {
            self.on_lower = true;
            match lower::look(self.below, &path)? {
                Found::Link(_, target) => return Ok(Missing::Link(target)),
                Found::Dir(dir) => (meta, made) = (Meta::like(dir, self.rights)?, Missing::Made),
                Found::File(_) | Found::Nothing => {}
            }
        }
        self.directory(name, meta)?;
        Ok(made)
    }

    /// What stands where a directory was to be: a link gives its target, a whiteout makes room.
    fn in_the_way(&mut self, name: &OsStr) -> Result<Option<Vec<u8>>> {
        match make::stat(self.tree.here()?, name)? {
            Some(s) if s.is_symlink() => Ok(Some(make::readlink(self.tree.here()?, name)?)),
            Some(s) if s.is_whiteout() && self.shape == Shape::Overlay => {
                self.directory(name, Meta::plain()).map(|()| None)
            }
            _ => Err(Errno(sys::ENOTDIR).into()),
        }
    }

    /// The real path of a name in the directory where work goes on.
    fn path(&self, name: &OsStr) -> PathBuf {
        self.tree.names().iter().map(OsString::as_os_str).chain([name]).collect()
    }

    /// Makes something here, in place of whatever has the name.
    fn fresh<T>(&mut self, name: &OsStr, how: impl Fn(BorrowedFd) -> sys::Result<T>) -> Result<T> {
        let made = match how(self.tree.changing()?) {
            Err(Errno(sys::EEXIST)) => {
                self.tree.remove(name).context("replace it")?;
                let path = self.path(name);
                self.gone(&path);
                how(self.tree.changing()?)?
            }
            other => other?,
        };
        self.made(name);
        Ok(made)
    }

    fn made(&mut self, name: &OsStr) {
        if self.shape == Shape::Flat {
            self.own.note(self.tree.names(), name);
        }
    }

    fn gone(&mut self, path: &Path) {
        let of_it = |p: &Path| p.starts_with(path);
        let all = self.late.range(path.to_owned()..).map(|(p, _)| p.clone());
        for path in all.take_while(|p| of_it(p)).collect::<Vec<_>>() {
            self.late.remove(&path);
        }
    }

    fn root(&mut self, entry: &Entry) -> Result<()> {
        if !entry.kind().is_dir() {
            bail!("the root is a directory");
        }
        let meta = Meta::of(entry, self.rights)?;
        self.rooted = true;
        self.set_root(meta)
    }

    fn set_root(&mut self, meta: Meta) -> Result<()> {
        self.tree.up_to(0)?;
        let mtime = meta.mtime;
        self.old_directory(OsStr::new("."), PathBuf::new(), meta)?;
        Ok(self.tree.set_time(mtime)?)
    }

    fn directory(&mut self, name: &OsStr, meta: Meta) -> Result<()> {
        let path = self.path(name);
        let mode = self.first_mode(&meta);
        match make::make(self.tree.changing()?, name, Node::Dir, mode) {
            Ok(()) => {}
            Err(Errno(sys::EEXIST)) => {
                let old = make::stat(self.tree.here()?, name)?;
                if old.is_some_and(|s| s.is_dir()) {
                    self.made(name);
                    return self.old_directory(name, path, meta);
                }
                self.fresh(name, |dir| make::make(dir, name, Node::Dir, mode))?;
                if self.shape == Shape::Overlay && old.is_some_and(|s| s.is_whiteout()) {
                    // Hidden below and made anew: nothing of the lower one shows through.
                    self.mark_opaque(name)?;
                }
            }
            Err(e) => return Err(e.into()),
        }
        self.made(name);
        let plain = self.tree.plain_owner();
        let dir = self.tree.here()?;
        if self.rights.owners() && plain != Some(meta.owner) {
            meta::chown(make::set_owner(dir, name, meta.owner), meta.owner)?;
        }
        if plain.is_none() {
            make::set_mode(dir, name, mode)?;
        }
        self.set_directory(name, path, meta)
    }

    /// What a directory may have while others are made in it.
    fn first_mode(&self, meta: &Meta) -> u32 {
        let mode = meta.mode & 0o1777;
        if self.rights.owners() { mode } else { mode | 0o700 }
    }

    /// One that is there, by an entry or a lower layer, becomes as this entry says.
    fn old_directory(&mut self, name: &OsStr, path: PathBuf, meta: Meta) -> Result<()> {
        let (rights, mode) = (self.rights, self.first_mode(&meta));
        let dir = self.tree.here()?;
        if rights.owners() {
            meta::chown(make::set_owner(dir, name, meta.owner), meta.owner)?;
        }
        make::set_mode(dir, name, mode)?;
        for (key, _) in make::xattrs(dir, name)? {
            if rights.wants(&key) {
                make::remove_xattr(dir, name, OsStr::from_bytes(&key))?;
            }
        }
        self.set_directory(name, path, meta)
    }

    fn set_directory(&mut self, name: &OsStr, path: PathBuf, meta: Meta) -> Result<()> {
        let first = self.first_mode(&meta);
        let dir = self.tree.here()?;
        let (late, now): (Vec<_>, Vec<_>) =
            meta.xattrs.into_iter().partition(|(k, _)| k.starts_with(b"system."));
        for (key, value) in &now {
            meta::xattr(key, |key| make::set_xattr(dir, name, key, value))?;
        }
        make::set_mtime(dir, name, meta.mtime)?;
        if first != meta.mode || !late.is_empty() {
            self.late.insert(path, Late { mode: meta.mode, xattrs: late });
        } else if !self.late.is_empty() {
            self.late.remove(&path);
        }
        Ok(())
    }

    fn file(
        &mut self,
        name: &OsStr,
        sparse: Option<&Sparse>,
        data: &mut impl BufRead,
        meta: &Meta,
    ) -> Result<()> {
        let first = meta.first_mode();
        let mut file = self.fresh(name, |dir| make::create(dir, name, first))?;
        match sparse {
            None => copy(data, &mut file, u64::MAX)?,
            Some(sparse) => holes(data, &mut file, sparse)?,
        }
        let plain = self.tree.plain_owner();
        if self.rights.owners() && plain != Some(meta.owner) {
            meta::chown(make::set_owner_fd(&file, meta.owner), meta.owner)?;
        }
        if meta.mode_is_late(plain) {
            make::set_mode_fd(&file, meta.mode)?;
        }
        for (key, value) in &meta.xattrs {
            meta::xattr(key, |key| make::set_xattr_fd(&file, key, value))?;
        }
        Ok(make::set_mtime_fd(&file, meta.mtime)?)
    }

    fn node(&mut self, name: &OsStr, node: Node, meta: &Meta) -> Result<()> {
        let first = meta.first_mode();
        let verb = if matches!(node, Node::Symlink(_)) { "symlink" } else { "mknod" };
        self.fresh(name, |dir| make::make(dir, name, node, first)).context(verb)?;
        let plain = self.tree.plain_owner();
        let dir = self.tree.here()?;
        if self.rights.owners() && plain != Some(meta.owner) {
            meta::chown(make::set_owner(dir, name, meta.owner), meta.owner)?;
        }
        if !matches!(node, Node::Symlink(_)) && meta.mode_is_late(plain) {
            make::set_mode(dir, name, meta.mode)?;
        }
        for (key, value) in &meta.xattrs {
            meta::xattr(key, |key| make::set_xattr(dir, name, key, value))?;
        }
        Ok(make::set_mtime(dir, name, meta.mtime)?)
    }

    /// The target's own entry has said all of it, so nothing is set. A target that this layer does
    /// not have is a lower one's, whose file gets one more name.
    fn hard_link(&mut self, name: &OsStr, target: &Path, path: &Path) -> Result<()> {
        let context = || format!("link to {}", shown(target.as_os_str().as_bytes()));
        let Some(target_name) = target.file_name() else { bail!("a hard link to the root") };
        let parent = target.parent().unwrap_or(Path::new(""));
        let own: Option<OwnedFd> = self.tree.find(parent.iter()).ok();
        let own = own.filter(|d| matches!(make::stat(d, target_name), Ok(Some(s)) if !s.is_whiteout()));
        if own.is_some() && target == path {
            return Ok(());
        }
        let from = match own {
            Some(dir) => dir,
            None => {
                self.on_lower |= self.shape == Shape::Overlay;
                let found = lower::holder(self.below, &self.tree, target).with_context(context)?;
                found.ok_or_else(|| anyhow!(Errno(sys::ENOENT))).with_context(context)?
            }
        };
        self.fresh(name, |dir| make::link(&from, target_name, dir, name)).with_context(context)
    }

    /// Ends it: the root is as the layers below have it where no entry said how it is; then what
    /// directories get last, the deepest first.
    pub fn finish(mut self) -> Result<Made> {
        if !self.rooted {
            // Not the time of now, which would differ each time.
            self.tree.up_to(0)?;
            self.tree.set_time((0, 0))?;
        }
        if !self.rooted && self.shape == Shape::Overlay {
            let below = self.below.layers()?;
            let meta = below.last().map_or_else(|| Ok(Meta::plain()), |d| Meta::like(d, self.rights))?;
            let plain = Meta::plain();
            if (meta.owner, meta.mode) != (plain.owner, plain.mode) || !meta.xattrs.is_empty() {
                self.on_lower = true;
                self.set_root(meta)?;
            }
        }
        self.tree.leave()?;
        for (path, late) in self.late.iter().rev() {
            let shown = || format!("extract {}", shown(path.as_os_str().as_bytes()));
            let dir = self.tree.find(path.iter()).with_context(shown)?;
            late.set(dir.as_fd()).with_context(shown)?;
        }
        Ok(if self.on_lower { Made::OnLower } else { Made::Alone })
    }
}

impl Late {
    fn set(&self, dir: BorrowedFd) -> Result<()> {
        let this = OsStr::new(".");
        for (key, value) in &self.xattrs {
            meta::xattr(key, |key| make::set_xattr(dir, this, key, value))?;
        }
        Ok(make::set_mode(dir, this, self.mode)?)
    }
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
