//! An image comes into the store: its manifest by one request, its configuration, then the layers,
//! several at a time and the lowest first, because whoever unpacks begins with that.

use crate::client::{Access, Client, Fetched};
use crate::net::Net;
use crate::progress::Event;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use store::{Config, Descriptor, Digest, Index, Manifest, Platform, Reference, Stopped, Store, Work};

/// An image on its way.
#[derive(Debug)]
pub struct Pull<'a> {
    client: Client<'a>,
    store: &'a Store,
    work: &'a Work,
    /// Of the manifest of the image for the platform.
    pub descriptor: Descriptor,
    /// Parsed.
    pub manifest: Manifest,
    bytes: Vec<u8>,
}

/// So many layers come at once.
pub(crate) const AT_ONCE: usize = 3;

/// Indexes that lead to indexes: more of them is no image.
const DEPTH: usize = 4;

/// No configuration is larger.
const CONFIG_LIMIT: u64 = 16 << 20;

impl<'a> Pull<'a> {
    /// Asks what a name stands for, and chooses from an index. From here on all is named by digest.
    pub fn resolve(
        net: &'a Net,
        store: &'a Store,
        work: &'a Work,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Pull<'a>> {
        let mut client = Client::new(net, reference, Access::Pull)?;
        // What is named by its digest and is there needs no answer of anybody.
        let known = reference.digest.as_ref().and_then(|d| Some((d.clone(), here(store, work, d)?)));
        let (bytes, descriptor) = match known {
            Some((digest, bytes)) => {
                let fetched = Fetched::new(bytes, None).with_context(|| format!("manifest {digest}"))?;
                (fetched.bytes, fetched.descriptor)
            }
            None => {
                let fetched = choose(&mut client, store, work, reference, platform)?;
                (fetched.bytes, fetched.descriptor)
            }
        };
        let value: Value =
            serde_json::from_slice(&bytes).with_context(|| format!("manifest {}", descriptor.digest))?;
        let manifest =
            checked(&value, &descriptor).with_context(|| format!("manifest {}", descriptor.digest))?;
        net.progress.tell(&Event::Resolved {
            name: &reference.to_string(),
            digest: &descriptor.digest,
            size: sum(&manifest.layers),
            layers: manifest.layers.len(),
        });
        Ok(Pull { client, store, work, descriptor, manifest, bytes })
    }

    /// Afterwards manifest and configuration are in the store, and the layers are promised.
    pub fn begin(&self) -> Result<()> {
        self.work.bring(&self.descriptor.digest)?;
        if !self.store.has(&self.descriptor.digest, Some(self.descriptor.size)) {
            let wanted = Some((&self.descriptor.digest, Some(self.descriptor.size)));
            let temp = self.store.take(self.bytes.as_slice(), wanted)?;
            self.store.keep(&temp)?;
        }
        let config = &self.manifest.config;
        self.client.bring(self.store, self.work, config, &AtomicBool::new(false))?;
        let shown = || format!("config {}", config.digest);
        let parsed: Config =
            serde_json::from_slice(&self.store.read_blob(&config.digest)?).with_context(shown)?;
        let (layers, ids) = (self.manifest.layers.len(), parsed.rootfs.diff_ids.len());
        if layers != ids {
            bail!("{layers} layers in its manifest, {ids} in its config");
        }
        Ok(())
    }

    /// The layers that are not in the store, lowest first, each once.
    pub fn missing(&self) -> Vec<&Descriptor> {
        let mut seen = BTreeSet::new();
        let layers = self.manifest.layers.iter().filter(|l| seen.insert(&l.digest));
        layers.filter(|l| !self.store.has(&l.digest, Some(l.size))).collect()
    }

    /// Afterwards all layers are in the store.
    pub fn layers(&self) -> Result<()> {
        let missing = self.missing();
        for layer in &self.manifest.layers {
            if !missing.iter().any(|m| m.digest == layer.digest) {
                let (digest, size) = (&layer.digest, layer.size);
                self.client.net.progress.tell(&Event::Layer { digest, size, state: "there" });
            }
        }
        let fetch = |layer: &&Descriptor, stop: &AtomicBool| {
            self.client.fetch(self.store, self.work, layer, stop).map(drop)
        };
        at_once(&missing, AT_ONCE, fetch)
    }

    /// Afterwards the image is in the list under its name, and lasts over a crash.
    pub fn name(&self, changed: bool) -> Result<()> {
        let name = self.client.reference.name();
        let mut entry = Descriptor::new(
            &self.descriptor.media_type,
            self.descriptor.digest.clone(),
            self.descriptor.size,
        );
        let listed = |index: &Index| {
            let same = |d: &&Descriptor| d.digest == entry.digest && d.ref_name() == Some(&name);
            index.manifests.iter().any(|d| same(&d))
        };
        if changed || !listed(&self.store.index()?) {
            self.store.sync()?;
            entry.annotations.clear();
            self.store.change(|index| {
                index.put(&entry, Some(&name));
                Ok(())
            })?;
        }
        self.client.net.progress.tell(&Event::Done { digest: &self.descriptor.digest });
        Ok(())
    }

    /// Whether anything of it has yet to come.
    pub fn is_here(&self) -> bool {
        let all = [&self.manifest.config].into_iter().chain(&self.manifest.layers);
        self.store.has(&self.descriptor.digest, Some(self.descriptor.size))
            && all.into_iter().all(|d| self.store.has(&d.digest, Some(d.size)))
    }

    /// The requests as shell.
    pub fn show(&self) -> Result<Vec<String>> {
        let mut blobs = vec![&self.manifest.config];
        blobs.retain(|c| !self.store.has(&c.digest, Some(c.size)));
        blobs.extend(self.missing());
        let blobs: Vec<String> = blobs.iter().map(|b| b.digest.to_string()).collect();
        self.client.shell(&self.descriptor.digest, &blobs)
    }
}

/// A manifest in the store that is an image's, all of which is there.
fn here(store: &Store, work: &Work, digest: &Digest) -> Option<Vec<u8>> {
    work.hold(digest).ok()?;
    let bytes = store.read_blob(digest).ok()?;
    let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
    let all = [&manifest.config].into_iter().chain(&manifest.layers);
    all.into_iter().all(|d| store.has(&d.digest, Some(d.size))).then_some(bytes)
}

/// Through indexes to one image's manifest.
fn choose(
    client: &mut Client,
    store: &Store,
    work: &Work,
    reference: &Reference,
    platform: &Platform,
) -> Result<Fetched> {
    let mut fetched = client.manifest(&reference.target())?;
    for _ in 0..DEPTH {
        if !fetched.descriptor.is_index() {
            return Ok(fetched);
        }
        let shown = || format!("index {}", fetched.descriptor.digest);
        let index: Index = serde_json::from_slice(&fetched.bytes).with_context(shown)?;
        let chosen = index.choose(platform).with_context(shown)?.clone();
        work.hold(&chosen.digest)?;
        // Named by its digest: what the store has is it.
        let next = match store.read_blob(&chosen.digest) {
            Ok(bytes) => Fetched::new(bytes, None).with_context(|| format!("manifest {}", chosen.digest))?,
            Err(_) => {
                let named = || format!("manifest {}", chosen.digest);
                client.manifest(&chosen.digest.to_string()).with_context(named)?
            }
        };
        if next.descriptor.size != chosen.size {
            let (is, says) = (next.descriptor.size, chosen.size);
            bail!("manifest {} has {is} bytes, its descriptor says {says}", chosen.digest);
        }
        fetched = next;
    }
    bail!("{}: indexes within indexes", fetched.descriptor.digest)
}

/// All their bytes. A manifest may claim more than there are.
pub(crate) fn sum(blobs: &[Descriptor]) -> u64 {
    blobs.iter().fold(0, |sum, blob| sum.saturating_add(blob.size))
}

/// Media types of configurations of images.
const CONFIGS: [&str; 2] = [store::CONFIG, "application/vnd.docker.container.image.v1+json"];

/// Layers are tars, in OCI's words and in docker's.
fn is_layer(media_type: &str) -> bool {
    let tar = |rest: &str| matches!(rest, "tar" | "tar+gzip" | "tar+zstd" | "tar.gzip" | "tar.zstd");
    let known = [
        "application/vnd.oci.image.layer.v1.",
        "application/vnd.oci.image.layer.nondistributable.v1.",
        "application/vnd.docker.image.rootfs.diff.",
        "application/vnd.docker.image.rootfs.foreign.diff.",
    ];
    known.iter().any(|k| media_type.strip_prefix(k).is_some_and(tar))
}

/// That it is an image's, and no other thing that registries keep.
fn checked(value: &Value, descriptor: &Descriptor) -> Result<Manifest> {
    if !descriptor.is_manifest() {
        bail!("it is no image but {}", named(&descriptor.media_type));
    }
    let config = value["config"]["mediaType"].as_str().unwrap_or_default();
    if !CONFIGS.contains(&config) {
        let artifact = value["artifactType"].as_str().filter(|t| !t.is_empty()).unwrap_or(config);
        bail!("it is no image but an artifact of type {}", named(artifact));
    }
    let manifest: Manifest = serde_json::from_value(value.clone()).context("it is no manifest")?;
    if manifest.config.size > CONFIG_LIMIT {
        bail!("its config of {} bytes is larger than any", manifest.config.size);
    }
    if let Some(layer) = manifest.layers.iter().find(|l| !is_layer(&l.media_type)) {
        bail!("layer {} is of the unknown type {}", layer.digest, named(&layer.media_type));
    }
    Ok(manifest)
}

/// What a stranger wrote, fit for one line.
fn named(media_type: &str) -> String {
    let text: String = media_type.chars().filter(|c| !c.is_control()).take(120).collect();
    if text.is_empty() { "no media type".into() } else { text }
}

/// Does something for each of a list, some at once, in order; the first error ends it.
pub(crate) fn at_once<T: Sync>(
    list: &[T],
    threads: usize,
    act: impl Fn(&T, &AtomicBool) -> Result<()> + Sync,
) -> Result<()> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failed: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    let work = || {
        while let Some(item) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(e) = act(item, &stop) {
                stop.store(true, Ordering::Relaxed);
                if !e.is::<Stopped>() {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                }
                return;
            }
        }
    };
    match list.len().min(threads) {
        0 => {}
        1 => work(),
        n => std::thread::scope(|scope| (0..n).for_each(|_| drop(scope.spawn(work)))),
    }
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_an_image() {
        let digest = Digest::of(b"x");
        let blob = |t: &str| json!({"mediaType": t, "digest": digest, "size": 1});
        let manifest = |config: &str, layer: &str| json!({"schemaVersion": 2, "config": blob(config), "layers": [blob(layer)]});
        let is = Descriptor::new(store::MANIFEST, digest.clone(), 1);
        let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        assert!(checked(&manifest(store::CONFIG, store::LAYER_ZSTD), &is).is_ok());
        assert!(checked(&manifest(CONFIGS[1], docker), &is).is_ok());
        let error = |value: &Value, is: &Descriptor| checked(value, is).unwrap_err().to_string();
        let helm = manifest("application/vnd.cncf.helm.config.v1+json", "x");
        assert_eq!(
            error(&helm, &is),
            "it is no image but an artifact of type application/vnd.cncf.helm.config.v1+json"
        );
        let mut typed = manifest("application/vnd.oci.empty.v1+json", "x");
        typed["artifactType"] = json!("a/b");
        assert_eq!(error(&typed, &is), "it is no image but an artifact of type a/b");
        assert!(error(&manifest(store::CONFIG, "a/b"), &is).ends_with("is of the unknown type a/b"));
        assert_eq!(error(&typed, &Descriptor::new("c/d", digest, 1)), "it is no image but c/d");
    }

    #[test]
    fn sums_end() {
        let blob = |size| Descriptor::new(store::LAYER_GZIP, Digest::of(b"x"), size);
        assert_eq!(sum(&[blob(1), blob(2)]), 3);
        assert_eq!(sum(&[blob(u64::MAX), blob(2)]), u64::MAX);
    }

    #[test]
    fn some_at_once() {
        let sum = AtomicUsize::new(0);
        let list: Vec<usize> = (1..=100).collect();
        let add = |n: &usize, _: &AtomicBool| {
            sum.fetch_add(*n, Ordering::Relaxed);
            Ok(())
        };
        at_once(&list, 3, add).unwrap();
        assert_eq!(sum.load(Ordering::Relaxed), 5050);
        let error = at_once(&list, 3, |n, _| if *n == 50 { bail!("fifty") } else { Ok(()) }).unwrap_err();
        assert_eq!(error.to_string(), "fifty");
    }
}
