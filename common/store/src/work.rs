//! Leases: what is being worked on is not collected, and who collects does not wait for the work.
//!
//! A lease is a file in ROOT/store/leases, locked by its owner for as long as it lives: the kernel
//! ends it with the process, however that ends. Temporary files carry its name. Its lines name
//! manifests: what they reach is kept. `flock` of ROOT/store is held shared for the moment in which
//! a lease changes, and alone by whoever collects.

use crate::{Digest, Manifest, Store, blob};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A lease of this process. Dropping it ends it.
#[derive(Debug)]
pub struct Work {
    store: Store,
    path: PathBuf,
    file: File,
}

/// What a living lease says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    /// In the names of its temporary files.
    pub name: String,
    /// Manifests and indexes that are kept with all that they reach.
    pub holds: Vec<Digest>,
    /// Those of them whose blobs the owner is fetching.
    pub brings: Vec<Digest>,
}

/// The store held by one process, for the moment of a collection.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "closing it ends the lock")] File);

impl Store {
    pub(crate) fn leases(&self) -> PathBuf {
        self.path().join("leases")
    }

    /// Held while something is added or unpacked, so that it is not collected meanwhile. Makes the
    /// store where there is none. One at a time for each `Store` value.
    pub fn work(&self) -> Result<Work> {
        let _moment = self.begin()?;
        let random: [u8; 6] = sys::io::random().context("make a lease")?;
        let name: String = random.iter().map(|b| format!("{b:02x}")).collect();
        let path = self.leases().join(&name);
        let file = File::create_new(&path).with_context(|| format!("make lease {}", path.display()))?;
        sys::io::lock(&file).with_context(|| format!("lock {}", path.display()))?;
        self.called(name);
        Ok(Work { store: self.clone(), path, file })
    }

    /// The store is there and held; one that is taken away meanwhile, since it was empty, is made
    /// again.
    fn begin(&self) -> Result<File> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.make() {
                Err(e) if e.kind() == io::ErrorKind::NotFound && tries < 100 => continue,
                other => other.with_context(|| format!("make {}", self.path().display()))?,
            }
            let moment = match File::open(self.path()) {
                Err(e) if e.kind() == io::ErrorKind::NotFound && tries < 100 => continue,
                other => other.with_context(|| format!("open {}", self.path().display()))?,
            };
            sys::io::lock_shared(&moment).with_context(|| format!("lock {}", self.path().display()))?;
            let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
            let now = fs::metadata(self.path());
            if now.is_ok_and(|now| moment.metadata().is_ok_and(|m| same(m, now))) && self.is_whole() {
                return Ok(moment);
            }
        }
    }

    /// Takes a store away into which nothing ever came: what failed in a fresh place leaves it as it
    /// was. Somebody else's lease, and anything else that is there, stops it.
    fn unmake(&self) -> io::Result<()> {
        let (store, layers) = (self.path(), self.layers_path());
        let dir = File::open(&store)?;
        if dir.try_lock().is_err() || store.join("index.json").exists() {
            return Ok(());
        }
        let empty = |dir: &Path| Ok::<bool, io::Error>(fs::read_dir(dir)?.next().is_none());
        if !empty(&self.blobs())? || !empty(&self.leases())? || !empty(&layers)? {
            return Ok(());
        }
        fs::remove_dir(self.leases())?;
        fs::remove_file(store.join("oci-layout"))?;
        for dir in [&self.blobs(), &store.join("blobs"), &store, &layers] {
            fs::remove_dir(dir)?;
        }
        layers.parent().map_or(Ok(()), fs::remove_dir)
    }

    /// Held while garbage is collected. `None`: there is no store.
    pub fn alone(&self) -> Result<Option<Alone>> {
        let dir = match File::open(self.path()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("open {}", self.path().display()))?,
        };
        sys::io::lock(&dir).with_context(|| format!("lock {}", self.path().display()))?;
        Ok(Some(Alone(dir)))
    }

    /// Nothing is collected while it is held; for what is short.
    pub(crate) fn moment(&self) -> Result<File> {
        let dir = File::open(self.path()).with_context(|| format!("open {}", self.path().display()))?;
        sys::io::lock_shared(&dir).with_context(|| format!("lock {}", self.path().display()))?;
        Ok(dir)
    }

    /// The living leases; the files of dead ones are the second part.
    pub(crate) fn living(&self) -> Result<(Vec<Lease>, Vec<PathBuf>)> {
        let (mut living, mut dead) = (Vec::new(), Vec::new());
        let dir = self.leases();
        let entries = match fs::read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((living, dead)),
            other => other.with_context(|| format!("read {}", dir.display()))?,
        };
        for entry in entries {
            let path = entry.with_context(|| format!("read {}", dir.display()))?.path();
            match alive(&path) {
                Ok(true) => living.extend(read(&path)?),
                Ok(false) => dead.push(path),
                // Its owner has just ended it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e).context(format!("lock {}", path.display())),
            }
        }
        Ok((living, dead))
    }

    /// Whether a process is at work which has promised a manifest with this blob.
    pub(crate) fn is_coming(&self, blob: &Digest) -> Result<bool> {
        let (living, _) = self.living()?;
        let promised: BTreeSet<&Digest> = living.iter().flat_map(|l| &l.brings).collect();
        Ok(promised.into_iter().any(|digest| {
            let manifest = self.read_blob(digest).ok();
            let manifest = manifest.and_then(|b| serde_json::from_slice::<Manifest>(&b).ok());
            manifest.is_some_and(|m| m.layers.iter().chain([&m.config]).any(|d| d.digest == *blob))
        }))
    }
}

/// Whether somebody holds it.
fn alive(path: &Path) -> io::Result<bool> {
    match File::open(path)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(fs::TryLockError::WouldBlock) => Ok(true),
        Err(fs::TryLockError::Error(e)) => Err(e),
    }
}

/// None: its owner has just ended it.
fn read(path: &Path) -> Result<Option<Lease>> {
    let text = match blob::read_small(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("read {}", path.display()))?,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut lease = Lease { name, ..Lease::default() };
    for line in String::from_utf8_lossy(&text).lines() {
        let Some((verb, digest)) = line.split_once(' ') else { continue };
        let Ok(digest) = Digest::parse(digest) else { continue };
        if verb == "brings" {
            lease.brings.push(digest.clone());
        }
        lease.holds.push(digest);
    }
    Ok(Some(lease))
}

impl Work {
    /// From now on a manifest or an index, and all that it reaches, is kept, whether it is there
    /// already or comes. To be called before looking whether something is there.
    pub fn hold(&self, digest: &Digest) -> Result<()> {
        self.say("holds", digest)
    }

    /// As [`Work::hold`], and a promise: this process fetches what is missing of the manifest's
    /// blobs, so that [`Store::follow`] waits for them.
    pub fn bring(&self, digest: &Digest) -> Result<()> {
        self.say("brings", digest)
    }

    fn say(&self, verb: &str, digest: &Digest) -> Result<()> {
        let _moment = self.store.moment()?;
        (&self.file)
            .write_all(format!("{verb} {digest}\n").as_bytes())
            .with_context(|| format!("write {}", self.path.display()))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        if !self.store.path().join("index.json").exists() {
            // What cannot be taken away is an empty store, and no harm.
            let _ = self.store.unmake();
        }
    }
}
