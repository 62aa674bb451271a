//! Blobs: written beside their final place under a name of their own, verified, synced, renamed.

use crate::digest::Hashing;
use crate::{Digest, Store};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A blob that has no name yet. Dropping it removes the file.
#[derive(Debug)]
pub struct Temp {
    path: PathBuf,
    /// Of the content.
    pub digest: Digest,
    /// Of the content, in bytes.
    pub size: u64,
}

/// More than any manifest, index or configuration (registries refuse more than 4 MiB).
const LIMIT: u64 = 16 << 20;

/// A name that nobody else has, beside `path`: `.NAME.LEASE.RANDOM`.
pub(crate) fn beside(path: &Path, lease: &str) -> io::Result<PathBuf> {
    let random: [u8; 6] = sys::io::random().map_err(|e| io::Error::from_raw_os_error(e.0))?;
    let random: String = random.iter().map(|b| format!("{b:02x}")).collect();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{lease}.{random}")))
}

/// The lease in a name that [`beside`] made.
pub(crate) fn lease_of(temp: &str) -> Option<&str> {
    temp.strip_prefix('.')?.rsplit('.').nth(1)
}

/// Replaces a small file at once: either the old content is there or the new.
pub(crate) fn replace(path: &Path, lease: &str, bytes: &[u8]) -> io::Result<()> {
    let temp = beside(path, lease)?;
    let written = (|| {
        let mut file = File::create_new(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temp);
    }
    written?;
    sync_parent(path)
}

/// Whether there is no room left, on the disk or in a quota.
pub(crate) fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Writes JSON that is no longer than what is there into the same blocks, with blanks behind it: it
/// takes no room. One write, which no other end of this process cuts; only a machine that fails in
/// this moment may leave a part.
pub(crate) fn shorten(path: &Path, json: &[u8]) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let room = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if json.len() > room {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let mut text = json.to_vec();
    text.resize(room, b' ');
    file.write_all_at(&text, 0)?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

impl Temp {
    /// The content as it is now.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Where the bytes of a blob go while they come.
pub(crate) struct Writing {
    temp: PathBuf,
    file: Hashing<File>,
    done: bool,
}

impl Writing {
    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.temp
    }

    /// Ends it.
    pub(crate) fn finish(mut self) -> Temp {
        self.done = true;
        let hasher = std::mem::take(&mut self.file.hasher);
        let size = hasher.size();
        Temp { path: self.temp.clone(), digest: hasher.finish(), size }
    }
}

impl Write for Writing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.temp);
        }
    }
}

impl Store {
    /// Where a blob is, or would be.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Opens a blob.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        File::open(self.blob(digest)).with_context(|| format!("open blob {digest}"))
    }

    /// A whole small blob.
    pub fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>> {
        let bytes = read_small(&self.blob(digest)).with_context(|| format!("read blob {digest}"))?;
        if Digest::of(&bytes) != *digest {
            bail!("read blob {digest}: the file holds something else");
        }
        Ok(bytes)
    }

    pub(crate) fn writing(&self) -> Result<Writing> {
        let temp = self.beside(&self.blobs().join("blob"))?;
        let file = File::create_new(&temp).with_context(|| format!("create {}", temp.display()))?;
        Ok(Writing { temp, file: Hashing::new(file), done: false })
    }

    /// Takes bytes in until their end. With `expected`, a digest or a size that lies is an error.
    pub fn take(&self, mut input: impl Read, expected: Option<(&Digest, Option<u64>)>) -> Result<Temp> {
        let mut writing = self.writing()?;
        let mut buf = vec![0; 128 << 10];
        loop {
            let n = match input.read(&mut buf) {
                Ok(0) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            writing.write_all(&buf[..n]).with_context(|| format!("write {}", writing.temp.display()))?;
        }
        let temp = writing.finish();
        if let Some((digest, size)) = expected {
            if size.is_some_and(|s| s != temp.size) {
                bail!("blob {digest} has {} bytes, its descriptor says {}", temp.size, size.unwrap_or(0));
            }
            if temp.digest != *digest {
                bail!("blob {digest} is something else: its digest is {}", temp.digest);
            }
        }
        Ok(temp)
    }

    /// Gives a blob its name. Afterwards the content is stored at its digest, by this call or by
    /// another before; it lasts over a crash once [`Store::sync`] was called.
    pub fn keep(&self, temp: &Temp) -> Result<()> {
        let to = self.blob(&temp.digest);
        if to.exists() {
            return Ok(());
        }
        let synced = File::open(&temp.path).and_then(|f| f.sync_data());
        synced.with_context(|| format!("fsync {}", temp.path.display()))?;
        fs::rename(&temp.path, &to)
            .with_context(|| format!("rename {} to {}", temp.path.display(), to.display()))
    }

    /// The names of the blobs are on the disk afterwards.
    pub fn sync(&self) -> Result<()> {
        let dir = self.blobs();
        File::open(&dir).and_then(|d| d.sync_all()).with_context(|| format!("fsync {}", dir.display()))
    }
}

pub(crate) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than any JSON of an image"));
    }
    Ok(bytes)
}
