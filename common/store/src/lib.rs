//! The image store: an OCI image layout at ROOT/store that skopeo and umoci read, and the layers
//! unpacked at ROOT/layers.
//!
//! What has a digest is kept byte for byte and verified when it comes in. Who adds or unpacks has a
//! lease ([`Work`]); who collects garbage holds ROOT/store for a moment ([`Alone`]); ROOT/store/blobs
//! is locked for the moment of a change to index.json.
#![forbid(unsafe_code)]

mod archive;
mod archiver;
mod blob;
pub mod changes;
mod compress;
mod compressor;
mod contents;
mod digest;
mod extract;
mod find;
mod gc;
mod index;
mod ingest;
mod layer;
mod manifest;
mod name;
mod pack;
mod part;
mod platform;
mod reference;
mod save;
mod source;
#[cfg(test)]
mod testing;
mod unpack;
mod work;
mod written;

pub use archive::{Archive, Entry, Sparse};
pub use blob::Temp;
pub use compress::Format;
pub use compressor::{Compressor, Packing, threads};
pub use contents::{Share, Waste};
pub use digest::{Digest, Hasher};
pub use extract::{Below, Extractor, Made, Nothing, Rights, Shape, extract};
pub use find::{Found, Image, NoImage};
pub use gc::{Item, Kind, User};
pub use ingest::{Choice, Empty, Incoming, Input, Loaded, Root, import, ingest};
pub use layer::Plan;
pub use manifest::{CONFIG, LAYER, LAYER_GZIP, LAYER_ZSTD, MANIFEST, REF_NAME};
pub use manifest::{Config, Descriptor, Execution, History, Index, Manifest, RootFs};
pub use name::{nearest, normal};
pub use pack::{About, How, Layer, archive, flat};
pub use part::{Follow, Part, Wrong};
pub use platform::Platform;
pub use reference::Reference;
pub use save::{Form, Saved, Writing};
pub use source::{Stop, Stopped};
pub use work::{Alone, Work};
pub use written::{Change, Overlay, diff, overlays};

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The store below a root directory. Nothing is made until something is put into it.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// The lease that names its temporary files.
    lease: Arc<Mutex<String>>,
}

impl Store {
    /// The store of a root (`host.roots.root`).
    pub fn new(root: &Path) -> Store {
        Store { root: root.to_owned(), lease: Arc::new(Mutex::new("none".into())) }
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

    fn lease(&self) -> String {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn called(&self, lease: String) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }

    fn beside(&self, path: &Path) -> io::Result<PathBuf> {
        blob::beside(path, &self.lease())
    }

    fn is_whole(&self) -> bool {
        self.path().join("oci-layout").exists() && self.leases().is_dir() && self.layers_path().is_dir()
    }

    fn make(&self) -> io::Result<()> {
        if self.is_whole() {
            return Ok(());
        }
        // Old files of images, setuid programs among them, are no business of other users.
        DirBuilder::new().recursive(true).mode(0o755).create(&self.root)?;
        for (dir, mode) in
            [("store", 0o700), ("layers", 0o700), ("store/blobs", 0o755), ("store/leases", 0o755)]
        {
            mkdir(&self.root.join(dir), mode)?;
        }
        mkdir(&self.blobs(), 0o755)?;
        mkdir(&self.layers_path(), 0o755)?;
        // Nobody collects its temporary file meanwhile.
        let dir = fs::File::open(self.path())?;
        sys::io::lock_shared(&dir).map_err(|e| io::Error::from_raw_os_error(e.0))?;
        blob::replace(&self.path().join("oci-layout"), &self.lease(), br#"{"imageLayoutVersion":"1.0.0"}"#)
    }
}

fn mkdir(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && fs::metadata(path)?.is_dir() => Ok(()),
        other => other,
    }
}
