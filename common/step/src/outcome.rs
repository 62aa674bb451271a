//! What doing steps comes to, and who looks on.

use crate::Act;
use std::fmt;
use sys::Errno;

/// What doing a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was made now, so a rollback takes it away.
    Made,
    /// It was so already.
    WasSo,
}

/// Why a step could not be done: the kernel's answer, or better words where we know them.
#[derive(Clone, Debug, PartialEq)]
pub struct Fail {
    /// The kernel's answer.
    pub errno: Errno,
    /// Better words.
    pub why: Option<String>,
    /// The exit status that is due where it is not the usual one (126, 127).
    pub status: Option<u8>,
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.why {
            Some(why) => f.write_str(why),
            None => self.errno.fmt(f),
        }
    }
}

impl std::error::Error for Fail {}

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Fail {
        Fail { errno, why: None, status: None }
    }
}

impl From<std::io::Error> for Fail {
    fn from(e: std::io::Error) -> Fail {
        Errno::from(e).into()
    }
}

/// A step that could not be done: what was tried, and the kernel's answer.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What was tried.
    pub act: Box<Act>,
    /// Why it could not be done.
    pub fail: Fail,
}

impl Fault {
    /// Of an act and its failure.
    pub fn new(act: &Act, fail: Fail) -> Fault {
        Fault { act: Box::new(act.clone()), fail }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (&*self.act, &self.fail.why) {
            // Which of several files it was, the failure says.
            (Act::Limit { set, .. }, Some(why)) if set.len() > 1 => f.write_str(why),
            _ => write!(f, "{}: {}", self.act.what(), self.fail),
        }
    }
}

impl std::error::Error for Fault {}

/// Whoever looked on said quit, or a signal did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stopped {
    /// The signal's number, where it was one.
    pub signal: Option<i32>,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}

/// Looks over the shoulder of whoever does steps, on either side: `--trace` and `--step`.
pub trait Watch {
    /// Asked before each step; `n` counts from 0.
    fn before(&mut self, n: usize, act: &Act) -> Next;
    /// Told after it.
    fn after(&mut self, n: usize, act: &Act, result: &std::result::Result<Done, Fail>);
}

/// What to do with the step that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Do it.
    Go,
    /// Go on without it.
    Skip,
    /// Undo the one before, and ask again from there.
    Back,
    /// Stop: everything done so far is undone.
    Quit,
}
