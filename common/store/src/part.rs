//! Downloads. The bytes of a blob that is on its way stand in `.HEX.part` beside its final place,
//! locked by the process that fetches it: another that wants the same blob waits, one that was cut
//! off is taken up again, and one that unpacks reads along.

use crate::digest::Hashing;
use crate::source::{Stop, Stopped};
use crate::{Digest, Store, Work, blob};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A blob on its way. Dropped before [`Part::finish`], its bytes stay for the next try.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    to: PathBuf,
    digest: Digest,
    size: Option<u64>,
    file: Hashing<File>,
}

/// The bytes that came are not the blob.
#[derive(Debug)]
pub struct Wrong(String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

pub(crate) fn part_path(blob: &Path) -> PathBuf {
    let hex = blob.file_name().unwrap_or_default().to_string_lossy();
    blob.with_file_name(format!(".{hex}.part"))
}

impl Store {
    /// Begins to fetch a blob, or goes on. `None`: it is there. Blocks while another process
    /// fetches it. `size` in bytes, where it is known. The lease is of this store.
    pub fn part(&self, _work: &Work, digest: &Digest, size: Option<u64>) -> Result<Option<Part>> {
        let to = self.blob(digest);
        let path = part_path(&to);
        loop {
            if self.has(digest, size) {
                return Ok(None);
            }
            let file = open(&path).with_context(|| format!("open {}", path.display()))?;
            sys::io::lock(&file).with_context(|| format!("lock {}", path.display()))?;
            // Who waited may hold what has got its final name since, or went away.
            if !same(&file, &path) {
                continue;
            }
            if self.has(digest, size) {
                // It came between the look and the lock, and this file is a new one.
                let _ = fs::remove_file(&path);
                return Ok(None);
            }
            let mut part = Part { path, to, digest: digest.clone(), size, file: Hashing::new(file) };
            part.reread().with_context(|| format!("read {}", part.path.display()))?;
            return Ok(Some(part));
        }
    }

    /// Whether a blob is there, in the size that its descriptor says.
    pub fn has(&self, digest: &Digest, size: Option<u64>) -> bool {
        fs::metadata(self.blob(digest)).is_ok_and(|m| size.is_none_or(|s| s == m.len()))
    }

    /// A blob as a reader; while another process is fetching it, as its bytes come. It waits for
    /// them no longer once `stop` says so.
    pub fn follow<'s>(&self, digest: &Digest, size: u64, stop: Stop<'s>) -> Result<Follow<'s>> {
        let mut tries = 0;
        loop {
            if stop() {
                return Err(Stopped.into());
            }
            let whole = self.blob(digest);
            for path in [&whole, &part_path(&whole)] {
                match File::open(path) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    other => {
                        let file = other.with_context(|| format!("open blob {digest}"))?;
                        let whole = *path == whole;
                        let (store, digest) = (self.clone(), digest.clone());
                        return Ok(Follow { store, digest, file, whole, left: size, stop });
                    }
                }
            }
            // Looked at once more: it may have come since.
            if tries > 0 && !self.is_coming(digest)? && !self.has(digest, None) {
                bail!("open blob {digest}: {}", sys::Errno(sys::ENOENT));
            }
            tries += 1;
            std::thread::sleep(POLL);
        }
    }
}

/// Who fetches writes as the network gives; a look at the file costs some microseconds.
const POLL: Duration = Duration::from_millis(2);

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

/// Whether a path still is this file.
fn same(file: &File, path: &Path) -> bool {
    let (Ok(a), Ok(b)) = (file.metadata(), fs::metadata(path)) else { return false };
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

impl Part {
    /// Bytes that are there.
    pub fn have(&self) -> u64 {
        self.file.hasher.size()
    }

    fn reread(&mut self) -> io::Result<()> {
        let mut buf = vec![0; 256 << 10];
        while self.file.read(&mut buf)? > 0 {}
        match self.size {
            Some(size) if self.have() > size => self.anew(),
            _ => Ok(()),
        }
    }

    /// In a file of its own: who reads along must not read on in other bytes.
    fn anew(&mut self) -> io::Result<()> {
        let new = blob::beside(&self.path, "part")?;
        let file = File::options().read(true).write(true).create_new(true).open(&new)?;
        sys::io::lock(&file).map_err(|e| io::Error::from_raw_os_error(e.0))?;
        fs::rename(&new, &self.path)?;
        self.file = Hashing::new(file);
        Ok(())
    }

    /// Forgets what is there.
    pub fn restart(&mut self) -> Result<()> {
        self.anew().with_context(|| format!("create {}", self.path.display()))
    }

    /// Verifies what came, and gives it its name; it is on the disk then. What is of the wrong size
    /// or digest is removed, and the error is a [`Wrong`].
    pub fn finish(self) -> Result<()> {
        let (came, wanted) = (self.have(), self.size.unwrap_or(self.have()));
        let is = self.file.hasher.finish();
        let wrong = match (came == wanted, is == self.digest) {
            (false, _) => format!("blob {} has {came} bytes, its descriptor says {wanted}", self.digest),
            (true, false) => format!("blob {} is something else: its digest is {is}", self.digest),
            (true, true) => {
                self.file.inner.sync_data().with_context(|| format!("fsync {}", self.path.display()))?;
                return fs::rename(&self.path, &self.to)
                    .with_context(|| format!("rename {} to {}", self.path.display(), self.to.display()));
            }
        };
        let _ = fs::remove_file(&self.path);
        Err(Wrong(wrong).into())
    }
}

impl Write for Part {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A blob that is read, perhaps while it comes. What comes is not verified before its end: its
/// reader must know by another digest (the diff_id) what it should be.
pub struct Follow<'s> {
    store: Store,
    digest: Digest,
    file: File,
    whole: bool,
    left: u64,
    stop: Stop<'s>,
}

impl std::fmt::Debug for Follow<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Follow").field("digest", &self.digest).field("left", &self.left).finish()
    }
}

impl Read for Follow<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut last = false;
        loop {
            let n = self.file.read(buf)?;
            self.left = self.left.saturating_sub(n as u64);
            if n > 0 || self.whole || buf.is_empty() || self.left == 0 {
                return Ok(n);
            }
            if last {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "its download broke off"));
            }
            // Who fetches writes, renames, and ends its lease: so once it does not go on, what this
            // file has, whatever has become of its name, is looked at once more.
            let blob = self.store.blob(&self.digest);
            let here = same(&self.file, &part_path(&blob));
            let going_on = here && self.store.is_coming(&self.digest).map_err(io::Error::other)?;
            self.whole = same(&self.file, &blob);
            last = !going_on && !self.whole;
            if going_on && !self.whole {
                if (self.stop)() {
                    return Err(io::Error::other(Stopped));
                }
                std::thread::sleep(POLL);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::Dir;

    #[test]
    fn a_download_goes_on_where_it_was_cut() {
        let dir = Dir::new();
        let store = Store::new(&dir.path);
        let work = store.work().unwrap();
        let whole = Digest::of(b"hello world");
        let mut part = store.part(&work, &whole, Some(11)).unwrap().unwrap();
        part.write_all(b"hello ").unwrap();
        drop(part);
        let mut part = store.part(&work, &whole, Some(11)).unwrap().unwrap();
        assert_eq!(part.have(), 6);
        part.write_all(b"world").unwrap();
        part.finish().unwrap();
        assert!(store.part(&work, &whole, Some(11)).unwrap().is_none());
        assert_eq!(store.read_blob(&whole).unwrap(), b"hello world");
    }

    #[test]
    fn what_is_wrong_is_not_kept() {
        let dir = Dir::new();
        let store = Store::new(&dir.path);
        let work = store.work().unwrap();
        let whole = Digest::of(b"hello");
        for bytes in [&b"hallo"[..], b"hell", b"hello!"] {
            let mut part = store.part(&work, &whole, Some(5)).unwrap().unwrap();
            assert_eq!(part.have(), 0);
            part.write_all(bytes).unwrap();
            assert!(part.finish().unwrap_err().is::<Wrong>());
            assert!(!store.has(&whole, None));
        }
        let mut part = store.part(&work, &whole, None).unwrap().unwrap();
        part.write_all(b"hal").unwrap();
        part.restart().unwrap();
        part.write_all(b"hello").unwrap();
        part.finish().unwrap();
        assert!(store.has(&whole, Some(5)) && !store.has(&whole, Some(6)));
    }

    #[test]
    fn a_reader_goes_along() {
        let dir = Dir::new();
        let store = Store::new(&dir.path);
        let layer = Digest::of(b"hello world");
        let work = store.work().unwrap();
        let manifest =
            format!(r#"{{"schemaVersion":2,"config":{{"digest":"{layer}","size":11}},"layers":[]}}"#);
        let temp = store.take(manifest.as_bytes(), None).unwrap();
        store.keep(&temp).unwrap();
        work.bring(&temp.digest).unwrap();
        let other = Store::new(&dir.path);
        let reading = std::thread::spawn({
            let layer = layer.clone();
            move || {
                let mut all = String::new();
                other.follow(&layer, 11, &|| false)?.read_to_string(&mut all)?;
                anyhow::Ok(all)
            }
        });
        std::thread::sleep(POLL * 2);
        let mut part = store.part(&work, &layer, Some(11)).unwrap().unwrap();
        part.write_all(b"hello ").unwrap();
        std::thread::sleep(POLL * 2);
        part.write_all(b"world").unwrap();
        part.finish().unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), "hello world");
        // One that nobody brings.
        let none = Digest::of(b"none");
        assert!(store.follow(&none, 4, &|| false).is_err());
        let mut part = store.part(&work, &none, Some(4)).unwrap().unwrap();
        part.write_all(b"no").unwrap();
        // Nothing more comes; who is told to stop does not wait for it.
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 2;
        let manifest =
            format!(r#"{{"schemaVersion":2,"config":{{"digest":"{none}","size":4}},"layers":[]}}"#);
        let temp = store.take(manifest.as_bytes(), None).unwrap();
        store.keep(&temp).unwrap();
        work.bring(&temp.digest).unwrap();
        let error = store.follow(&none, 4, &stop).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "stopped");
        drop((part, work));
        assert!(store.follow(&none, 4, &|| false).unwrap().read_to_end(&mut Vec::new()).is_err());
    }
}
