//! Where targets write: a directory of their own in memory, with a store in it and, beside the
//! store, things that nothing may ever touch.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use store::{Digest, Store, Work};

/// What `../../../../outside` is, seen from a layer that is being made.
const OUTSIDE: &str = "outside";

/// One thread's own.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) store: Store,
    _work: Work,
    before: Tree,
}

/// Each path, and all that there is to say of it.
pub(crate) type Tree = BTreeMap<PathBuf, String>;

impl Place {
    /// A store, where `fill` puts what is always there.
    pub(crate) fn new(fill: impl FnOnce(&Store)) -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let memory = Path::new("/dev/shm");
        let base = match std::env::var_os("FUZZ_DIR") {
            Some(dir) => PathBuf::from(dir),
            None if memory.is_dir() => memory.to_owned(),
            None => std::env::temp_dir(),
        };
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("stave-fuzz-{}-{n}", std::process::id()));
        fs::create_dir(&path).unwrap();
        MADE.with(|made| made.borrow_mut().push(path.clone()));
        let outside = path.join(OUTSIDE);
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "nobody's business").unwrap();
        fs::set_permissions(outside.join("secret"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::create_dir(outside.join("dir")).unwrap();
        symlink("secret", outside.join("link")).unwrap();
        let store = Store::new(&path.join("root"));
        let work = store.work().unwrap();
        fill(&store);
        let mut place = Place { path, store, _work: work, before: Tree::new() };
        place.before = place.now();
        place
    }

    fn now(&self) -> Tree {
        let mut all = tree(&self.path);
        for escaped in ["/stave-fuzz-escaped", "/a", "/f", "/d", "/new"] {
            if fs::symlink_metadata(escaped).is_ok() {
                all.insert(escaped.into(), "is there".into());
            }
        }
        // What changes when something comes and goes.
        let (outside, layers) = (self.path.join(OUTSIDE), self.store.layers_path());
        for (path, text) in &mut all {
            let inside = path.starts_with(&layers) && *path != layers;
            if !inside && !path.starts_with(&outside) {
                text.truncate(text.rfind(" at ").unwrap_or(text.len()));
            }
        }
        all
    }

    /// All is as it was at first.
    pub(crate) fn check(&self, when: &str) {
        let now = self.now();
        if now != self.before {
            panic!("{when}: {}", difference(&self.before, &now));
        }
    }

    /// Bytes as a blob, whatever they are.
    pub(crate) fn blob(&self, bytes: &[u8]) -> Digest {
        put(&self.store, bytes)
    }

    /// Takes a blob away.
    pub(crate) fn forget(&self, digest: &Digest) {
        let _ = fs::remove_file(self.store.blob(digest));
    }
}

thread_local! {
    static MADE: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

/// Removes what this thread's targets have made. None of them can be run in it afterwards.
pub fn tidy() {
    MADE.with(|made| made.take().iter().for_each(|dir| remove(dir)));
}

pub(crate) fn put(store: &Store, bytes: &[u8]) -> Digest {
    let digest = Digest::of(bytes);
    fs::write(store.blob(&digest), bytes).unwrap();
    digest
}

/// Whatever the modes in it.
pub(crate) fn remove(dir: &Path) {
    if let Ok(meta) = fs::symlink_metadata(dir) {
        sys::inroot::remove_tree(dir, meta.dev()).unwrap();
    }
}

/// Everything below a directory: kind, mode, owner, links, content; behind ` at ` the time.
pub(crate) fn tree(dir: &Path) -> Tree {
    let (mut all, mut first) = (Tree::new(), BTreeMap::new());
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        // Without the right to look there is nothing to say of it.
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let kind = meta.file_type();
        let short = path.strip_prefix(dir).unwrap().to_owned();
        let mut text = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
        if kind.is_dir() {
            if let Ok(list) = fs::read_dir(&path) {
                todo.extend(list.map(|e| e.unwrap().path()));
                todo.sort_by(|a, b| b.cmp(a));
            }
        } else {
            let same = first.entry(meta.ino()).or_insert_with(|| short.clone());
            text += &format!(" links {} as {}", meta.nlink(), same.display());
        }
        if kind.is_symlink() {
            text += &format!(" to {:?}", fs::read_link(&path).unwrap());
        } else if kind.is_file() {
            let content = if meta.len() > 1 << 20 { None } else { fs::read(&path).ok() };
            text += &format!(" {} {:?}", meta.len(), content.map(|c| Digest::of(&c)));
        } else if kind.is_char_device() || kind.is_block_device() {
            text += &format!(" device {}", meta.rdev());
        }
        if let Some(parent) = path.parent().and_then(|p| fs::File::open(p).ok())
            && let Ok(mut list) = sys::extract::xattrs(&parent, path.file_name().unwrap_or_default())
        {
            list.sort();
            for (key, value) in list {
                text += &format!(" {}={value:?}", String::from_utf8_lossy(&key));
            }
        }
        text += &format!(" at {}.{}", meta.mtime(), meta.mtime_nsec());
        all.insert(path, text);
    }
    all
}

/// The first path that is not the same.
pub(crate) fn difference(before: &Tree, now: &Tree) -> String {
    let paths = before.keys().chain(now.keys());
    let of = |tree: &Tree, path| tree.get(path).map_or("nothing".to_owned(), String::clone);
    paths
        .filter(|p| before.get(*p) != now.get(*p))
        .map(|p| format!("{}: {} -> {}", p.display(), of(before, p), of(now, p)))
        .next()
        .unwrap_or_default()
}

/// The same, seen from the directory, and without the times of what came to be just now.
pub(crate) fn relative(dir: &Path, tree: &Tree, since: i64) -> Tree {
    let strip = |text: &String| {
        let (rest, time) = text.rsplit_once(" at ").unwrap_or((text, ""));
        let seconds = time.split('.').next().and_then(|s| s.parse::<i64>().ok());
        // An entry may name a time in the future: that stays.
        if seconds.is_some_and(|s| (since..=since + 60).contains(&s)) {
            rest.to_owned()
        } else {
            text.clone()
        }
    };
    tree.iter().map(|(p, t)| (p.strip_prefix(dir).unwrap().to_owned(), strip(t))).collect()
}
