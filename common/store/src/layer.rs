//! Unpacked layers. A directory is made beside under a name of its own, its diff_id verified, and
//! renamed when it is whole: so what stands under a final name is right.

use crate::compress::{Format, peek, plain};
use crate::digest::{Digest, Hasher};
use crate::extract::{Made, extract};
use crate::{Image, Store};
use anyhow::{Context, Result, anyhow, bail};
use std::fs::{self, DirBuilder};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// One layer of an image, and where it is or will be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of the blob.
    pub digest: Digest,
    /// Of the blob, in bytes.
    pub size: u64,
    /// Of the plain archive.
    pub diff_id: Digest,
    /// If the archive says all, the directory is called after the diff_id alone.
    pub alone: PathBuf,
    /// Else after the whole chain up to here; with nothing below, after the diff_id with `.base`.
    pub chained: PathBuf,
    /// Which of them is there.
    pub there: Option<PathBuf>,
}

impl Store {
    /// The layers of an image, lowest first.
    pub fn plan(&self, image: &Image) -> Result<Vec<Plan>> {
        let (layers, diff_ids) = (&image.manifest.layers, &image.config.rootfs.diff_ids);
        if layers.len() != diff_ids.len() {
            bail!(
                "image {}: {} layers in its manifest, {} in its config",
                image.descriptor.digest,
                layers.len(),
                diff_ids.len()
            );
        }
        let plans =
            layers.iter().zip(diff_ids).zip(self.places(diff_ids)).map(|((layer, diff_id), place)| {
                let [alone, chained] = place;
                let there = [&alone, &chained].into_iter().find(|d| d.is_dir()).cloned();
                let (digest, size) = (layer.digest.clone(), layer.size);
                Plan { digest, size, diff_id: diff_id.clone(), alone, chained, there }
            });
        Ok(plans.collect())
    }

    /// How a layer's blob is compressed.
    pub fn format(&self, digest: &Digest) -> Result<Format> {
        Ok(Format::of(&peek(self.open_blob(digest)?, 8)?.0))
    }

    /// The two names that each layer's directory may have.
    pub(crate) fn places(&self, diff_ids: &[Digest]) -> Vec<[PathBuf; 2]> {
        let at = self.layers_path();
        let mut chain: Option<Digest> = None;
        let mut places = Vec::new();
        for diff_id in diff_ids {
            let chained = match &chain {
                None => format!("{}.base", diff_id.hex()),
                Some(below) => Digest::chain(Some(below), diff_id).hex().to_owned(),
            };
            places.push([at.join(diff_id.hex()), at.join(chained)]);
            chain = Some(Digest::chain(chain.as_ref(), diff_id));
        }
        places
    }

    /// Unpacks what is missing. Gives the directories as a document has them, lowest first; a nil
    /// error means they are there, not that this call made them. The caller holds [`Store::work`].
    pub fn unpack(&self, image: &Image) -> Result<Vec<doc::Layer>> {
        let mut dirs: Vec<PathBuf> = Vec::new();
        let mut layers: Vec<doc::Layer> = Vec::new();
        for plan in self.plan(image)? {
            let dir = match &plan.there {
                Some(dir) => dir.clone(),
                None => self.layer(&plan, &dirs).with_context(|| format!("unpack layer {}", plan.digest))?,
            };
            let path = dir.to_str().with_context(|| format!("{} is not UTF-8", dir.display()))?;
            // An opaque root hides all that is below; and overlayfs takes no directory twice, where
            // the upper place covers all that the lower one has.
            if sys::extract::is_opaque(&dir) {
                layers.clear();
            }
            layers.retain(|l| l.dir != path);
            layers.push(doc::Layer {
                digest: Some(plan.digest.to_string()),
                diff_id: Some(plan.diff_id.to_string()),
                dir: path.to_owned(),
            });
            dirs.push(dir);
        }
        Ok(layers)
    }

    fn layer(&self, plan: &Plan, lower: &[PathBuf]) -> Result<PathBuf> {
        let temp = self.beside(&plan.alone)?;
        DirBuilder::new().mode(0o755).create(&temp).with_context(|| format!("mkdir {}", temp.display()))?;
        let made = self.fill(plan, &temp, lower).and_then(|made| {
            let to = if made == Made::Alone { &plan.alone } else { &plan.chained };
            match fs::rename(&temp, to) {
                // Somebody else was first: it is the same.
                Err(_) if to.is_dir() => remove(&temp)?,
                other => other.with_context(|| format!("rename {} to {}", temp.display(), to.display()))?,
            }
            Ok(to.clone())
        });
        if made.is_err() {
            let _ = remove(&temp);
        }
        made
    }

    /// One thread decompresses and hashes, this one makes the files.
    fn fill(&self, plan: &Plan, dir: &Path, lower: &[PathBuf]) -> Result<Made> {
        let (head, rest) = peek(self.follow(&plan.digest, plan.size)?, 8)?;
        let input = plain(Format::of(&head), Cursor::new(head).chain(rest))?;
        let (send, receive) = sync_channel(32);
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || pump(input, &send));
            let coming = Coming { receive, chunk: Vec::new(), at: 0 };
            let made = extract(coming, dir, lower, sys::cred::euid() == 0);
            match reading.join().map_err(|_| anyhow!("the reading thread panicked"))? {
                Err(e) => Err(e).context("read the blob"),
                Ok(None) => made,
                Ok(Some(digest)) if digest == plan.diff_id => made,
                // A truncated archive says so itself; one that is whole is another.
                Ok(Some(digest)) => {
                    made?;
                    bail!("it is something else: its diff_id is {digest}, the config says {}", plan.diff_id)
                }
            }
        })
    }
}

/// Removes a layer's directory, or what there is of one.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    let Ok(meta) = fs::symlink_metadata(dir) else { return Ok(()) };
    sys::inroot::remove_tree(dir, meta.dev()).with_context(|| format!("remove {}", dir.display()))
}

/// Passes the input on in pieces; gives its digest, or none when nobody listens any more.
fn pump(mut input: impl Read, send: &SyncSender<Vec<u8>>) -> io::Result<Option<Digest>> {
    let mut hasher = Hasher::default();
    loop {
        let mut chunk = vec![0; 64 << 10];
        let n = match input.read(&mut chunk) {
            Ok(0) => return Ok(Some(hasher.finish())),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        chunk.truncate(n);
        hasher.update(&chunk);
        if send.send(chunk).is_err() {
            return Ok(None);
        }
    }
}

/// The other end of it.
struct Coming {
    receive: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Read for Coming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            match self.receive.recv() {
                Ok(chunk) => (self.chunk, self.at) = (chunk, 0),
                Err(_) => return Ok(0),
            }
        }
        let n = buf.len().min(self.chunk.len() - self.at);
        buf[..n].copy_from_slice(&self.chunk[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
