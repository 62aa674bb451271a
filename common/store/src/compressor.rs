//! Compresses a stream on several threads. What comes out depends on what goes in and the level,
//! not on the number of threads.

use anyhow::Result;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::io::{self, Write};
use std::num::NonZero;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// How something is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// RFC 1952, one member; 1 to 9.
    Gzip(u32),
    /// RFC 8878, one frame; 1 to 22.
    Zstd(i32),
    /// Not at all.
    None,
}

impl FromStr for Packing {
    type Err = String;
    /// At its usual level.
    fn from_str(text: &str) -> Result<Packing, String> {
        match text {
            "gzip" => Ok(Packing::Gzip(6)),
            "zstd" => Ok(Packing::Zstd(3)),
            "none" => Ok(Packing::None),
            _ => Err("not gzip, zstd or none".into()),
        }
    }
}

impl Packing {
    /// The same at another level; `None`: there is no such level.
    pub fn at(self, level: u32) -> Option<Packing> {
        match self {
            Packing::Gzip(_) if (1..=9).contains(&level) => Some(Packing::Gzip(level)),
            Packing::Zstd(_) if (1..=22).contains(&level) => Some(Packing::Zstd(level as i32)),
            _ => None,
        }
    }
}

/// What is compressed at a time. The next piece begins with the end of this one as its dictionary,
/// so little is lost at the seam.
const PIECE: usize = 256 << 10;
const WINDOW: usize = 32 << 10;
/// Each takes about a MiB of memory with zlib, and with zstd what its level needs.
const MOST_THREADS: usize = 16;

/// What is written to it comes out compressed at its end.
pub struct Compressor<W: Write + Send + 'static> {
    piece: Vec<u8>,
    kind: Kind<W>,
}

enum Kind<W: Write + Send + 'static> {
    None(W),
    Gzip(Gzip<W>),
    Zstd(Box<zstd::stream::write::Encoder<'static, W>>),
}

/// As many threads as there are processors.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS)
}

impl<W: Write + Send + 'static> Compressor<W> {
    /// Into `out`, with this many threads beside the caller's.
    pub fn new(packing: Packing, threads: usize, out: W) -> io::Result<Compressor<W>> {
        let kind = match packing {
            Packing::None => Kind::None(out),
            Packing::Gzip(level) => Kind::Gzip(Gzip::new(level, threads, out)?),
            Packing::Zstd(level) => {
                let mut encoder = zstd::stream::write::Encoder::new(out, level)?;
                // With one worker or more the frame is cut into jobs by their size alone; with none
                // it is another frame.
                encoder.multithread(threads.clamp(1, MOST_THREADS) as u32)?;
                encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(2 << 20))?;
                Kind::Zstd(Box::new(encoder))
            }
        };
        Ok(Compressor { piece: Vec::with_capacity(PIECE), kind })
    }

    /// Everything is written to the output, which comes back.
    pub fn finish(mut self) -> io::Result<W> {
        let piece = std::mem::take(&mut self.piece);
        match self.kind {
            Kind::None(mut out) => out.write_all(&piece).map(|()| out),
            Kind::Gzip(gzip) => gzip.finish(piece),
            Kind::Zstd(mut encoder) => {
                encoder.write_all(&piece)?;
                encoder.finish()
            }
        }
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        match &mut self.kind {
            Kind::None(out) => out.write_all(&piece),
            Kind::Gzip(gzip) => gzip.piece(piece, false),
            Kind::Zstd(encoder) => encoder.write_all(&piece),
        }
    }
}

/// Pieces are full whatever the writes were, so that these do not show in the output.
impl<W: Write + Send + 'static> Write for Compressor<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&buf[..n]);
        if self.piece.len() == PIECE {
            self.hand_over()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Job {
    piece: Arc<Vec<u8>>,
    before: Arc<Vec<u8>>,
    last: bool,
    done: Sender<io::Result<Done>>,
}

struct Done {
    deflated: Vec<u8>,
    crc: Crc,
}

/// Pieces are deflated by any thread and written in order by one: each goes to the deflaters with
/// one end of a channel, the other end of which waits in the writer's line.
struct Gzip<W> {
    jobs: Option<SyncSender<Job>>,
    line: Option<SyncSender<Receiver<io::Result<Done>>>>,
    before: Arc<Vec<u8>>,
    workers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<io::Result<W>>>,
}

impl<W: Write + Send + 'static> Gzip<W> {
    fn new(level: u32, threads: usize, out: W) -> io::Result<Gzip<W>> {
        let threads = threads.clamp(1, MOST_THREADS);
        let (jobs, take) = sync_channel::<Job>(threads);
        let take = Arc::new(Mutex::new(take));
        let (line, next) = sync_channel(2 * threads);
        let mut gzip = Gzip {
            jobs: Some(jobs),
            line: Some(line),
            before: Arc::default(),
            workers: Vec::new(),
            writer: Some(thread::Builder::new().spawn(move || write(&next, out))?),
        };
        for _ in 0..threads {
            let take = take.clone();
            gzip.workers.push(thread::Builder::new().spawn(move || deflate_all(level, &take))?);
        }
        Ok(gzip)
    }

    fn piece(&mut self, piece: Vec<u8>, last: bool) -> io::Result<()> {
        let piece = Arc::new(piece);
        let before = std::mem::replace(&mut self.before, piece.clone());
        let (done, coming) = channel();
        let sent = self.line.as_ref().is_some_and(|l| l.send(coming).is_ok())
            && self.jobs.as_ref().is_some_and(|j| j.send(Job { piece, before, last, done }).is_ok());
        if sent { Ok(()) } else { self.end().map(drop) }
    }

    fn finish(mut self, rest: Vec<u8>) -> io::Result<W> {
        self.piece(rest, true)?;
        self.end()
    }

    /// Nothing more comes; what the writer says of it all. All threads have ended afterwards.
    fn end(&mut self) -> io::Result<W> {
        (self.jobs, self.line) = (None, None);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        let gone = || io::Error::other("the writing thread ended");
        self.writer.take().ok_or_else(gone)?.join().map_err(|_| gone())?
    }
}

impl<W> Drop for Gzip<W> {
    fn drop(&mut self) {
        (self.jobs, self.line) = (None, None);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn deflate_all(level: u32, take: &Mutex<Receiver<Job>>) {
    let mut compress = Compress::new(Compression::new(level), false);
    loop {
        let job = match take.lock() {
            Ok(jobs) => jobs.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else { return };
        let _ = job.done.send(deflate(&mut compress, &job));
    }
}

/// One piece, so that it can be put behind the others: its end lies at a byte's end.
fn deflate(compress: &mut Compress, job: &Job) -> io::Result<Done> {
    compress.reset();
    let window = &job.before[job.before.len().saturating_sub(WINDOW)..];
    if !window.is_empty() {
        compress.set_dictionary(window).map_err(io::Error::other)?;
    }
    let flush = if job.last { FlushCompress::Finish } else { FlushCompress::Sync };
    let mut deflated = Vec::with_capacity(job.piece.len() / 2 + 1024);
    loop {
        let at = compress.total_in() as usize;
        let status =
            compress.compress_vec(&job.piece[at..], &mut deflated, flush).map_err(io::Error::other)?;
        // Room left over means that the flush is complete.
        let room = deflated.len() < deflated.capacity();
        let end = if job.last { status == Status::StreamEnd } else { room };
        if end && compress.total_in() as usize == job.piece.len() {
            break;
        }
        deflated.reserve(64 << 10);
    }
    let mut crc = Crc::new();
    crc.update(&job.piece);
    Ok(Done { deflated, crc })
}

/// A header that says nothing (no time, no system), the pieces, and their sum.
fn write<W: Write>(next: &Receiver<Receiver<io::Result<Done>>>, mut out: W) -> io::Result<W> {
    out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
    let mut crc = Crc::new();
    while let Ok(coming) = next.recv() {
        let done = coming.recv().map_err(|_| io::Error::other("a compressing thread ended"))??;
        out.write_all(&done.deflated)?;
        crc.combine(&done.crc);
    }
    out.write_all(&crc.sum().to_le_bytes())?;
    out.write_all(&crc.amount().to_le_bytes())?;
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read;

    fn packed(packing: Packing, threads: usize, step: usize, data: &[u8]) -> Vec<u8> {
        let mut out = Compressor::new(packing, threads, Vec::new()).unwrap();
        data.chunks(step.max(1)).for_each(|chunk| out.write_all(chunk).unwrap());
        out.finish().unwrap()
    }

    #[test]
    fn the_same_from_any_number_of_threads() {
        let mut seed = 1u32;
        let noise = std::iter::from_fn(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((seed >> 24) as u8 & if seed & 0x10_0000 == 0 { 0xff } else { 3 })
        });
        let data: Vec<u8> = noise.take(5 << 20).collect();
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, data.len()] {
            let data = &data[..size];
            for packing in [Packing::Gzip(1), Packing::Gzip(6), Packing::Zstd(3)] {
                let one = packed(packing, 1, 1000, data);
                assert_eq!(one, packed(packing, 3, 70_001, data), "{packing:?} {size}");
                let mut plain = Vec::new();
                match packing {
                    // One member, so also for those who read the first alone.
                    Packing::Gzip(_) => {
                        flate2::read::GzDecoder::new(&one[..]).read_to_end(&mut plain).unwrap()
                    }
                    _ => zstd::stream::read::Decoder::new(&one[..]).unwrap().read_to_end(&mut plain).unwrap(),
                };
                assert!(plain == data, "{packing:?} {size}");
            }
            assert!(packed(Packing::None, 1, 7, data) == data);
        }
    }

    /// A writer whose disk is full.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(buf.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_ends() {
        let mut seed = 1u64;
        let noise = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        });
        let data: Vec<u8> = noise.take(8 << 20).collect();
        for packing in [Packing::Gzip(1), Packing::Zstd(1), Packing::None] {
            let mut out = Compressor::new(packing, 2, Full(100_000)).unwrap();
            let written = out.write_all(&data).and_then(|()| out.finish().map(drop));
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull, "{packing:?}");
        }
    }
}
