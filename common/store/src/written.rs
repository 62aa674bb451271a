//! What a container wrote: its overlay's upper directory, held against the layers below it (the
//! kernel's filesystems/overlayfs.rst). Read by directory handles, whatever state it is in.

use anyhow::{Context, Result, bail};
use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::walk::{self, Kind, Meta};

/// One overlay of a container.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// Where it lies in the container.
    pub at: PathBuf,
    /// What takes the writes.
    pub upper: PathBuf,
    /// The layers below, lowest first.
    pub lower: Vec<PathBuf>,
    /// Places that the runtime made to mount something on, in the container.
    pub targets: Vec<PathBuf>,
}

/// What is met on the way, in the order of names' bytes, a directory before what is in it.
pub(crate) enum Seen<'a> {
    /// It is there and new or changed; a directory also where only something in it is.
    There(&'a Item<'a>),
    /// Nothing of the lower layers' directory shows through the one just seen.
    Opaque(&'a Path),
    /// The lower layers have it, and the container no more.
    Gone(&'a Path),
    /// As `Gone`, by an opaque directory above it. Only those who ask see these.
    Hidden(&'a Path),
}

/// Something in the upper directory.
pub(crate) struct Item<'a> {
    /// Relative to the root; the root itself is empty.
    pub(crate) path: &'a Path,
    /// The directory that holds it, and its name there (`.` for the root).
    pub(crate) dir: &'a OwnedFd,
    pub(crate) name: &'a OsStr,
    pub(crate) meta: Meta,
    /// Without those that are no archive's; sorted.
    pub(crate) xattrs: &'a [(Vec<u8>, Vec<u8>)],
    /// Whether the lower layers have something there.
    pub(crate) before: bool,
}

type See<'a> = dyn FnMut(Seen) -> Result<()> + 'a;

/// Goes over all that changed. `hidden`: also over what opaque directories hide.
pub(crate) fn walk(overlay: &Overlay, hidden: bool, see: &mut See) -> Result<()> {
    walk::many_files();
    let upper = walk::root(&overlay.upper).with_context(|| format!("open {}", overlay.upper.display()))?;
    let mut below = Below::default();
    for layer in overlay.lower.iter().rev() {
        let dir = walk::root(layer).with_context(|| format!("open {}", layer.display()))?;
        let meta = walk::meta_fd(&dir).with_context(|| format!("stat {}", layer.display()))?;
        below.found.get_or_insert((0, meta));
        below.dirs.push(dir);
        if sys::extract::is_opaque(layer) {
            break;
        }
    }
    let key = if user_marks(&overlay.upper)? { "user.overlay." } else { "trusted.overlay." };
    let mut walker = Walker { targets: targets(overlay), key, hidden, see };
    let this = OsStr::new(".");
    let meta = walk::meta_fd(&upper).context("stat the upper directory")?;
    let all = walk::xattrs(&upper, this).context("read its attributes")?;
    let marks = walker.marks(&all)?;
    let at = Frame {
        above: None,
        item: Item {
            path: Path::new(""),
            dir: &upper,
            name: this,
            meta,
            xattrs: &kept(all),
            before: below.found.is_some(),
        },
        opaque: false,
        said: Cell::new(false),
    };
    let old = match (below.found, below.dirs.first()) {
        (Some((_, meta)), Some(dir)) => Some((meta, kept(walk::xattrs(dir, this)?))),
        _ => None,
    };
    walker.directory(&Here {
        dir: &upper,
        at: &at,
        lower: &below.dirs,
        dark: false,
        nested: marks.nested,
    })?;
    let same = old.is_some_and(|(m, x)| (m.mode, m.owner) == (meta.mode, meta.owner) && x == at.item.xattrs);
    if !at.said.get() && !same && !overlay.lower.is_empty() {
        walker.say(&at)?;
    }
    Ok(())
}

/// Goes over all that is there in layers, lowest first, that are one tree.
pub(crate) fn merged(layers: &[PathBuf], see: &mut See) -> Result<()> {
    walk::many_files();
    let mut dirs = Vec::new();
    for layer in layers.iter().rev() {
        let dir = walk::root(layer).with_context(|| format!("open {}", layer.display()))?;
        let opaque = sys::extract::is_opaque_at(&dir);
        dirs.push(dir);
        if opaque {
            break;
        }
    }
    let Some(top) = dirs.first() else { return Ok(()) };
    let meta = walk::meta_fd(top).context("stat the root")?;
    let name = OsStr::new(".");
    whole(
        &Item { path: Path::new(""), dir: top, name, meta, xattrs: &whole_xattrs(top, name)?, before: false },
        &dirs,
        see,
    )
}

/// One thing, and all that is in it: `dirs` are the directories that merge there.
fn whole(item: &Item, dirs: &[OwnedFd], see: &mut See) -> Result<()> {
    see(Seen::There(item))?;
    let mut names = Vec::new();
    for dir in dirs {
        names.extend(walk::names(dir).with_context(|| format!("read {}", shown(item.path)))?);
    }
    names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    names.dedup();
    for name in names {
        let path = &item.path.join(&name);
        let look = || format!("look at {}", shown(path));
        let below = Below::look(dirs, &name).with_context(look)?;
        let Some((n, meta)) = below.found else { continue };
        let xattrs = &whole_xattrs(&dirs[n], &name).with_context(look)?;
        whole(&Item { path, dir: &dirs[n], name: &name, meta, xattrs, before: false }, &below.dirs, see)?;
    }
    Ok(())
}

/// Those that are an archive's, of what lies here and nowhere else.
fn whole_xattrs(dir: &OwnedFd, name: &OsStr) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let all = walk::xattrs(dir, name)?;
    for (key, _) in &all {
        let mark = key.strip_prefix(b"trusted.overlay.").or(key.strip_prefix(b"user.overlay."));
        if matches!(mark, Some(b"redirect" | b"metacopy" | b"whiteout")) {
            bail!("{}: what it holds lies elsewhere", String::from_utf8_lossy(key));
        }
    }
    Ok(kept(all))
}

/// Without root an overlay keeps its marks under `user.`; whose it is shows in its bundle's owner.
fn user_marks(upper: &Path) -> Result<bool> {
    let bundle = upper.parent().unwrap_or(upper);
    let meta = std::fs::metadata(bundle).with_context(|| format!("stat {}", bundle.display()))?;
    Ok(std::os::unix::fs::MetadataExt::uid(&meta) != 0)
}

/// A path of the container's on one line.
pub(crate) fn shown(path: &Path) -> String {
    format!("/{}", path.to_string_lossy().escape_debug())
}

/// Relative to the overlay's own root.
fn targets(overlay: &Overlay) -> Vec<PathBuf> {
    let inside = overlay.targets.iter().filter_map(|t| t.strip_prefix(&overlay.at).ok());
    inside.filter(|t| *t != Path::new("")).map(Path::to_owned).collect()
}

/// What an archive does not hold: overlayfs' own attributes, a label that belongs to the machine
/// that gave it, and what is a file system's own view of the rest.
fn kept(all: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let never = [&b"trusted.overlay."[..], b"user.overlay.", b"security.selinux", b"system.nfs4_acl"];
    all.into_iter().filter(|(k, _)| !never.iter().any(|n| k.starts_with(n))).collect()
}

/// What lower layers have at a place: what is seen of it, and the directories that merge there,
/// topmost first.
#[derive(Default)]
struct Below {
    /// Of which of the directories above it comes, by index.
    found: Option<(usize, Meta)>,
    dirs: Vec<OwnedFd>,
}

impl Below {
    fn look(above: &[OwnedFd], name: &OsStr) -> Result<Below> {
        let mut below = Below::default();
        for (n, dir) in above.iter().enumerate() {
            let Some(meta) = walk::meta(dir, name)? else { continue };
            if meta.is_whiteout() {
                break;
            }
            let (_, top) = *below.found.get_or_insert((n, meta));
            if meta.kind != Kind::Dir || top.kind != Kind::Dir {
                break;
            }
            match walk::open_dir(dir, name) {
                Ok(fd) => {
                    let opaque = sys::extract::is_opaque(&sys::inroot::fd_path(&fd));
                    below.dirs.push(fd);
                    if opaque {
                        break;
                    }
                }
                // What is mounted on a lower directory is no part of it.
                Err(Errno(sys::EXDEV)) => break,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(below)
    }
}

/// A directory on the way down, not said before something in it is.
struct Frame<'a> {
    above: Option<&'a Frame<'a>>,
    item: Item<'a>,
    opaque: bool,
    said: Cell<bool>,
}

/// A directory that is being gone over.
struct Here<'a> {
    dir: &'a OwnedFd,
    at: &'a Frame<'a>,
    /// What merges with it, topmost first.
    lower: &'a [OwnedFd],
    /// Nothing of the lower layers shows here.
    dark: bool,
    /// Files in it may be whiteouts by an attribute.
    nested: bool,
}

/// overlayfs' marks on one thing.
#[derive(Default)]
struct Marks {
    opaque: bool,
    /// Files in the directory may be whiteouts by an attribute.
    nested: bool,
    whiteout: bool,
}

struct Walker<'s, 'f> {
    targets: Vec<PathBuf>,
    key: &'static str,
    hidden: bool,
    see: &'s mut See<'f>,
}

impl Walker<'_, '_> {
    fn marks(&self, xattrs: &[(Vec<u8>, Vec<u8>)]) -> Result<Marks> {
        let mut marks = Marks::default();
        for (key, value) in xattrs {
            match key.strip_prefix(self.key.as_bytes()) {
                Some(b"opaque") => (marks.opaque, marks.nested) = (value == b"y", value == b"x"),
                Some(b"whiteout") => marks.whiteout = true,
                Some(b"redirect" | b"metacopy") => {
                    bail!("{}: what it holds lies elsewhere", String::from_utf8_lossy(key))
                }
                _ => {}
            }
        }
        Ok(marks)
    }

    /// All that is in a directory. Gives how many things were passed over because the runtime made
    /// them.
    fn directory(&mut self, here: &Here) -> Result<usize> {
        let mut names = self.names(here).with_context(|| format!("read {}", shown(here.at.item.path)))?;
        names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        names.dedup();
        let mut noise = 0;
        for name in names {
            let path = here.at.item.path.join(&name);
            noise += usize::from(!self.name(here, &name, &path)?);
        }
        Ok(noise)
    }

    fn names(&self, here: &Here) -> sys::Result<Vec<OsString>> {
        let mut names = walk::names(here.dir)?;
        if here.dark && self.hidden {
            for dir in here.lower {
                names.extend(walk::names(dir)?);
            }
        }
        Ok(names)
    }

    /// One name; whether it counts, or is the runtime's own.
    fn name(&mut self, here: &Here, name: &OsStr, path: &Path) -> Result<bool> {
        let look = || format!("look at {}", shown(path));
        let below = Below::look(here.lower, name).with_context(look)?;
        let Some((meta, xattrs, marks)) = self.there(here, name).with_context(look)? else {
            if below.found.is_some() && (!here.dark || self.hidden) {
                self.say(here.at)?;
                (self.see)(if here.dark { Seen::Hidden(path) } else { Seen::Gone(path) })?;
            }
            return Ok(true);
        };
        let item = Item { path, dir: here.dir, name, meta, xattrs: &xattrs, before: below.found.is_some() };
        let old = if here.dark { None } else { below.found };
        if meta.kind == Kind::Dir {
            return self.subdirectory(here, item, &marks, old, &below.dirs);
        }
        match old {
            None if self.made_for_mount(path, &meta) => return Ok(false),
            Some((n, was)) if unchanged(&item, &was, &here.lower[n]).with_context(look)? => return Ok(true),
            _ => {}
        }
        self.say(here.at)?;
        (self.see)(Seen::There(&item))?;
        Ok(true)
    }

    /// What stands in the upper directory; `None`: nothing, or a whiteout.
    #[allow(clippy::type_complexity)] // what is there, its attributes, and its marks
    fn there(&self, here: &Here, name: &OsStr) -> Result<Option<(Meta, Vec<(Vec<u8>, Vec<u8>)>, Marks)>> {
        let Some(meta) = walk::meta(here.dir, name)?.filter(|m| !m.is_whiteout()) else { return Ok(None) };
        let all = walk::xattrs(here.dir, name)?;
        let marks = self.marks(&all)?;
        let white = here.nested && marks.whiteout && meta.kind == Kind::File && meta.size == 0;
        Ok((!white).then(|| (meta, kept(all), marks)))
    }

    fn subdirectory(
        &mut self,
        here: &Here,
        item: Item,
        marks: &Marks,
        old: Option<(usize, Meta)>,
        lower: &[OwnedFd],
    ) -> Result<bool> {
        let look = || format!("look at {}", shown(item.path));
        let dir = &walk::open_dir(item.dir, item.name).with_context(look)?;
        let was_dir = old.is_some_and(|(_, was)| was.kind == Kind::Dir);
        let dark = here.dark || marks.opaque || (old.is_some() && !was_dir);
        let frame =
            Frame { above: Some(here.at), item, opaque: marks.opaque && was_dir, said: Cell::new(false) };
        let noise = self.directory(&Here { dir, at: &frame, lower, dark, nested: marks.nested })?;
        if frame.said.get() {
            return Ok(true);
        }
        let item = &frame.item;
        let look = || format!("look at {}", shown(item.path));
        match old {
            // Its time alone tells that something was made in it, and that was the runtime's.
            Some((n, was)) if !dark && same(item, &was, &here.lower[n], noise > 0).with_context(look)? => {
                return Ok(true);
            }
            None if self.made_on_the_way(item.path, noise, dir).with_context(look)? => return Ok(false),
            _ => {}
        }
        self.say(&frame)?;
        Ok(true)
    }

    /// A directory, and those above it that were not said yet.
    fn say(&mut self, at: &Frame) -> Result<()> {
        if at.said.replace(true) {
            return Ok(());
        }
        if let Some(above) = at.above {
            self.say(above)?;
        }
        (self.see)(Seen::There(&at.item))?;
        if at.opaque {
            (self.see)(Seen::Opaque(at.item.path))?;
        }
        Ok(())
    }

    /// An empty file at a place that something is mounted on.
    fn made_for_mount(&self, path: &Path, meta: &Meta) -> bool {
        meta.kind == Kind::File && meta.size == 0 && self.targets.iter().any(|t| t == path)
    }

    /// A directory that something is mounted on, or below, with nothing else in it.
    fn made_on_the_way(&self, path: &Path, noise: usize, dir: &OwnedFd) -> Result<bool> {
        let target = self.targets.iter().any(|t| t.starts_with(path));
        Ok(target && walk::names(dir)?.len() == noise)
    }
}

/// Whether owner, mode, attributes and time are as they were.
fn same(item: &Item, was: &Meta, dir: &OwnedFd, any_time: bool) -> Result<bool> {
    let now = &item.meta;
    let alike = (now.kind, now.mode, now.owner, now.device) == (was.kind, was.mode, was.owner, was.device)
        && (any_time || now.mtime == was.mtime);
    Ok(alike && kept(walk::xattrs(dir, item.name)?) == item.xattrs)
}

/// Whether a file that was copied up is still what it was: opening it for writing is enough for a
/// copy. With a second name it counts, since that is one more fact.
fn unchanged(item: &Item, was: &Meta, dir: &OwnedFd) -> Result<bool> {
    if item.meta.links > 1 || item.meta.size != was.size || !same(item, was, dir, false)? {
        return Ok(false);
    }
    match item.meta.kind {
        Kind::File => alike(walk::open_file(item.dir, item.name)?, walk::open_file(dir, item.name)?),
        Kind::Symlink => Ok(walk::read_link(item.dir, item.name)? == walk::read_link(dir, item.name)?),
        _ => Ok(true),
    }
}

fn alike(a: impl Read, b: impl Read) -> Result<bool> {
    let (mut a, mut b) = (a.take(u64::MAX), b.take(u64::MAX));
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        for (input, buf) in [(&mut a as &mut dyn Read, &mut left), (&mut b, &mut right)] {
            buf.clear();
            input.take(64 << 10).read_to_end(buf)?;
        }
        if left != right || left.is_empty() {
            return Ok(left == right);
        }
    }
}

/// A line of `stave diff`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// In the container.
    pub path: PathBuf,
    /// `A`, `C` or `D`, as docker has them.
    pub kind: char,
}

/// All that changed, sorted by path.
pub fn diff(overlays: &[Overlay]) -> Result<Vec<Change>> {
    let mut all = Vec::new();
    for overlay in overlays {
        walk(overlay, true, &mut |seen| {
            let (path, kind) = match seen {
                Seen::There(item) if item.path == Path::new("") => return Ok(()),
                Seen::There(item) => (item.path, if item.before { 'C' } else { 'A' }),
                Seen::Gone(path) | Seen::Hidden(path) => (path, 'D'),
                Seen::Opaque(_) => return Ok(()),
            };
            all.push(Change { path: overlay.at.join(path), kind });
            Ok(())
        })?;
    }
    all.sort_by(|a, b| a.path.as_os_str().as_bytes().cmp(b.path.as_os_str().as_bytes()));
    Ok(all)
}

/// The overlays that a container writes into, by the place in it: its root, and with `--host` the
/// disks mounted below. None where its root is not made of layers. `bundle` is its directory.
pub fn overlays(doc: &doc::Doc, bundle: &Path) -> Result<Vec<Overlay>> {
    let lower: Vec<PathBuf> = doc.layers()?.into_iter().map(|l| l.dir.into()).collect();
    if lower.is_empty() {
        return Ok(Vec::new());
    }
    let mounts = doc.mounts()?;
    let mut targets: Vec<PathBuf> = mounts.iter().map(|m| PathBuf::from(&m.destination)).collect();
    targets.push(doc.cwd().into());
    let mut all =
        vec![Overlay { at: "/".into(), upper: bundle.join("upper"), lower, targets: targets.clone() }];
    for mount in mounts.iter().filter(|m| m.kind.as_deref() == Some("overlay")) {
        let option = |key| mount.options.iter().find_map(|o| o.strip_prefix(key)).map(PathBuf::from);
        if let (Some(lower), Some(upper)) = (option("lowerdir="), option("upperdir="))
            && upper.starts_with(bundle)
        {
            let at = PathBuf::from(&mount.destination);
            all.push(Overlay { at, upper, lower: vec![lower], targets: targets.clone() });
        }
    }
    all.retain(|o| o.upper.is_dir());
    all.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(all)
}
