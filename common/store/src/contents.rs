//! What a layer has, and what later layers make of it: the bytes that an image carries and nobody
//! can see.

use crate::archive::Archive;
use crate::compress::{Format, peek, plain};
use crate::extract::clean;
use crate::{Digest, Image, Plan, Store};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Cursor, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes of one layer of an image.
#[derive(Clone, Debug)]
pub struct Share {
    /// Of the blob.
    pub digest: Digest,
    /// Of the blob, in bytes.
    pub size: u64,
    /// Of its regular files, plain.
    pub plain: u64,
    /// Of those, what a later layer of this image replaces or removes.
    pub wasted: u64,
}

/// A file that a later layer replaces or removes.
#[derive(Clone, Debug, PartialEq)]
pub struct Waste {
    /// From the root of the image.
    pub path: PathBuf,
    /// Of the file.
    pub bytes: u64,
    /// The layer that has it, counted from 1.
    pub layer: usize,
    /// The layer that hides it.
    pub hidden_by: usize,
}

/// One name of a layer.
#[derive(Debug)]
enum Name {
    File(u64),
    Dir,
    /// Hides what is below.
    Whiteout,
    Opaque,
    Other,
}

impl Store {
    /// What each layer adds and what of it later ones hide, lowest first; the hidden files, largest
    /// first. A layer that is unpacked is read there, else in its archive.
    pub fn shares(&self, image: &Image) -> Result<(Vec<Share>, Vec<Waste>)> {
        let mut shares: Vec<Share> = Vec::new();
        let mut wastes = Vec::new();
        let mut seen: BTreeMap<Vec<u8>, (usize, u64)> = BTreeMap::new();
        for (number, plan) in (1..).zip(self.plan(image)?) {
            let mut names = self.names_of(&plan).with_context(|| format!("read layer {}", plan.digest))?;
            // What a layer hides is below it: first the marks, then what it has itself.
            names.sort_by(|a, b| (!a.1.is_mark(), &a.0).cmp(&(!b.1.is_mark(), &b.0)));
            shares.push(Share { digest: plan.digest.clone(), size: plan.size, plain: 0, wasted: 0 });
            for (path, name) in names {
                let gone = match &name {
                    Name::Whiteout | Name::Other | Name::File(_) => take(&mut seen, &path, true, number),
                    Name::Opaque => take(&mut seen, &path, false, number),
                    // A directory takes a file's place, and leaves one that is there.
                    Name::Dir => seen.remove(&path).map(|f| (path.clone(), f)).into_iter().collect(),
                };
                for (path, (layer, bytes)) in gone {
                    shares[layer - 1].wasted += bytes;
                    let path = PathBuf::from(std::ffi::OsString::from_vec([b"/", path.as_slice()].concat()));
                    wastes.push(Waste { path, bytes, layer, hidden_by: number });
                }
                if let Name::File(bytes) = name {
                    shares[number - 1].plain += bytes;
                    seen.insert(path, (number, bytes));
                }
            }
        }
        wastes.sort_by(|a, b| (b.bytes, &a.path).cmp(&(a.bytes, &b.path)));
        Ok((shares, wastes))
    }

    fn names_of(&self, plan: &Plan) -> Result<Vec<(Vec<u8>, Name)>> {
        let mut names = Vec::new();
        match &plan.there {
            Some(dir) => walk(dir, &mut Vec::new(), &mut BTreeSet::new(), &mut names)?,
            None => {
                let (head, rest) = peek(self.open_blob(&plan.digest)?, 8)?;
                list(plain(Format::of(&head), Cursor::new(head).chain(rest))?, &mut names)?;
            }
        }
        Ok(names)
    }
}

impl Name {
    fn is_mark(&self) -> bool {
        matches!(self, Name::Whiteout | Name::Opaque)
    }
}

/// Takes out the files at a path, if `itself`, and below it, as far as they are of layers below `number`.
fn take(
    seen: &mut BTreeMap<Vec<u8>, (usize, u64)>,
    path: &[u8],
    itself: bool,
    number: usize,
) -> Vec<(Vec<u8>, (usize, u64))> {
    let below = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
    let mut gone: Vec<Vec<u8>> = seen
        .range(below.clone()..)
        .take_while(|(k, _)| k.starts_with(&below))
        .filter(|(_, (layer, _))| *layer < number)
        .map(|(k, _)| k.clone())
        .collect();
    if itself && seen.get(path).is_some_and(|(layer, _)| *layer < number) {
        gone.push(path.to_vec());
    }
    gone.into_iter().filter_map(|k| seen.remove(&k).map(|v| (k, v))).collect()
}

/// Of an unpacked layer.
fn walk(
    dir: &Path,
    at: &mut Vec<u8>,
    seen: &mut BTreeSet<u64>,
    names: &mut Vec<(Vec<u8>, Name)>,
) -> io::Result<()> {
    if sys::extract::is_opaque(dir) {
        names.push((at.clone(), Name::Opaque));
    }
    let entries = match fs::read_dir(dir) {
        // An image may have directories that keep an ordinary user out.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let meta = match entry.metadata() {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => continue,
            other => other?,
        };
        let length = at.len();
        if length > 0 {
            at.push(b'/');
        }
        at.extend(entry.file_name().as_bytes());
        let kind = meta.file_type();
        if kind.is_dir() {
            names.push((at.clone(), Name::Dir));
            walk(&entry.path(), at, seen, names)?;
        } else if kind.is_file() {
            let first = meta.nlink() < 2 || seen.insert(meta.ino());
            names.push((at.clone(), Name::File(if first { meta.len() } else { 0 })));
        } else if kind.is_char_device() && meta.rdev() == 0 {
            names.push((at.clone(), Name::Whiteout));
        } else {
            names.push((at.clone(), Name::Other));
        }
        at.truncate(length);
    }
    Ok(())
}

/// Of an archive.
fn list(input: impl Read, names: &mut Vec<(Vec<u8>, Name)>) -> io::Result<()> {
    let mut archive = Archive::new(input);
    while let Some(entry) = archive.next()? {
        let path = clean(&entry.path);
        let Some(last) = path.file_name() else { continue };
        let parent = path.parent().unwrap_or(Path::new(""));
        let kind = entry.kind();
        let (path, name) = match last.as_bytes().strip_prefix(b".wh.") {
            Some(b".wh..opq") => (parent.to_owned(), Name::Opaque),
            Some(hidden) if hidden.starts_with(b".wh.") => continue,
            Some(hidden) => (parent.join(std::ffi::OsStr::from_bytes(hidden)), Name::Whiteout),
            None if kind.is_dir() => (path, Name::Dir),
            None if kind.is_file() || kind.is_hard_link() || kind.is_contiguous() => {
                (path, Name::File(entry.size))
            }
            None => (path, Name::Other),
        };
        names.push((path.into_os_string().into_vec(), name));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_taken_out() {
        let mut seen: BTreeMap<Vec<u8>, (usize, u64)> = BTreeMap::new();
        for (path, layer) in [("a", 1), ("a.b", 1), ("d/x", 1), ("d/y/z", 1), ("d/new", 2), ("dd", 1)] {
            seen.insert(path.into(), (layer, 10));
        }
        let names = |gone: Vec<(Vec<u8>, (usize, u64))>| {
            gone.into_iter().map(|(p, _)| String::from_utf8(p).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names(take(&mut seen, b"d", false, 2)), ["d/x", "d/y/z"]);
        assert_eq!(names(take(&mut seen, b"a", true, 2)), ["a"]);
        assert_eq!(names(take(&mut seen, b"", false, 3)), ["a.b", "d/new", "dd"]);
    }
}
