//! From one registry to another: bytes pass through, and rest nowhere.

use crate::client::{Access, Client, Opened};
use crate::fault::Fault;
use crate::net::{Net, Tries};
use crate::push::Parcel;
use crate::upload::Source;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::io::{self, Read};
use store::{Descriptor, Digest, Index, Platform, Reference};

/// What is to be copied of an index.
#[derive(Clone, Debug)]
pub enum Which {
    /// All of it, and itself.
    All,
    /// The image for a platform.
    One(Platform),
}

/// A repository that is read from.
#[derive(Debug)]
pub struct Origin<'n>(Client<'n>);

/// An index within an index, and so on: not further.
const DEPTH: usize = 4;

impl<'n> Origin<'n> {
    /// Reads the manifests of what is to be copied. `to`: a registry that it may be mounted within.
    pub fn open(
        net: &'n Net,
        from: &Reference,
        which: &Which,
        to: &Reference,
    ) -> Result<(Origin<'n>, Parcel)> {
        let mut client = Client::new(net, from, Access::Pull)?;
        let mut top = client.manifest(&from.target())?;
        let mut manifests = Vec::new();
        match which {
            Which::All => {
                gather(&mut client, top.descriptor, top.bytes, DEPTH, &mut manifests, &mut BTreeSet::new())?
            }
            Which::One(platform) => {
                let mut left = DEPTH;
                while top.descriptor.is_index() {
                    let shown = || format!("index {}", top.descriptor.digest);
                    let index: Index = serde_json::from_slice(&top.bytes).with_context(shown)?;
                    let chosen = index.choose(platform).with_context(shown)?.digest.to_string();
                    if left == 0 {
                        bail!("{}: indexes within indexes", top.descriptor.digest);
                    }
                    left -= 1;
                    top = client.manifest(&chosen)?;
                }
                manifests.push((top.descriptor, top.bytes));
            }
        }
        let mut parcel = Parcel::new(manifests)?;
        if from.registry == to.registry {
            let own = || vec![from.repository.clone()];
            parcel.beside = parcel.blobs.iter().map(|b| (b.digest.clone(), own())).collect();
        }
        Ok((Origin(client), parcel))
    }
}

/// An index after all that it names.
fn gather(
    client: &mut Client,
    descriptor: Descriptor,
    bytes: Vec<u8>,
    depth: usize,
    all: &mut Vec<(Descriptor, Vec<u8>)>,
    seen: &mut BTreeSet<Digest>,
) -> Result<()> {
    if descriptor.is_index() {
        let shown = || format!("index {}", descriptor.digest);
        let index: Index = serde_json::from_slice(&bytes).with_context(shown)?;
        if depth == 0 {
            bail!("{}: indexes within indexes", descriptor.digest);
        }
        for entry in &index.manifests {
            if seen.insert(entry.digest.clone()) {
                let found = client.manifest(&entry.digest.to_string())?;
                gather(client, found.descriptor, found.bytes, depth - 1, all, seen)?;
            }
        }
    }
    all.push((descriptor, bytes));
    Ok(())
}

impl Source for Origin<'_> {
    fn open<'s>(&'s self, blob: &Descriptor, from: u64) -> Result<Box<dyn Read + 's>> {
        let mut blob_reader = Steady { client: &self.0, blob: blob.clone(), at: from, end: 0, opened: None };
        blob_reader.reopen()?;
        Ok(Box::new(blob_reader))
    }
}

/// A blob that is read on where the connection was cut.
struct Steady<'c, 'n> {
    client: &'c Client<'n>,
    blob: Descriptor,
    at: u64,
    /// Which server: the next where one fails.
    end: usize,
    opened: Option<Opened>,
}

impl Steady<'_, '_> {
    /// From where it stands, of the first server that has it.
    fn reopen(&mut self) -> Result<()> {
        loop {
            let Some(end) = self.client.ends.get(self.end) else {
                bail!("no registry has blob {}", self.blob.digest)
            };
            let opened = self.client.net.retried(end.tries(), || self.client.open(end, &self.blob, self.at));
            match opened {
                Ok(mut opened) => {
                    // One that knows no Range sends all.
                    let skip = self.at - opened.start;
                    if skip > 0 && io::copy(&mut (&mut opened.reader).take(skip), &mut io::sink())? < skip {
                        return Err(Fault::cut(&opened.host, opened.start, self.blob.size).into());
                    }
                    self.opened = Some(opened);
                    return Ok(());
                }
                Err(e) if self.end + 1 >= self.client.ends.len() => return Err(e),
                Err(_) => self.end += 1,
            }
        }
    }
}

impl Read for Steady<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut tries = Tries::most(crate::net::TRIES);
        loop {
            let Some(opened) = &mut self.opened else { return Err(io::Error::other("not open")) };
            let fault = match opened.reader.read(buf) {
                Ok(0) if self.at < self.blob.size && !buf.is_empty() => {
                    Fault::cut(&opened.host, self.at, self.blob.size)
                }
                Ok(n) => {
                    self.at += n as u64;
                    return Ok(n);
                }
                Err(e) => Fault::io(&opened.host, &e),
            };
            tries
                .again(self.client.net, fault.into())
                .and_then(|()| self.reopen())
                .map_err(io::Error::other)?;
        }
    }
}
