//! The image store: an OCI image layout at ROOT/store that skopeo and umoci read, and the layers
//! unpacked at ROOT/layers.
//!
//! What has a digest is kept byte for byte and verified when it comes in. Two locks, both on
//! directories: ROOT/store is held shared by whoever adds or unpacks and exclusively by whoever
//! collects garbage; ROOT/store/blobs exclusively for the moment of a change to index.json.
#![forbid(unsafe_code)]

mod archive;
mod blob;
pub mod changes;
mod compress;
mod digest;
mod extract;
mod find;
mod gc;
mod index;
mod ingest;
mod layer;
mod manifest;
mod name;
mod platform;
mod reference;
#[cfg(test)]
mod testing;

pub use blob::Temp;
pub use compress::Format;
pub use digest::{Digest, Hasher};
pub use find::{Found, Image};
pub use gc::{Garbage, Held};
pub use ingest::{Empty, Incoming, Input, Loaded, ingest};
pub use layer::Plan;
pub use manifest::{CONFIG, LAYER, LAYER_GZIP, LAYER_ZSTD, MANIFEST, REF_NAME};
pub use manifest::{Config, Descriptor, Execution, Index, Manifest, RootFs};
pub use name::{nearest, normal};
pub use platform::Platform;
pub use reference::Reference;

use anyhow::{Context, Result};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The store below a root directory. Nothing is made until something is put into it.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store of a root (`host.roots.root`).
    pub fn new(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    /// The OCI image layout.
    pub fn path(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Where unpacked layers are.
    pub fn layers_path(&self) -> PathBuf {
        self.root.join("layers/sha256")
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("store/blobs/sha256")
    }

    /// Held while something is added or unpacked, so that it is not collected meanwhile. Makes the
    /// store where there is none.
    pub fn work(&self) -> Result<File> {
        self.make().with_context(|| format!("make {}", self.path().display()))?;
        let dir = File::open(self.path()).with_context(|| format!("open {}", self.path().display()))?;
        sys::io::lock_shared(&dir).with_context(|| format!("lock {}", self.path().display()))?;
        Ok(dir)
    }

    /// Held while garbage is collected: nobody adds or unpacks. `None`: there is no store.
    pub fn alone(&self) -> Result<Option<File>> {
        let dir = match File::open(self.path()) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("open {}", self.path().display()))?,
        };
        sys::io::lock(&dir).with_context(|| format!("lock {}", self.path().display()))?;
        Ok(Some(dir))
    }

    fn make(&self) -> std::io::Result<()> {
        if self.path().join("oci-layout").exists() {
            return Ok(());
        }
        // Old files of images, setuid programs among them, are no business of other users.
        DirBuilder::new().recursive(true).mode(0o755).create(&self.root)?;
        for (dir, mode) in [("store", 0o700), ("layers", 0o700), ("store/blobs", 0o755)] {
            mkdir(&self.root.join(dir), mode)?;
        }
        mkdir(&self.blobs(), 0o755)?;
        mkdir(&self.layers_path(), 0o755)?;
        blob::replace(&self.path().join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)
    }
}

fn mkdir(path: &Path, mode: u32) -> std::io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && fs::metadata(path)?.is_dir() => Ok(()),
        other => other,
    }
}
