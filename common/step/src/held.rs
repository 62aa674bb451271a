//! A tree of mounts that somebody with more rights took, until the step that needs it is done.

use std::cell::RefCell;
use std::os::fd::OwnedFd;

thread_local! {
    static HELD: RefCell<Option<(String, OwnedFd)>> = const { RefCell::new(None) };
}

/// Keeps one for the next mount of `source`; one that nobody took is closed.
pub fn hold(source: &str, tree: OwnedFd) {
    HELD.set(Some((source.to_owned(), tree)));
}

/// What is held, for its sender.
pub fn release() -> Option<OwnedFd> {
    HELD.take().map(|(_, tree)| tree)
}

/// What is held for the mount of `source`.
pub(crate) fn take(source: &str) -> Option<OwnedFd> {
    HELD.take().filter(|(name, _)| name == source).map(|(_, tree)| tree)
}
