//! Everything below ROOT/store and ROOT/layers, and what keeps it: an image in the list, a
//! container, a process at work. What nothing keeps is garbage.

use crate::work::Alone;
use crate::{Config, Digest, Index, Manifest, Store, blob, layer};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What one container uses.
#[derive(Clone, Debug)]
pub struct User {
    /// What it is called.
    pub name: String,
    /// The manifest of its image.
    pub manifest: Option<Digest>,
    /// Its layers' directories.
    pub dirs: Vec<PathBuf>,
}

/// What a thing in the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What the store itself needs: index.json, directories.
    Own,
    /// A blob.
    Blob,
    /// An unpacked layer.
    Layer,
    /// A blob of which some bytes have come.
    Partial,
    /// A temporary file or directory.
    Temporary,
    /// The lease of a process at work.
    Lease,
}

impl Kind {
    /// In a word.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Own => "store",
            Kind::Blob => "blob",
            Kind::Layer => "layer",
            Kind::Partial => "partial download",
            Kind::Temporary => "temporary",
            Kind::Lease => "lease",
        }
    }
}

/// One thing in the store.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// A directory, to be removed with all that is in it.
    pub is_dir: bool,
    /// Each from what keeps it down to it; none: it is garbage.
    pub kept_by: Vec<Vec<String>>,
}

impl Item {
    /// Whether nothing keeps it.
    pub fn is_garbage(&self) -> bool {
        self.kept_by.is_empty()
    }
}

type Chain = Vec<String>;

/// What reaches a blob or a layer's directory.
#[derive(Default)]
struct Reached {
    blobs: BTreeMap<Digest, BTreeSet<Chain>>,
    dirs: BTreeMap<PathBuf, BTreeSet<Chain>>,
}

impl Reached {
    fn blob(&mut self, digest: &Digest, chain: &[String], last: String) -> Chain {
        let chain: Chain = chain.iter().cloned().chain([last]).collect();
        self.blobs.entry(digest.clone()).or_default().insert(chain.clone());
        chain
    }
}

impl Store {
    /// Accounts for all that there is in ROOT/store and ROOT/layers. The caller holds
    /// [`Store::alone`], so that it does not change meanwhile.
    pub fn account(&self, users: &[User]) -> Result<Vec<Item>> {
        let (leases, _) = self.living()?;
        let living: BTreeSet<&str> = leases.iter().map(|l| l.name.as_str()).collect();
        let mut reached = Reached::default();
        for d in self.index()?.manifests {
            let name =
                d.ref_name().map_or_else(|| format!("image {}", short(&d.digest)), crate::index::shown);
            self.mark(&d.digest, &[name], &mut reached);
        }
        for user in users {
            let name = format!("container {}", user.name);
            if let Some(digest) = &user.manifest {
                self.mark(digest, std::slice::from_ref(&name), &mut reached);
            }
            for dir in &user.dirs {
                reached.dirs.entry(dir.clone()).or_default().insert(vec![name.clone()]);
            }
        }
        for lease in &leases {
            for digest in &lease.holds {
                self.mark(digest, &[format!("lease {}", lease.name)], &mut reached);
            }
        }
        let mut items = Vec::new();
        let own = |path: PathBuf, is_dir| Item {
            path,
            kind: Kind::Own,
            is_dir,
            kept_by: vec![vec!["the store".into()]],
        };
        let working = |lease: &str| match living.contains(lease) {
            true => vec![vec![format!("lease {lease}")]],
            false => Vec::new(),
        };
        let temporary = |path: PathBuf, is_dir, name: &str| Item {
            path,
            kind: Kind::Temporary,
            is_dir,
            kept_by: blob::lease_of(name).map(working).unwrap_or_default(),
        };
        let chains = |set: Option<&BTreeSet<Chain>>| set.into_iter().flatten().cloned().collect::<Vec<_>>();
        for (path, is_dir, name) in entries(&self.path())? {
            items.push(if name.starts_with('.') {
                temporary(path, is_dir, &name)
            } else {
                own(path, is_dir)
            });
        }
        for (path, is_dir, name) in entries(&self.leases())? {
            items.push(Item { path, kind: Kind::Lease, is_dir, kept_by: working(&name) });
        }
        for (path, is_dir, name) in entries(&self.path().join("blobs"))? {
            items.push(if name == "sha256" { own(path, is_dir) } else { temporary(path, is_dir, &name) });
        }
        for (path, is_dir, name) in entries(&self.blobs())? {
            items.push(match (Digest::parse(&format!("sha256:{name}")), name.strip_suffix(".part")) {
                (Ok(digest), _) => {
                    Item { path, kind: Kind::Blob, is_dir, kept_by: chains(reached.blobs.get(&digest)) }
                }
                (_, Some(_)) => {
                    let kept_by = if locked(&path)? { vec![vec!["a download".into()]] } else { Vec::new() };
                    Item { path, kind: Kind::Partial, is_dir, kept_by }
                }
                _ => temporary(path, is_dir, &name),
            });
        }
        let layers = self.layers_path();
        if layers.is_dir() {
            items.push(own(layers.clone(), true));
        }
        for (path, is_dir, name) in entries(&layers)? {
            items.push(match name.starts_with('.') {
                true => temporary(path, is_dir, &name),
                false => {
                    let kept_by = chains(reached.dirs.get(&path));
                    Item { path, kind: Kind::Layer, is_dir, kept_by }
                }
            });
        }
        Ok(items)
    }

    /// Removes garbage, and ends the hold on the store as soon as what it takes is out of the way.
    /// `users` is asked once more then: a container may have come that uses a layer, which then
    /// goes back to its place. Gives what was removed.
    pub fn collect(
        &self,
        alone: Alone,
        items: Vec<Item>,
        users: impl Fn() -> Result<Vec<User>>,
    ) -> Result<Vec<Item>> {
        let mut gone = Vec::new();
        let mut aside: Vec<(Item, PathBuf)> = Vec::new();
        for item in items.into_iter().filter(Item::is_garbage) {
            if item.is_dir {
                let to = blob::beside(&self.layers_path().join("gone"), "none").context("make a name")?;
                match fs::rename(&item.path, &to) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    other => {
                        other.with_context(|| format!("rename {}", item.path.display()))?;
                        aside.push((item, to));
                    }
                }
                continue;
            }
            match fs::remove_file(&item.path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                other => {
                    other.with_context(|| format!("remove {}", item.path.display()))?;
                    gone.push(item);
                }
            }
        }
        let used: BTreeSet<PathBuf> = if aside.iter().any(|(i, _)| i.kind == Kind::Layer) {
            users()?.into_iter().flat_map(|u| u.dirs).collect()
        } else {
            BTreeSet::new()
        };
        let mut remove = Vec::new();
        for (item, at) in aside {
            if used.contains(&item.path) {
                fs::rename(&at, &item.path).with_context(|| format!("rename {}", at.display()))?;
            } else {
                remove.push((item, at));
            }
        }
        drop(alone);
        for (item, at) in remove {
            layer::remove(&at)?;
            gone.push(item);
        }
        gone.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(gone)
    }

    /// An index, a manifest, and all that it points to. What cannot be read points to nothing.
    fn mark(&self, digest: &Digest, chain: &[String], reached: &mut Reached) {
        let manifest_chain = reached.blob(digest, chain, format!("manifest {}", short(digest)));
        if manifest_chain.len() > 8 {
            return;
        }
        let Ok(bytes) = self.read_blob(digest) else { return };
        if let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) {
            reached.blob(&manifest.config.digest, &manifest_chain, "config".into());
            let n = manifest.layers.len();
            for (i, layer) in manifest.layers.iter().enumerate() {
                reached.blob(&layer.digest, &manifest_chain, format!("layer {} of {n}", i + 1));
            }
            if let Ok(bytes) = self.read_blob(&manifest.config.digest)
                && let Ok(config) = serde_json::from_slice::<Config>(&bytes)
            {
                for (i, places) in self.places(&config.rootfs.diff_ids).into_iter().enumerate() {
                    let mut chain = manifest_chain.clone();
                    chain.push(format!("layer {} of {n}", i + 1));
                    for place in places {
                        reached.dirs.entry(place).or_default().insert(chain.clone());
                    }
                }
            }
        } else if let Ok(index) = serde_json::from_slice::<Index>(&bytes) {
            for d in &index.manifests {
                self.mark(&d.digest, &manifest_chain, reached);
            }
        }
    }
}

fn short(digest: &Digest) -> String {
    digest.hex()[..12].to_owned()
}

fn locked(path: &Path) -> Result<bool> {
    let file = match fs::File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other.with_context(|| format!("open {}", path.display()))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(fs::TryLockError::WouldBlock) => Ok(true),
        Err(fs::TryLockError::Error(e)) => Err(e).context(format!("lock {}", path.display())),
    }
}

/// What a directory has, sorted: path, whether it is a directory, name.
fn entries(dir: &Path) -> Result<Vec<(PathBuf, bool, String)>> {
    let list = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("read {}", dir.display()))?,
    };
    let mut all = Vec::new();
    for entry in list {
        let entry = entry.with_context(|| format!("read {}", dir.display()))?;
        // Its owner may just have renamed it.
        let Ok(kind) = entry.file_type() else { continue };
        all.push((entry.path(), kind.is_dir(), entry.file_name().to_string_lossy().into_owned()));
    }
    all.sort();
    Ok(all)
}
