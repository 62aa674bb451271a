//! What no image of the store and no container uses.

use crate::{Config, Digest, Index, Manifest, Store, layer};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What containers use.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Manifests of their images.
    pub manifests: Vec<Digest>,
    /// Their layers' directories.
    pub dirs: Vec<PathBuf>,
}

/// One thing that nobody uses.
#[derive(Clone, Debug)]
pub struct Garbage {
    /// A blob, a layer's directory, or a temporary file of somebody who was killed.
    pub path: PathBuf,
    /// Bytes of a file; a directory is not measured.
    pub size: Option<u64>,
}

#[derive(Default)]
struct Used {
    blobs: BTreeSet<Digest>,
    dirs: BTreeSet<PathBuf>,
}

impl Store {
    /// Finds it. The caller holds [`Store::alone`].
    pub fn garbage(&self, held: &Held) -> Result<Vec<Garbage>> {
        let mut used = Used { dirs: held.dirs.iter().cloned().collect(), ..Used::default() };
        let index = self.index()?;
        for digest in index.manifests.iter().map(|d| &d.digest).chain(&held.manifests) {
            self.mark(digest, &mut used);
        }
        let mut found = Vec::new();
        let blob =
            |name: &str| Digest::parse(&format!("sha256:{name}")).is_ok_and(|d| used.blobs.contains(&d));
        scan(&self.blobs(), &blob, &mut found)?;
        let layers = self.layers_path();
        scan(&layers, &|name| used.dirs.contains(&layers.join(name)), &mut found)?;
        scan(&self.path(), &|name| !name.starts_with('.'), &mut found)?;
        Ok(found)
    }

    /// Removes it.
    pub fn collect(&self, garbage: &[Garbage]) -> Result<()> {
        for g in garbage {
            if g.size.is_none() {
                layer::remove(&g.path)?;
            } else if let Err(e) = fs::remove_file(&g.path)
                && e.kind() != io::ErrorKind::NotFound
            {
                return Err(e).context(format!("remove {}", g.path.display()));
            }
        }
        Ok(())
    }

    /// An index, a manifest, and all that it points to. What cannot be read points to nothing.
    fn mark(&self, digest: &Digest, used: &mut Used) {
        if !used.blobs.insert(digest.clone()) {
            return;
        }
        let Ok(bytes) = self.read_blob(digest) else { return };
        if let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) {
            used.blobs.insert(manifest.config.digest.clone());
            used.blobs.extend(manifest.layers.iter().map(|l| l.digest.clone()));
            if let Ok(bytes) = self.read_blob(&manifest.config.digest)
                && let Ok(config) = serde_json::from_slice::<Config>(&bytes)
            {
                used.dirs.extend(self.places(&config.rootfs.diff_ids).into_iter().flatten());
            }
        } else if let Ok(index) = serde_json::from_slice::<Index>(&bytes) {
            for d in &index.manifests {
                self.mark(&d.digest, used);
            }
        }
    }
}

/// What is there and is not kept.
fn scan(dir: &Path, keep: &dyn Fn(&str) -> bool, found: &mut Vec<Garbage>) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("read {}", dir.display()))?,
    };
    let mut here = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("read {}", dir.display()))?;
        if !keep(&entry.file_name().to_string_lossy()) {
            let meta = entry.metadata().with_context(|| format!("stat {}", entry.path().display()))?;
            here.push(Garbage { path: entry.path(), size: (!meta.is_dir()).then(|| meta.size()) });
        }
    }
    here.sort_by(|a, b| a.path.cmp(&b.path));
    found.extend(here);
    Ok(())
}
