//! index.json: which images there are, and what they are called.

use crate::{Descriptor, Digest, Index, REF_NAME, Reference, Store, blob, manifest, normal};
use anyhow::{Context, Result};
use serde_json::{Map, json};
use std::fs::File;
use std::io;
use std::path::PathBuf;

impl Store {
    fn index_path(&self) -> PathBuf {
        self.path().join("index.json")
    }

    /// As it stands; of a store that is not there yet, an empty one.
    pub fn index(&self) -> Result<Index> {
        let path = self.index_path();
        match blob::read_small(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let mut extra = Map::new();
                extra.insert("mediaType".into(), json!(manifest::INDEX));
                Ok(Index { schema_version: 2, manifests: Vec::new(), extra })
            }
            Err(e) => Err(e).context(format!("read {}", path.display())),
            Ok(text) => serde_json::from_slice(&text).context(format!("read {}", path.display())),
        }
    }

    /// Changes it, alone; nothing is written where `change` fails. The caller holds
    /// [`Store::work`] or [`Store::alone`].
    pub fn change<T>(&self, change: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
        let dir = self.path().join("blobs");
        let dir = File::open(&dir).with_context(|| format!("open {}", dir.display()))?;
        sys::io::lock(&dir).context("lock index.json")?;
        let mut index = self.index()?;
        let result = change(&mut index)?;
        let text = serde_json::to_vec(&index).context("write index.json")?;
        let path = self.index_path();
        match blob::replace(&path, &self.lease(), &text) {
            // Or nothing could be taken out of the list to make room.
            Err(e) if blob::is_full(&e) => blob::shorten(&path, &text).map_err(|_| e),
            other => other,
        }
        .with_context(|| format!("write {}", path.display()))?;
        Ok(result)
    }

    /// The names of all images.
    pub fn names(&self) -> Result<Vec<String>> {
        Ok(self.index()?.manifests.iter().filter_map(|d| d.ref_name().map(shown)).collect())
    }
}

/// A name in index.json, in the one form; what another tool wrote and is no name of ours, as it is.
pub(crate) fn shown(name: &str) -> String {
    normal(name).unwrap_or_else(|_| name.to_owned())
}

impl Index {
    /// Afterwards the image has the name, and no other image has it. Without a name it is in the
    /// list, under whichever names it had.
    pub fn put(&mut self, image: &Descriptor, name: Option<&str>) {
        let mut entry = image.clone();
        entry.annotations.remove(REF_NAME);
        match name {
            None if self.manifests.iter().any(|d| d.digest == image.digest) => return,
            None => {}
            Some(name) => {
                entry.annotations.insert(REF_NAME.into(), json!(name));
                self.manifests.retain(|d| match d.ref_name() {
                    Some(other) => shown(other) != name,
                    None => d.digest != image.digest,
                });
            }
        }
        self.manifests.push(entry);
    }

    /// Takes a name away; `None`: nothing has it.
    pub fn remove_name(&mut self, name: &str) -> Option<Descriptor> {
        let at = self.manifests.iter().position(|d| d.ref_name().map(shown).as_deref() == Some(name))?;
        Some(self.manifests.remove(at))
    }

    /// Takes the names away that an image has in a repository (as [`Reference::short`] has it);
    /// whether there were any.
    pub fn remove_from(&mut self, repository: &str, digest: &Digest) -> bool {
        let before = self.manifests.len();
        let of = |d: &Descriptor| {
            let reference = d.ref_name().and_then(|n| Reference::parse(n).ok());
            d.digest == *digest && reference.is_some_and(|r| r.short() == repository)
        };
        self.manifests.retain(|d| !of(d));
        self.manifests.len() < before
    }

    /// Takes an image away with all its names.
    pub fn remove_digest(&mut self, digest: &Digest) {
        self.manifests.retain(|d| d.digest != *digest);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_move() {
        let mut index: Index = serde_json::from_str(r#"{"schemaVersion":2,"manifests":null,"x":1}"#).unwrap();
        let a = Descriptor::new("m", Digest::of(b"a"), 1);
        let b = Descriptor::new("m", Digest::of(b"b"), 1);
        index.put(&a, None);
        index.put(&a, Some("n:latest"));
        assert_eq!(index.manifests.len(), 1, "the nameless entry got the name");
        index.put(&a, Some("o:latest"));
        index.put(&b, Some("n:latest"));
        let list: Vec<_> =
            index.manifests.iter().map(|d| (d.digest.clone(), d.ref_name().unwrap().to_owned())).collect();
        assert_eq!(list, [(a.digest.clone(), "o:latest".into()), (b.digest.clone(), "n:latest".into())]);
        assert!(index.remove_name("n:latest").is_some() && index.remove_name("n:latest").is_none());
        index.remove_digest(&a.digest);
        assert_eq!(serde_json::to_string(&index).unwrap(), r#"{"schemaVersion":2,"manifests":[],"x":1}"#);
    }
}
