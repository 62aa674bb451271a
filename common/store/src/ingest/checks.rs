//! What a layer's diff_id is, found while the layer still comes in: other threads read the file
//! that is being written, as far as it has grown, and decompress and hash it.

use crate::Digest;
use crate::compress::{Format, plain};
use crate::digest::Hashing;
use anyhow::{Context, Result, anyhow};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// How far a file has been written. Its writer holds it; when that goes without a word the file
/// broke off.
#[derive(Default)]
pub(super) struct Growth(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<(u64, Stage)>,
    grew: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Stage {
    #[default]
    Growing,
    Whole,
    Broken,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, (u64, Stage)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut (u64, Stage))) {
        change(&mut self.state());
        self.grew.notify_all();
    }
}

impl Growth {
    /// So many bytes more are in the file.
    pub(super) fn more(&self, bytes: usize) {
        self.0.set(|s| s.0 += bytes as u64);
    }

    /// The file is whole.
    pub(super) fn whole(self) {
        self.0.set(|s| s.1 = Stage::Whole);
    }

    /// The file at a path, read while it grows.
    pub(super) fn follow(&self, path: &Path) -> io::Result<Follow> {
        Ok(Follow { file: File::open(path)?, shared: self.0.clone(), at: 0, known: 0 })
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        self.0.set(|s| {
            if s.1 == Stage::Growing {
                s.1 = Stage::Broken;
            }
        });
    }
}

/// A file that is being written; a read waits for what is still to come.
pub(super) struct Follow {
    file: File,
    shared: Arc<Shared>,
    at: u64,
    known: u64,
}

impl Read for Follow {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == self.known {
            let mut state = self.shared.state();
            while state.0 == self.at && state.1 == Stage::Growing {
                state = self.shared.grew.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            self.known = state.0;
            match state.1 {
                Stage::Broken => return Err(io::Error::other("it broke off")),
                _ if self.known == self.at => return Ok(0),
                _ => {}
            }
        }
        let most = buf.len().min((self.known - self.at) as usize);
        let n = self.file.read(&mut buf[..most])?;
        self.at += n as u64;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(n)
    }
}

/// One blob to look at.
struct Job {
    path: PathBuf,
    format: Format,
    shared: Arc<Shared>,
    answer: SyncSender<Result<Digest>>,
}

/// The threads that look at blobs, as many as there are processors; none before the first blob.
#[derive(Default)]
pub(super) struct Checks {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// A digest that is being found.
pub(super) struct Pending(Receiver<Result<Digest>>);

impl Pending {
    /// Waits for it. An error is the decompressor's.
    pub(super) fn wait(self) -> Result<Digest> {
        self.0.recv().map_err(|_| anyhow!("the thread that read it is gone"))?
    }
}

impl Checks {
    /// Begins to find the digest of what a compressed file holds; the file may still grow.
    pub(super) fn start(&mut self, path: &Path, format: Format, growth: &Growth) -> Pending {
        let (answer, pending) = sync_channel(1);
        let job = Job { path: path.to_owned(), format, shared: growth.0.clone(), answer };
        let threads = &mut self.threads;
        let jobs = self.jobs.get_or_insert_with(|| {
            let (send, receive) = channel::<Job>();
            let receive = Arc::new(Mutex::new(receive));
            let many = thread::available_parallelism().map_or(1, |n| n.get().min(4));
            threads.extend((0..many).map(|_| {
                let (receive, stop) = (receive.clone(), self.stop.clone());
                thread::spawn(move || work(&receive, &stop))
            }));
            send
        });
        // A job that nobody takes any more says so when it is waited for.
        let _ = jobs.send(job);
        Pending(pending)
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, stop: &Arc<AtomicBool>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let _ = job.answer.send(find(&job, stop));
    }
}

fn find(job: &Job, stop: &Arc<AtomicBool>) -> Result<Digest> {
    let file = File::open(&job.path).with_context(|| format!("open {}", job.path.display()))?;
    let follow = Follow { file, shared: job.shared.clone(), at: 0, known: 0 };
    let mut plain = Hashing::new(plain(job.format, follow)?);
    let mut buf = vec![0; 128 << 10];
    loop {
        match plain.read(&mut buf) {
            Ok(0) => return Ok(plain.hasher.finish()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
            Ok(_) if stop.load(Ordering::Relaxed) => return Err(anyhow!("nobody waits for it")),
            Ok(_) => {}
        }
    }
}
