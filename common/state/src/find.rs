//! Containers by name, id, or the beginning of an id. Listing reads files and waits for nobody.

use crate::{Host, Place, Record, Roots, Status};
use anyhow::{Context, Result, anyhow, bail};
use doc::Doc;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One container of the list.
pub struct Entry {
    /// Its id.
    pub id: String,
    /// Its document; the error where config.json cannot be read, which must not hide the others.
    pub doc: Result<Doc>,
    /// Its last run.
    pub record: Option<Record>,
}

impl Entry {
    /// Whether its first process is there, be it paused.
    pub fn runs(&self) -> bool {
        self.record.as_ref().is_some_and(|r| r.status() == Status::Running)
    }

    /// Derived status.
    pub fn status(&self, host: &Host) -> Status {
        match self.record.as_ref().map_or(Status::Created, Record::status) {
            Status::Running if self.doc.as_ref().is_ok_and(|d| host.is_frozen(&cgroup(&self.id, d))) => {
                Status::Paused
            }
            other => other,
        }
    }
}

/// The id of what a person typed: a name, an id, or a beginning that only one id has.
pub fn find(roots: &Roots, word: &str) -> Result<String> {
    if !doc::is_name(word) {
        bail!("no container {word}");
    }
    // A whole id before a name: another container may be named like it.
    if roots.bundle(word).is_dir() {
        return Ok(word.to_owned());
    }
    if let Ok(target) = fs::read_link(roots.name(word))
        && let Some(id) = target.file_name()
    {
        return Ok(id.to_string_lossy().into_owned());
    }
    let ids = ids(roots)?;
    let matches: Vec<&String> = ids.iter().filter(|id| id.starts_with(word)).collect();
    match matches.as_slice() {
        [id] => Ok((*id).clone()),
        [] => bail!("no container {word}"),
        many => {
            let list: Vec<&str> = many.iter().map(|s| s.as_str()).collect();
            bail!("{word} is ambiguous: {}", list.join(", "))
        }
    }
}

/// The links that give a container its name, found without its document.
pub fn names_of(roots: &Roots, id: &str) -> Vec<PathBuf> {
    let links = fs::read_dir(roots.root.join("names")).into_iter().flatten().flatten().map(|e| e.path());
    let target = Roots::name_target(id);
    links.filter(|l| fs::read_link(l).is_ok_and(|t| t == Path::new(&target))).collect()
}

/// The ids of all, sorted.
pub fn ids(roots: &Roots) -> Result<Vec<String>> {
    let dir = roots.root.join("c");
    let mut ids = Vec::new();
    match fs::read_dir(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).context(format!("read {}", dir.display())),
        Ok(entries) => {
            for entry in entries {
                ids.push(
                    entry.context("read the list of containers")?.file_name().to_string_lossy().into_owned(),
                );
            }
        }
    }
    ids.sort();
    Ok(ids)
}

/// Every container, by id.
pub fn list(roots: &Roots) -> Result<Vec<Entry>> {
    let entry =
        |id: String| Entry { doc: read(roots, &id), record: Record::read(roots, &id).ok().flatten(), id };
    Ok(ids(roots)?.into_iter().map(entry).collect())
}

/// The path of a container's cgroup in every hierarchy, by its document.
pub fn cgroup(id: &str, doc: &Doc) -> String {
    Place::of(doc, id).map_or_else(|_| Roots::cgroup(id), |place| place.path)
}

/// The document of a container as it rests on disk.
pub fn read(roots: &Roots, id: &str) -> Result<Doc> {
    let path = roots.in_bundle(id, "config.json");
    let text = sys::io::read_file(&path).with_context(|| format!("read {}", path.display()))?;
    Doc::parse(&text).with_context(|| format!("read {}", path.display()))
}

/// The container's lock, on its directory: a file would be renamed over. Blocks. Post-condition: the
/// container is still there.
pub fn lock(roots: &Roots, id: &str) -> Result<File> {
    lock_dir(&roots.bundle(id)).map_err(|e| match e.downcast_ref::<Gone>() {
        Some(_) => anyhow!("container {id} was taken away meanwhile"),
        None => e,
    })
}

/// What was waited for is not there any more.
#[derive(Debug)]
pub struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("it was taken away meanwhile")
    }
}

impl std::error::Error for Gone {}

/// The lock of a directory. Blocks. Post-condition: this directory is still at the path, else [`Gone`].
pub fn lock_dir(path: &Path) -> Result<File> {
    let dir = File::open(path).with_context(|| format!("open {}", path.display()))?;
    sys::io::lock(&dir).with_context(|| format!("lock {}", path.display()))?;
    let same = |m: fs::Metadata| dir.metadata().is_ok_and(|own| own.ino() == m.ino() && own.dev() == m.dev());
    if fs::metadata(path).is_ok_and(same) { Ok(dir) } else { Err(Gone.into()) }
}
