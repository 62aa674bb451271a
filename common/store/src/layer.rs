//! Unpacked layers. A directory is made beside under a name of its own, its diff_id verified, and
//! renamed when it is whole: so what stands under a final name is right.

use crate::compress::{Format, peek};
use crate::digest::Digest;
use crate::source::{self, Pieces, Stop};
use crate::{Image, Store, unpack};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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
        self.unpack_until(image, &|| false)
    }

    /// As [`Store::unpack`]; it ends early, with an error, once `stop` says so.
    pub fn unpack_until(&self, image: &Image, stop: Stop) -> Result<Vec<doc::Layer>> {
        let plans = self.plan(image)?;
        let dirs = unpack::missing(self, &plans, stop)?;
        let mut layers: Vec<doc::Layer> = Vec::new();
        for (plan, dir) in plans.iter().zip(dirs) {
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
        }
        Ok(layers)
    }

    /// Reads one layer's blob, as its bytes come, and holds it against its diff_id.
    pub(crate) fn read_layer<T>(
        &self,
        plan: &Plan,
        stop: Stop,
        read: impl FnOnce(&mut Pieces) -> Result<T>,
    ) -> Result<T> {
        let (made, digest) = source::through(self.follow(&plan.digest, plan.size, stop)?, stop, read)?;
        match digest {
            Some(digest) if digest != plan.diff_id => {
                // A truncated archive says so itself; one that is whole is another.
                made?;
                bail!("it is something else: its diff_id is {digest}, the config says {}", plan.diff_id)
            }
            _ => made,
        }
    }
}

/// Removes a layer's directory, or what there is of one.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    let Ok(meta) = fs::symlink_metadata(dir) else { return Ok(()) };
    sys::inroot::remove_tree(dir, meta.dev()).with_context(|| format!("remove {}", dir.display()))
}
