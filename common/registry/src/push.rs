//! An image goes to a registry: blobs that it has not, several at a time; then the manifests, byte
//! for byte.

use crate::client::{ACCEPT, Access, Client};
use crate::fault::Fault;
use crate::fetch::is_foreign;
use crate::net::{Body, Call, Net, TRIES};
use crate::progress::Event;
use crate::pull::{AT_ONCE, at_once, sum};
use crate::upload::{Source, unknown};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use store::{Descriptor, Digest, Image, Manifest, Reference, Store};

/// What is to go.
#[derive(Debug)]
pub struct Parcel {
    /// Manifests and indexes, as they are: what is named by another before it. The last gets the
    /// tag.
    pub manifests: Vec<(Descriptor, Vec<u8>)>,
    /// What they need, layers first.
    pub blobs: Vec<Descriptor>,
    /// Repositories of the registry that perhaps have a blob.
    pub beside: BTreeMap<Digest, Vec<String>>,
}

impl Parcel {
    /// Of manifests in order; each blob once.
    pub fn new(manifests: Vec<(Descriptor, Vec<u8>)>) -> Result<Parcel> {
        let (mut layers, mut configs) = (Vec::new(), Vec::new());
        for (descriptor, bytes) in manifests.iter().filter(|(d, _)| !d.is_index()) {
            let manifest: Manifest =
                serde_json::from_slice(bytes).with_context(|| format!("manifest {}", descriptor.digest))?;
            layers.extend(manifest.layers);
            configs.push(manifest.config);
        }
        let mut seen = BTreeSet::new();
        // A foreign layer is where its urls say.
        let elsewhere = |d: &Descriptor| is_foreign(&d.media_type) && d.extra.get("urls").is_some();
        let blobs =
            layers.into_iter().chain(configs).filter(|d| !elsewhere(d) && seen.insert(d.digest.clone()));
        Ok(Parcel { blobs: blobs.collect(), manifests, beside: BTreeMap::new() })
    }

    /// An image of the store.
    pub fn of(store: &Store, image: &Image, to: &Reference) -> Result<Parcel> {
        let bytes = store.read_blob(&image.descriptor.digest)?;
        let mut parcel = Parcel::new(vec![(image.descriptor.clone(), bytes)])?;
        for blob in &parcel.blobs {
            if !store.has(&blob.digest, Some(blob.size)) {
                bail!("no blob {} in the store", blob.digest);
            }
        }
        parcel.beside = beside(store, to)?;
        Ok(parcel)
    }
}

/// Which repositories of a registry have which blobs, as far as the store's list tells.
fn beside(store: &Store, to: &Reference) -> Result<BTreeMap<Digest, Vec<String>>> {
    let mut found: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    for entry in store.index()?.manifests {
        let reference = entry.ref_name().and_then(|n| Reference::parse(n).ok());
        let Some(reference) =
            reference.filter(|r| r.registry == to.registry && r.repository != to.repository)
        else {
            continue;
        };
        // One that cannot be read helps nobody.
        let Ok(image) = store.open(&entry, None) else { continue };
        for blob in image.manifest.layers.iter().chain([&image.manifest.config]) {
            let list = found.entry(blob.digest.clone()).or_default();
            if !list.contains(&reference.repository) {
                list.push(reference.repository.clone());
            }
        }
    }
    Ok(found)
}

impl Source for Store {
    fn open<'s>(&'s self, blob: &Descriptor, from: u64) -> Result<Box<dyn Read + 's>> {
        let mut file: File = self.open_blob(&blob.digest)?;
        file.seek(SeekFrom::Start(from)).with_context(|| format!("read blob {}", blob.digest))?;
        Ok(Box::new(file))
    }
}

/// A push to one repository.
#[derive(Debug)]
pub struct Push<'n> {
    client: Client<'n>,
}

impl<'n> Push<'n> {
    /// Nothing is asked yet.
    pub fn new(net: &'n Net, to: &Reference) -> Result<Push<'n>> {
        Ok(Push { client: Client::new(net, to, Access::Push)? })
    }

    /// Afterwards the registry has it, under the name. One that is there already costs one request. Gives the digest under
    /// which it is there.
    pub fn send(&self, parcel: &Parcel, source: &dyn Source) -> Result<Digest> {
        let (top, _) = parcel.manifests.last().context("nothing to push")?;
        let (net, to) = (self.client.net, &self.client.reference);
        if to.digest.as_ref().is_some_and(|d| *d != top.digest) {
            bail!("its digest is {}", top.digest);
        }
        net.progress.tell(&Event::Resolved {
            name: &to.to_string(),
            digest: &top.digest,
            size: sum(&parcel.blobs),
            layers: parcel.blobs.len(),
        });
        if !self.client.has_manifest(&to.target(), &top.digest)? {
            let none = Vec::new();
            at_once(&parcel.blobs, AT_ONCE, |blob, stop| {
                let from = parcel.beside.get(&blob.digest).unwrap_or(&none);
                self.client.upload(blob, source, from, stop)
            })?;
            let (last, others) = parcel.manifests.split_last().context("nothing to push")?;
            for (descriptor, bytes) in others {
                self.client.put_manifest(&descriptor.digest.to_string(), descriptor, bytes)?;
            }
            self.client.put_manifest(&to.target(), &last.0, &last.1)?;
        }
        net.progress.tell(&Event::Done { digest: &top.digest });
        Ok(top.digest.clone())
    }

    /// The requests as shell, with files of the store; what is there is left out.
    pub fn show(&self, parcel: &Parcel, store: &Store) -> Result<Vec<String>> {
        let (top, _) = parcel.manifests.last().context("nothing to push")?;
        let target = self.client.reference.target();
        if self.client.has_manifest(&target, &top.digest)? {
            return Ok(Vec::new());
        }
        let mut missing = Vec::new();
        for blob in &parcel.blobs {
            if !self.client.has_blob(blob)? {
                missing.push((blob.digest.to_string(), store.blob(&blob.digest)));
            }
        }
        self.client.shell_push(&missing, &target, top, &store.blob(&top.digest))
    }
}

impl Client<'_> {
    /// Whether a tag or a digest stands for this manifest already.
    fn has_manifest(&self, target: &str, digest: &Digest) -> Result<bool> {
        let end = self.own()?;
        let url = self.url(end, &format!("manifests/{target}"));
        self.net.retried(TRIES, || {
            let headers = vec![("accept", ACCEPT.to_owned())];
            let call = Call { method: "HEAD", url: url.clone(), headers, body: Body::None };
            let response = self.send(end, &call, &self.scopes())?;
            let is = response.headers().get("docker-content-digest").and_then(|d| d.to_str().ok());
            match response.status().as_u16() {
                200 => Ok(is == Some(digest.to_string().as_str())),
                status if unknown(status) => Ok(false),
                _ => Err(Fault::answer(end.host(), response).into()),
            }
        })
    }

    fn put_manifest(&self, target: &str, descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
        let end = self.own()?;
        let url = self.url(end, &format!("manifests/{target}"));
        let put = || {
            let headers = vec![("content-type", descriptor.media_type.clone())];
            let call = Call { method: "PUT", url: url.clone(), headers, body: Body::Bytes(bytes) };
            let response = self.send(end, &call, &self.scopes())?;
            if !response.status().is_success() {
                return Err(Fault::answer(end.host(), response).into());
            }
            let is = response.headers().get("docker-content-digest").and_then(|d| d.to_str().ok());
            match is.filter(|d| d.starts_with("sha256:") && *d != descriptor.digest.to_string()) {
                Some(is) => Err(Fault::never(end.host(), format!("it keeps the manifest as {is}")).into()),
                None => Ok(()),
            }
        };
        self.net.retried(TRIES, put).with_context(|| format!("manifest {}", descriptor.digest))
    }
}
