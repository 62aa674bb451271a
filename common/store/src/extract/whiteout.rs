//! What a layer hides of those below it.

use super::{Extractor, Shape, flat};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::Errno;
use sys::extract::{self as make, Node};

/// What a name beginning with `.wh.` means.
#[derive(Debug, PartialEq)]
pub(super) enum Whiteout<'a> {
    Hides(&'a OsStr),
    Opaque,
    /// aufs' own bookkeeping.
    Aufs,
}

pub(super) fn whiteout(name: &OsStr) -> Result<Option<Whiteout<'_>>> {
    let Some(rest) = name.as_bytes().strip_prefix(b".wh.") else { return Ok(None) };
    Ok(Some(match rest {
        b".wh..opq" => Whiteout::Opaque,
        b"" | b"." | b".." => bail!("a whiteout of no name"),
        rest if rest.starts_with(b".wh.") => Whiteout::Aufs,
        rest => Whiteout::Hides(OsStr::from_bytes(rest)),
    }))
}

impl Extractor<'_> {
    /// What lower layers have at the name is hidden. What this layer itself has there stays
    /// (layer.md: whiteouts concern lower layers only), but a directory no longer shows a lower one.
    pub(super) fn hide(&mut self, parent: &Path, name: &OsStr) -> Result<()> {
        if !self.reach(parent)? {
            return Ok(());
        }
        if self.shape == Shape::Flat {
            for path in flat::hide(&self.own, &mut self.tree, name)? {
                self.gone(&path);
            }
            return Ok(());
        }
        match make::stat(self.tree.here()?, name)? {
            None => Ok(make::make(self.tree.changing()?, name, Node::Char(0, 0), 0)?),
            Some(s) if s.is_dir() => self.mark_opaque(name),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn opaque(&mut self, dir: &Path) -> Result<()> {
        if !self.reach(dir)? {
            return Ok(());
        }
        if self.shape == Shape::Flat {
            for path in flat::empty(&self.own, &mut self.tree)? {
                self.gone(&path);
            }
            return Ok(());
        }
        self.mark_opaque(OsStr::new("."))
    }

    /// Goes to where a whiteout is. umoci writes whiteouts for all that was in a directory which
    /// became a file: that hides them already, and there is no way there.
    fn reach(&mut self, dir: &Path) -> Result<bool> {
        match self.enter(dir) {
            Err(e) if e.downcast_ref() == Some(&Errno(sys::ENOTDIR)) => Ok(false),
            other => other.map(|()| true),
        }
    }

    pub(super) fn mark_opaque(&mut self, name: &OsStr) -> Result<()> {
        let key = self.rights.opaque();
        make::set_xattr(self.tree.here()?, name, OsStr::new(key), b"y").with_context(|| format!("set {key}"))
    }
}
