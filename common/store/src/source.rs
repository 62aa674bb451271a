//! A layer's blob as the plain bytes of its archive. One thread decompresses and one hashes, while
//! whoever reads makes files; what passes between them are a few large pieces, used again and again.

use crate::compress::{Format, peek, plain};
use crate::digest::{Digest, Hasher};
use anyhow::{Context, Result, anyhow};
use std::io::{self, BufRead, Cursor, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// One piece stays in a processor's own cache, and is some calls' worth of a large file.
const PIECE: usize = 256 << 10;
/// How many there are of a layer: where one thread waits, the others go on with what is made.
const PIECES: usize = 16;

/// Asked now and then: whether to end early.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// Reads a blob through `read`, which gives what it makes of it. Besides that the digest of all
/// plain bytes; none if `read` did not get to the end. A blob that cannot be read is the error,
/// whatever `read` made of that.
pub(crate) fn through<T>(
    blob: impl Read + Send,
    stop: Stop,
    read: impl FnOnce(&mut Pieces) -> Result<T>,
) -> Result<(Result<T>, Option<Digest>)> {
    let (empty, free) = channel();
    for _ in 0..PIECES {
        let _ = empty.send(vec![0; PIECE]);
    }
    let (decompressed, to_hash) = sync_channel(PIECES);
    let (hashed, full) = sync_channel(PIECES);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || decompress(blob, stop, &free, &decompressed));
        let hashing = scope.spawn(move || hash(&to_hash, &hashed));
        let mut pieces = Pieces { full, empty, piece: Vec::new(), at: 0 };
        let made = read(&mut pieces);
        drop(pieces);
        let digest = hashing.join().map_err(|_| anyhow!("the hashing thread panicked"))?;
        let read = reading.join().map_err(|_| anyhow!("the reading thread panicked"))?;
        let whole = read.context("read the blob")?;
        Ok((made, digest.filter(|_| whole)))
    })
}

/// Whether all was read; `false`: nobody listens any more.
fn decompress(
    blob: impl Read + Send,
    stop: Stop,
    free: &Receiver<Vec<u8>>,
    to: &SyncSender<Vec<u8>>,
) -> Result<bool> {
    // What waits for its next bytes ends by an error of its own when it is to stop.
    let stopped = |e: anyhow::Error| if stop() { Stopped.into() } else { e };
    let (head, rest) = peek(blob, 8).map_err(|e| stopped(e.into()))?;
    let mut input = plain(Format::of(&head), Cursor::new(head).chain(rest))?;
    while let Ok(mut piece) = free.recv() {
        if stop() {
            return Err(Stopped.into());
        }
        piece.resize(PIECE, 0);
        let n = fill(&mut input, &mut piece).map_err(|e| stopped(e.into()))?;
        piece.truncate(n);
        if n == 0 {
            return Ok(true);
        }
        if to.send(piece).is_err() {
            break;
        }
    }
    Ok(false)
}

/// As much as there is room for, or there is at all.
fn fill(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buf.len() {
        match input.read(&mut buf[n..]) {
            Ok(0) => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => n += other?,
        }
    }
    Ok(n)
}

/// It ended because something else did: not the error to tell.
#[derive(Debug)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}

fn hash(from: &Receiver<Vec<u8>>, to: &SyncSender<Vec<u8>>) -> Option<Digest> {
    let mut hasher = Hasher::default();
    while let Ok(piece) = from.recv() {
        hasher.update(&piece);
        to.send(piece).ok()?;
    }
    Some(hasher.finish())
}

/// The plain bytes, piece by piece.
pub(crate) struct Pieces {
    full: Receiver<Vec<u8>>,
    empty: Sender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.piece.len()
            && let Ok(piece) = self.full.recv()
        {
            let used = std::mem::replace(&mut self.piece, piece);
            self.at = 0;
            if used.capacity() > 0 {
                // Nobody takes it when all is read.
                let _ = self.empty.send(used);
            }
        }
        Ok(&self.piece[self.at..])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        self.consume(n);
        Ok(n)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_passes() {
        let bytes: Vec<u8> = (0..9_000_000_u32).map(|n| (n * 7) as u8).collect();
        let go: Stop = &|| false;
        let read = |pieces: &mut Pieces| {
            let mut all = Vec::new();
            Ok(pieces.read_to_end(&mut all).map(|_| all)?)
        };
        let (all, digest) = through(bytes.as_slice(), go, read).unwrap();
        assert!(all.unwrap() == bytes && digest == Some(Digest::of(&bytes)));
        // A reader that gives up early.
        let (made, digest) = through(bytes.as_slice(), go, |_| Ok(())).unwrap();
        assert!(made.is_ok() && digest.is_none());
        let (made, digest) = through(&b""[..], go, read).unwrap();
        assert!(made.unwrap().is_empty() && digest == Some(Digest::of(b"")));
        assert!(through(bytes.as_slice(), &|| true, read).unwrap_err().is::<Stopped>());
    }
}
