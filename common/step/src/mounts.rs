//! Doing what makes a container's tree: mounts, devices, what is hidden and what can only be read.
//! Every place in the tree is a descriptor, found once; what is put there is finished before.

use crate::{Act, Done, Fail, IdMap, held};
use std::cell::RefCell;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use sys::Errno;
use sys::inroot::{self, FileType, Flags, Node, fd_path};
use sys::mount::{self, Tree, Words};
use sys::ns;

type Result<T> = std::result::Result<T, Fail>;

/// One mount within a root, as [`crate::Act::Mount`] has it.
pub(crate) struct Mounting<'a> {
    pub root: &'a Path,
    pub to: &'a Path,
    pub source: &'a str,
    pub kind: Option<&'a str>,
    pub options: &'a [String],
    pub idmap: Option<&'a IdMap>,
    pub or: Option<&'a Path>,
}

fn because(errno: impl Into<Errno>, why: String) -> Fail {
    Fail { errno: errno.into(), why: Some(why), status: None }
}

impl Mounting<'_> {
    pub fn make(&self) -> Result<()> {
        let words = Words::of(self.options);
        let root = root_at(self.root)?;
        if words.remount {
            let mount = inroot::open(&root, self.to, inroot::O_PATH)?;
            return Ok(mount::remount(mount, &words)?);
        }
        let done =
            if words.bind.is_some() { self.bind(&root, &words) } else { self.filesystem(&root, words) };
        if self.to == Path::new("/") {
            forget_root();
        }
        done
    }

    fn bind(&self, root: impl AsFd, words: &Words) -> Result<()> {
        let source = Path::new(self.source);
        if words.copy_link
            && let Ok(target) = fs::read_link(source)
        {
            return Ok(inroot::symlink(root, &target.to_string_lossy(), self.to)?);
        }
        let tree = match held::take(self.source) {
            Some(tree) => Tree::from(tree),
            None => source_tree(source, words, self.idmap)?,
        };
        let file = !inroot::is_dir(&tree)?;
        let target = self.target(&root, words, file)?;
        self.keep_proc(&target, Some(&tree))?;
        tree.restrict(words).map_err(|e| match e {
            Errno(sys::EPERM) => {
                because(e, "a flag that it comes with is locked: operation not permitted".into())
            }
            e => e.into(),
        })?;
        attach(&tree, &target, file, self.source)?;
        Ok(tree.propagate(&words.propagation)?)
    }

    fn target(&self, root: impl AsFd, words: &Words, file: bool) -> Result<OwnedFd> {
        if words.to_nofollow
            && let Ok(plain) = inroot::open(&root, self.to, Flags::PATH | Flags::NOFOLLOW)
        {
            return Ok(plain);
        }
        Ok(inroot::make_target(&root, self.to, file)?.0)
    }

    fn filesystem(&self, root: impl AsFd, mut words: Words) -> Result<()> {
        let kind = self.kind.unwrap_or_default();
        let target = if matches!(kind, "proc" | "sysfs") {
            // Through a link of the image's what the runtime trusts could come to lie elsewhere
            // (CVE-2023-27561).
            inroot::make_plain(&root, self.to).map_err(|e| match e {
                Errno(sys::ENOTDIR | sys::ELOOP) => {
                    because(e, format!("{kind} must be mounted on ordinary directory"))
                }
                e => e.into(),
            })?
        } else {
            let (target, there) = inroot::make_target(&root, self.to, false)?;
            if kind == "tmpfs" && there && !words.data.iter().any(|w| w.starts_with("mode=")) {
                words.data.insert(0, format!("mode={:o}", inroot::mode(&target)?));
            }
            target
        };
        self.keep_proc(&target, None)?;
        match (mount::filesystem(kind, self.source, &target, &words), self.or) {
            (Err(Errno(sys::EPERM | sys::EBUSY)), Some(other)) => self.instead(other, &target, words),
            (Err(e @ Errno(sys::ENODEV)), _) => {
                Err(because(e, format!("this kernel has no file system {kind}")))
            }
            (Err(e @ Errno(sys::ENOTDIR)), _) => Err(because(e, "the destination is no directory".into())),
            (other, _) => Ok(other?),
        }
    }

    /// The host's own, where the kernel does not make a new one.
    fn instead(&self, source: &Path, target: impl AsFd, mut words: Words) -> Result<()> {
        let tree = Tree::of_path(source, true, false).map_err(|e| because(e, named(source, e)))?;
        words.make_recursive();
        tree.restrict(&words)?;
        tree.attach(target)?;
        Ok(tree.propagate(&words.propagation)?)
    }

    /// Nothing comes into a /proc, nor in its place, that could pass for a part of it; but for the
    /// files that lxcfs shows in another light.
    fn keep_proc(&self, target: impl AsFd, tree: Option<&Tree>) -> Result<()> {
        const SHOWN: [&str; 10] = [
            "cpuinfo",
            "diskstats",
            "loadavg",
            "meminfo",
            "slabinfo",
            "stat",
            "swaps",
            "uptime",
            "sys/kernel/ns_last_pid",
            "sys/crypto/fips_enabled",
        ];
        let inside = mount::magic_of(&target)? == mount::PROC;
        if inside && !inroot::is_proc_root(&target)? {
            let path = fs::read_link(fd_path(&target))?;
            let shown = SHOWN.iter().any(|s| path.ends_with(Path::new("proc").join(s)));
            if !shown {
                return Err(because(
                    Errno(sys::EPERM),
                    "cannot be mounted because it is inside /proc".into(),
                ));
            }
        } else if inside || self.to == Path::new("/proc") {
            let same = match tree {
                Some(tree) => mount::magic_of(tree)? == mount::PROC,
                None => self.kind == Some("proc"),
            };
            if !same {
                return Err(because(
                    Errno(sys::EPERM),
                    "cannot be mounted because it is not of type proc".into(),
                ));
            }
        }
        Ok(())
    }
}

fn named(path: &Path, errno: Errno) -> String {
    format!("{}: {errno}", path.display())
}

/// A copy of what is at a source, with its ids mapped where that is asked for.
pub(crate) fn source_tree(source: &Path, words: &Words, idmap: Option<&IdMap>) -> Result<Tree> {
    let tree = Tree::of_path(source, words.bind == Some(true), words.source_nofollow);
    mapped(tree.map_err(|e| untaken(source, words, e))?, source, words, idmap)
}

/// The same as a process sees it that is in a mount namespace of its own: what it has mounted may be a
/// source too. What came along into a less privileged one is locked to what lies above it, so that a
/// mount alone cannot be had there: it is taken where it came from, if it is that.
pub(crate) fn source_of(pid: i32, source: &Path, words: &Words, idmap: Option<&IdMap>) -> Result<Tree> {
    let (recursive, nofollow) = (words.bind == Some(true), words.source_nofollow);
    let (tree, seen) = ns::in_tree_of(pid, || {
        let tree = Tree::of_path(source, recursive, nofollow);
        let locked = !recursive && matches!(tree, Err(Errno(sys::EINVAL)));
        Ok((tree, locked.then(|| inroot::handle(source, nofollow)).transpose()?))
    })?;
    let tree = match seen.map(|seen| Ok::<_, Errno>((seen, inroot::handle(source, nofollow)?))) {
        Some(Ok((seen, own))) if mount::alike(&seen, &own)? => Tree::of_file(own, false),
        _ => tree,
    };
    mapped(tree.map_err(|e| untaken(source, words, e))?, source, words, idmap)
}

fn untaken(source: &Path, words: &Words, errno: Errno) -> Fail {
    match errno {
        Errno(sys::EINVAL) if words.bind != Some(true) => because(
            errno,
            format!("{}: what is mounted below is locked there: only rbind takes it", source.display()),
        ),
        e => because(e, named(source, e)),
    }
}

fn mapped(tree: Tree, source: &Path, words: &Words, idmap: Option<&IdMap>) -> Result<Tree> {
    let Some(map) = idmap else { return Ok(tree) };
    let namespace = match &map.userns {
        Some(path) => fs::File::open(path)
            .map(Into::into)
            .map_err(|e| because(e, format!("open {}", path.display())))?,
        None => {
            mount::namespace(&map.uids, &map.gids).map_err(|e| because(e, format!("make its id map: {e}")))?
        }
    };
    tree.map_ids(namespace, words.idmap == Some(true)).map_err(|e| match e {
        Errno(sys::EINVAL) => because(e, format!("the file system of {} takes no id map", source.display())),
        e => because(e, format!("map the ids of {}: {e}", source.display())),
    })?;
    Ok(tree)
}

fn attach(tree: &Tree, target: impl AsFd, file: bool, source: &str) -> Result<()> {
    tree.attach(&target).map_err(|e| match (e, file, inroot::is_dir(&target)) {
        (Errno(sys::EINVAL | sys::ENOTDIR), true, Ok(true)) => because(
            Errno(sys::ENOTDIR),
            format!("not a directory: the destination is one, and {source} is not"),
        ),
        (Errno(sys::EINVAL | sys::ENOTDIR), false, Ok(false)) => because(
            Errno(sys::ENOTDIR),
            format!("not a directory: {source} is one, and the destination is not"),
        ),
        _ => e.into(),
    })
}

thread_local! {
    /// The root of the last step and its path: the next one has the same.
    static ROOT: RefCell<Option<(PathBuf, Rc<OwnedFd>)>> = const { RefCell::new(None) };
}

/// What steps have kept open for those that follow is closed.
pub fn let_go() {
    ROOT.take();
    EMPTY.take();
}

fn root_at(path: &Path) -> Result<Rc<OwnedFd>> {
    ROOT.with_borrow_mut(|last| match last {
        Some((of, root)) if of == path => Ok(root.clone()),
        _ => {
            let root = Rc::new(inroot::root(path)?);
            *last = Some((path.to_owned(), root.clone()));
            Ok(root)
        }
    })
}

/// By its path another mount may be found from now on.
pub(crate) fn forget_root() {
    ROOT.set(None);
}

/// Whether a step leaves the root's path what it was.
pub(crate) fn keeps_root(act: &Act) -> bool {
    matches!(
        act,
        Act::Mount { .. }
            | Act::Mask { .. }
            | Act::Readonly { .. }
            | Act::Device { .. }
            | Act::Dir { .. }
            | Act::Symlink { .. }
    )
}

/// A directory within a root, if it can be made.
pub(crate) fn dir(root: &Path, path: &Path) -> Result<()> {
    let _ = inroot::make(root_at(root)?, path, FileType::Directory);
    Ok(())
}

/// A symbolic link within a root.
pub(crate) fn symlink(root: &Path, target: &str, link: &Path) -> Result<()> {
    Ok(inroot::symlink(root_at(root)?, target, link)?)
}

thread_local! {
    /// The empty directory over the first that was masked: the next ones are copies of that mount.
    static EMPTY: RefCell<Option<Tree>> = const { RefCell::new(None) };
}

/// Post-condition: nothing of what is at the path can be read, nor anything written.
pub(crate) fn mask(root: &Path, path: &Path) -> Result<()> {
    let root = root_at(root)?;
    let at = match inroot::open(&root, path, inroot::O_PATH) {
        Err(Errno(sys::ENOENT | sys::ENOTDIR)) => return Ok(()), // nothing to hide
        other => other?,
    };
    if !inroot::is_dir(&at)? {
        return Ok(of_host(Path::new("/dev/null"), NULL)?.attach(at)?);
    }
    EMPTY.with_borrow_mut(|empty| {
        let tree = match empty.as_ref().map(|first| Tree::of_file(first, false)) {
            Some(Ok(copy)) => copy,
            _ => Tree::of_filesystem("tmpfs", "tmpfs", &Words::of(&["ro", "nr_inodes=1"]))?,
        };
        tree.attach(at)?;
        *empty = Some(tree);
        Ok(())
    })
}

/// Post-condition: nothing at or below the path can be written, in what is mounted there either: below a
/// /proc/sys of the host's that would be binfmt_misc, by which a file comes to be run outside.
pub(crate) fn readonly(root: &Path, path: &Path) -> Result<()> {
    let root = root_at(root)?;
    if path == Path::new("/") {
        return Ok(mount::readonly(root)?);
    }
    let at = match inroot::open(&root, path, inroot::O_PATH) {
        Err(Errno(sys::ENOENT | sys::ENOTDIR)) => return Ok(()),
        other => other?,
    };
    let tree = Tree::of_file(&at, true)?;
    tree.readonly()?;
    Ok(tree.attach(at)?)
}

const NULL: Node = Node { kind: FileType::CharacterDevice, major: 1, minor: 3 };

/// A device of the host's, which is the one that it should be: a name can be exchanged
/// (CVE-2025-31133).
fn host_device(path: &Path, node: Node) -> Result<OwnedFd> {
    let file = inroot::handle(path, false).map_err(|e| because(e, named(path, e)))?;
    if node.is(&file)? {
        return Ok(file);
    }
    let (major, minor) = (node.major, node.minor);
    Err(because(Errno(sys::ENODEV), format!("{} of the host is not device {major}:{minor}", path.display())))
}

/// The same as a mount by which its owner and mode stay what they are on the host: root inside may be the
/// root who owns it. A device takes data all the same, and nobody has to run it.
fn of_host(path: &Path, node: Node) -> Result<Tree> {
    let tree = Tree::of_file(host_device(path, node)?, false)?;
    tree.inert()?;
    tree.readonly()?;
    Ok(tree)
}

/// Post-condition: no standard stream is the null device of the caller, who may be the machine: by a
/// descriptor its owner and mode can be changed. It is the one of the root; of a root that has none, it is
/// the caller's by a mount that can only be read. Whoever may not mount may not change it either.
pub(crate) fn null_streams(root: &Path) -> Result<Done> {
    let null = |file: &OwnedFd| NULL.is(file) == Ok(true);
    let streams = sys::io::streams_that(|fd| NULL.is(fd) == Ok(true));
    if streams.is_empty() {
        return Ok(Done::WasSo);
    }
    let own = || {
        let file = inroot::open(inroot::root(root)?, Path::new("/dev/null"), inroot::O_PATH)?;
        if null(&file) { inroot::reopen(file) } else { Err(Errno(sys::ENODEV)) }
    };
    let lent = || -> Result<_> { Ok(inroot::reopen(of_host(Path::new("/dev/null"), NULL)?)?) };
    let Ok(null) = own().map_err(Fail::from).or_else(|_| lent()) else { return Ok(Done::WasSo) };
    for number in streams {
        sys::io::onto_stdio(&null, number)?;
    }
    Ok(Done::Made)
}

/// A device within a root, made or, where that is not allowed (a user namespace), bound: the one that
/// the parent made for it, else the host's.
pub(crate) fn device(root: &Path, path: &Path, node: Node, mode: u32, owner: (u32, u32)) -> Result<()> {
    let root = root_at(root)?;
    let given = held::take(&path.to_string_lossy()).map(Tree::from);
    let other = |e| because(e, format!("what is there is not device {}:{}", node.major, node.minor));
    let there = |e| {
        let there = inroot::open(&root, path, inroot::O_PATH)?;
        // In a user namespace an earlier one was bound there, onto a file made for it.
        let target = ns::in_user_namespace() && inroot::is_empty_file(&there)?;
        if target || node.is(&there)? { Ok(target.then_some(there)) } else { Err(other(e)) }
    };
    let mut target = None;
    if given.is_none() {
        match inroot::mknod(&root, path, node, mode & 0o7777, owner) {
            Err(Errno(sys::EPERM)) if node.kind != FileType::Fifo => {}
            Err(e @ Errno(sys::EEXIST)) => target = there(e)?,
            done => return Ok(done?),
        }
    }
    let tree = match given {
        Some(tree) => {
            tree.inert()?;
            tree
        }
        None => of_host(path, node)?,
    };
    let target = match target.map_or_else(|| inroot::make_new(&root, path), Ok) {
        Err(e @ Errno(sys::EEXIST)) => match there(e)? {
            Some(target) => target,
            None => return Ok(()),
        },
        made => made?,
    };
    // The kernel's files are empty as well.
    if mount::magic_of(&target)? == mount::PROC {
        return Err(because(Errno(sys::EPERM), "cannot be made because it is inside /proc".into()));
    }
    Ok(tree.attach(target)?)
}

/// A device on a file system that holds nothing else, as a mount of its own; `None`: the caller may not
/// make one. The file system is of the caller's user namespace: on another's a device does not open.
pub(crate) fn node(node: Node, mode: u32, owner: (u32, u32)) -> Result<Option<Tree>> {
    let fs = Tree::of_filesystem("tmpfs", "tmpfs", &Words::of(&["mode=700", "nr_inodes=2"]))?;
    let name = Path::new("/node");
    match inroot::mknod(&fs, name, node, mode, owner) {
        Err(Errno(sys::EPERM)) => return Ok(None),
        done => done?,
    }
    let file = inroot::open(&fs, name, inroot::O_PATH)?;
    match Tree::of_file(&file, false) {
        // Before Linux 6.15 a tree that is nowhere mounted cannot be copied.
        Err(Errno(sys::EINVAL)) => ns::in_tree_apart(|| {
            fs.attach(inroot::root(Path::new("/"))?)?;
            Ok(Some(Tree::of_file(&file, false)?))
        })
        .map_err(Fail::from),
        tree => Ok(Some(tree?)),
    }
}

/// A directory as a mount of its own, with all that is mounted below it.
pub(crate) fn bind_self(path: &Path) -> Result<()> {
    let tree = Tree::of_path(path, true, false)?;
    Ok(tree.attach(inroot::root(path)?)?)
}

/// The root is exchanged in one of three ways: `move` is for a machine that runs in its initramfs,
/// which pivot_root(2) cannot leave; `chroot` for a process without a mount namespace of its own.
pub(crate) fn pivot(root: &Path, how: Option<&str>) -> Result<()> {
    match how {
        None => match mount::pivot_root(root) {
            Err(Errno(sys::EINVAL)) if mount::is_initramfs() => Ok(mount::move_root(root)?),
            other => Ok(other?),
        },
        Some("move") => Ok(mount::move_root(root)?),
        Some("chroot") => Ok(mount::change_root(root)?),
        Some(_) => Err(Errno(sys::EINVAL).into()),
    }
}

/// /dev/console of a root is a terminal, by its descriptor.
pub(crate) fn console(root: &Path, terminal: impl AsFd) -> Result<()> {
    let root = inroot::root(root)?;
    let (target, _) = inroot::make_target(&root, Path::new("/dev/console"), true)?;
    if mount::magic_of(&target)? == mount::PROC {
        return Err(because(Errno(sys::EPERM), "/dev/console leads into /proc".into()));
    }
    attach(&Tree::of_file(terminal, false)?, target, true, "the terminal")
}

/// Where a mount of [`crate::Act::Mount`] lies on the host.
pub(crate) fn place(root: &Path, to: &Path) -> Option<PathBuf> {
    let fd = inroot::open(inroot::root(root).ok()?, to, inroot::O_PATH).ok()?;
    fs::read_link(fd_path(&fd)).ok()
}
