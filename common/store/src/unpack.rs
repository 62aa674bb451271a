//! Several layers at once. Each is made on its own; one that needs what lies below waits for it.
//! What is whole gets its name, whatever became of the others.

use crate::extract::{Below, Extractor, Made, Nothing, Rights, Shape, extract};
use crate::layer::{Plan, remove};
use crate::source::{Stop, Stopped};
use crate::{Image, Store};
use anyhow::{Context, Result, anyhow, bail};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// More do not help: a disk takes no more, and each has some megabytes of buffers.
const AT_ONCE: usize = 4;

/// What has become of each layer, lowest first.
struct Board {
    places: Mutex<Vec<Place>>,
    changed: Condvar,
}

#[derive(Clone)]
enum Place {
    Coming,
    /// It can be looked into, whatever its name will be.
    There(Arc<OwnedFd>),
    Failed,
}

impl Board {
    fn set(&self, n: usize, place: Place) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)[n] = place;
        self.changed.notify_all();
    }
}

/// The layers below layer `n`.
struct BelowThis<'a> {
    board: &'a Board,
    n: usize,
}

impl Below for BelowThis<'_> {
    fn layers(&self) -> Result<Vec<Arc<OwnedFd>>> {
        let mut places = self.board.places.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let below = &places[..self.n];
            if below.iter().any(|p| matches!(p, Place::Failed)) {
                return Err(Stopped.into());
            }
            let there: Vec<_> = below
                .iter()
                .filter_map(|p| if let Place::There(fd) = p { Some(fd.clone()) } else { None })
                .collect();
            if there.len() == self.n {
                return Ok(there);
            }
            places = self.board.changed.wait(places).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A layer that is whole and has no name yet.
struct Whole {
    temp: PathBuf,
    to: PathBuf,
}

/// Where each layer is, lowest first, after those that were missing were made.
pub(crate) fn missing(store: &Store, plans: &[Plan], stop: Stop) -> Result<Vec<PathBuf>> {
    let todo: Vec<usize> = (0..plans.len()).filter(|n| plans[*n].there.is_none()).collect();
    let mut dirs: Vec<PathBuf> = plans.iter().map(|p| p.there.clone().unwrap_or_default()).collect();
    if todo.is_empty() {
        return Ok(dirs);
    }
    let mut places = Vec::new();
    for plan in plans {
        places.push(match &plan.there {
            None => Place::Coming,
            Some(dir) => Place::There(Arc::new(open(dir)?)),
        });
    }
    let board = Board { places: Mutex::new(places), changed: Condvar::new() };
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let stop = || stop() || failed.load(Ordering::Relaxed);
    let results: Vec<Mutex<Option<Result<Whole>>>> = todo.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        // The lowest first, so that whoever waits for a lower one waits for one that was begun.
        while let Some(n) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            let made = match stop() {
                true => Err(Stopped.into()),
                false => one(store, &plans[*n], &BelowThis { board: &board, n: *n }, &stop),
            };
            let made = made.and_then(|whole| Ok((Place::There(Arc::new(open(&whole.temp)?)), whole)));
            let (place, made) = match made {
                Ok((place, whole)) => (place, Ok(whole)),
                Err(e) => (Place::Failed, Err(e)),
            };
            if made.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            board.set(*n, place);
            if let Some(result) = todo.iter().position(|t| t == n).and_then(|i| results.get(i)) {
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(2, AT_ONCE);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(todo.len()) {
            scope.spawn(work);
        }
    });
    let mut errors = Vec::new();
    let mut whole = Vec::new();
    for (n, result) in todo.iter().zip(results) {
        match result.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(Ok(w)) => whole.push((*n, w)),
            Some(Err(e)) => errors.push(e.context(format!("unpack layer {}", plans[*n].digest))),
            None => errors.push(anyhow!("unpack layer {}: its thread ended", plans[*n].digest)),
        }
    }
    // Not to be lost is what nobody would look at again: a layer that has its name.
    if let Some((_, first)) = whole.first()
        && let Err(e) = sys::extract::sync(&first.temp).context("syncfs")
    {
        errors.push(e);
        whole.drain(..).for_each(|(_, w)| drop(remove(&w.temp)));
    }
    for (n, w) in whole {
        match name(&w) {
            Ok(()) => dirs[n] = w.to,
            Err(e) => errors.push(e),
        }
    }
    // The one that the others ended for.
    let first = errors.iter().position(|e| !e.is::<Stopped>()).unwrap_or(0);
    if errors.is_empty() { Ok(dirs) } else { Err(errors.swap_remove(first)) }
}

fn open(dir: &Path) -> Result<OwnedFd> {
    sys::extract::open_dir(dir).with_context(|| format!("open {}", dir.display()))
}

/// Somebody else may have been first: it is the same.
fn name(whole: &Whole) -> Result<()> {
    let Whole { temp, to } = whole;
    match fs::rename(temp, to) {
        Err(_) if to.is_dir() => remove(temp),
        Err(e) => {
            let _ = remove(temp);
            Err(e).with_context(|| format!("rename {} to {}", temp.display(), to.display()))
        }
        Ok(()) => Ok(()),
    }
}

fn one(store: &Store, plan: &Plan, below: &BelowThis, stop: Stop) -> Result<Whole> {
    let temp = store.beside(&plan.alone)?;
    let _ = sys::extract::own_umask();
    DirBuilder::new().mode(0o755).create(&temp).with_context(|| format!("mkdir {}", temp.display()))?;
    let rights = Rights::here();
    let made = store.read_layer(plan, stop, |pieces| extract(pieces, &temp, below, rights));
    match made {
        Ok(made) => {
            let to = if made == Made::Alone { &plan.alone } else { &plan.chained };
            Ok(Whole { temp, to: to.clone() })
        }
        Err(e) => {
            let _ = remove(&temp);
            Err(e)
        }
    }
}

impl Store {
    /// Unpacks an image as one plain tree into a directory that is empty, or is made. After an error
    /// nothing is left of what it made. It ends early, with an error, once `stop` says so.
    pub fn unpack_to(&self, image: &Image, dir: &Path, stop: Stop) -> Result<()> {
        let plans = self.plan(image)?;
        let made = match DirBuilder::new().mode(0o755).create(dir) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => false,
            Err(e) => return Err(e).with_context(|| format!("mkdir {}", dir.display())),
        };
        if !made && fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?.next().is_some() {
            bail!("{} is not empty", dir.display());
        }
        let done = self.fill(&plans, dir, stop);
        if done.is_err() {
            let dev = fs::metadata(dir).map(|m| m.dev());
            let _ = dev.map(|dev| match made {
                true => sys::inroot::remove_tree(dir, dev),
                false => sys::inroot::empty_tree(dir, dev),
            });
        }
        done
    }

    fn fill(&self, plans: &[Plan], dir: &Path, stop: Stop) -> Result<()> {
        // In a thread of its own, as it gets a umask of its own.
        let work = || {
            let mut x = Extractor::new(dir, Shape::Flat, &Nothing, Rights::here())?;
            for plan in plans {
                self.read_layer(plan, stop, |pieces| x.layer(pieces))
                    .with_context(|| format!("unpack layer {}", plan.digest))?;
            }
            x.finish().map(drop)
        };
        std::thread::scope(|scope| {
            scope.spawn(work).join().map_err(|_| anyhow!("the unpacking thread panicked"))?
        })
    }
}
