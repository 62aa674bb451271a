//! A blob comes: from where it was cut, from the next server where one fails, and once more from
//! the beginning where it was not what its descriptor says.

use crate::client::{Client, Lie, Opened, elsewhere, is_missing};
use crate::fault::Fault;
use crate::net::{TRIES, Tries};
use crate::progress::Event;
use anyhow::{Context, Result, anyhow, bail};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{Descriptor, Part, Stopped, Store, Work, Wrong};

/// What is read at once.
const PIECE: usize = 256 << 10;

/// Opens the blob from a byte on.
type Open<'a> = dyn Fn(u64) -> Result<Opened> + 'a;

impl Client<'_> {
    /// Afterwards the layer is in the store; it is told what happens.
    pub(crate) fn fetch(
        &self,
        store: &Store,
        work: &Work,
        layer: &Descriptor,
        stop: &AtomicBool,
    ) -> Result<()> {
        let (digest, size) = (&layer.digest, layer.size);
        let begins = store.has(digest, Some(size));
        let state = if begins { "there" } else { "fetch" };
        self.net.progress.tell(&Event::Layer { digest, size, state });
        self.bring(store, work, layer, stop)?;
        self.net.progress.tell(&Event::Done { digest });
        Ok(())
    }

    /// Afterwards the blob is in the store.
    pub(crate) fn bring(
        &self,
        store: &Store,
        work: &Work,
        blob: &Descriptor,
        stop: &AtomicBool,
    ) -> Result<()> {
        let mut lies = 0;
        while let Some(mut part) = store.part(work, &blob.digest, Some(blob.size))? {
            // A mirror that lied is not asked again; the registry itself, once.
            let skip = lies.min(self.ends.len() - 1);
            let came = self.anywhere(&mut part, blob, stop, skip).and_then(|()| part.finish());
            match came {
                Err(e) if lies < self.ends.len() && (e.is::<Wrong>() || e.is::<Lie>()) => {
                    lies += 1;
                    let cause = e.to_string();
                    self.net.progress.tell(&Event::Retry { cause: &cause, wait: Duration::ZERO, tries: 1 });
                }
                other => return other,
            }
        }
        Ok(())
    }

    /// From the first server that has it; then from where a foreign layer says that it is.
    fn anywhere(&self, part: &mut Part, blob: &Descriptor, stop: &AtomicBool, skip: usize) -> Result<()> {
        let mut failed = anyhow!("no registry");
        for end in self.ends.iter().skip(skip) {
            match self.filled(part, blob, stop, end.tries(), &|from| self.open(end, blob, from)) {
                Err(e) if elsewhere(&e) => failed = e,
                other => return other.with_context(|| format!("fetch {}", blob.digest)),
            }
        }
        let urls: Vec<&str> = match blob.extra.get("urls").and_then(|u| u.as_array()) {
            Some(list) if is_missing(&failed) => list.iter().filter_map(|u| u.as_str()).collect(),
            _ => Vec::new(),
        };
        if urls.is_empty() && is_missing(&failed) && is_foreign(&blob.media_type) {
            bail!(
                "layer {} is foreign ({}): the registry has it not, and it has no urls",
                blob.digest,
                blob.media_type
            );
        }
        for url in urls {
            match self.filled(part, blob, stop, TRIES, &|from| self.open_url(url, blob, from)) {
                Err(e) if elsewhere(&e) => failed = e,
                other => return other.with_context(|| format!("fetch {} from {url}", blob.digest)),
            }
        }
        Err(failed).with_context(|| format!("fetch {}", blob.digest))
    }

    /// Until it is whole; each time that the connection is cut, from there on.
    fn filled(
        &self,
        part: &mut Part,
        blob: &Descriptor,
        stop: &AtomicBool,
        most: u32,
        open: &Open,
    ) -> Result<()> {
        let mut tries = Tries::most(most);
        while part.have() < blob.size || blob.size == 0 {
            let before = part.have();
            match self.piece(part, blob, stop, open) {
                Ok(()) => break,
                Err(e) => {
                    if part.have() > before {
                        tries.moved();
                    }
                    tries.again(self.net, e)?;
                }
            }
        }
        Ok(())
    }

    /// What one answer brings.
    fn piece(&self, part: &mut Part, blob: &Descriptor, stop: &AtomicBool, open: &Open) -> Result<()> {
        let mut opened = open(part.have()).or_else(|e| {
            // It does not know where we stopped: from the beginning.
            if e.is::<Lie>() && part.have() > 0 {
                part.restart()?;
                return open(0);
            }
            Err(e)
        })?;
        if opened.start != part.have() {
            part.restart()?;
        }
        let mut buf = vec![0; PIECE];
        loop {
            let n = match opened.reader.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Fault::io(&opened.host, &e).into()),
            };
            if stop.load(Ordering::Relaxed) {
                return Err(Stopped.into());
            }
            let at = part.have() + n as u64;
            if at > blob.size {
                part.restart()?;
                let (digest, size) = (&blob.digest, blob.size);
                return Err(
                    Lie(format!("blob {digest} is longer than the {size} bytes of its descriptor")).into()
                );
            }
            part.write_all(&buf[..n]).with_context(|| format!("write blob {}", blob.digest))?;
            self.net.progress.tell(&Event::Moved { digest: &blob.digest, at, size: blob.size });
        }
        if part.have() < blob.size {
            return Err(Fault::cut(&opened.host, part.have(), blob.size).into());
        }
        Ok(())
    }
}

/// Whether a layer is perhaps not in the registry, for its licence's sake.
pub(crate) fn is_foreign(media_type: &str) -> bool {
    media_type.contains("foreign") || media_type.contains("nondistributable")
}
