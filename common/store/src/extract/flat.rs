//! Whiteouts in a tree in which all layers lie one over the other: what lower layers had is
//! removed, what the layer itself has stays (image-spec layer.md).

use anyhow::Result;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use sys::extract::{self as make, Tree};

/// What one layer has made: eight bytes a path, hashed with a key that no archive knows.
#[derive(Default)]
pub(super) struct Own {
    key: RandomState,
    made: HashSet<u64>,
    /// Directories with something made in them, however deep.
    holds: HashSet<u64>,
    last: Option<u64>,
}

impl Own {
    fn hash<'a>(&self, names: impl Iterator<Item = &'a OsStr>) -> u64 {
        self.key.hash_one(names.collect::<PathBuf>())
    }

    /// Something was made in the directory that these names lead to.
    pub(super) fn note(&mut self, names: &[OsString], name: &OsStr) {
        let of = |n: usize| names[..n].iter().map(OsString::as_os_str);
        self.made.insert(self.hash(of(names.len()).chain([name])));
        let dir = self.hash(of(names.len()));
        if self.last == Some(dir) {
            return;
        }
        self.last = Some(dir);
        for n in (0..=names.len()).rev() {
            if !self.holds.insert(self.hash(of(n))) {
                break;
            }
        }
    }

    /// A layer ends.
    pub(super) fn forget(&mut self) {
        *self = Own::default();
    }

    fn is_made(&self, path: &Path) -> bool {
        self.made.contains(&self.hash(path.iter()))
    }

    fn is_held(&self, path: &Path) -> bool {
        self.holds.contains(&self.hash(path.iter()))
    }
}

/// Removes what a lower layer has at a name, where `tree` is. Gives the paths that went.
pub(super) fn hide(own: &Own, tree: &mut Tree, name: &OsStr) -> Result<Vec<PathBuf>> {
    let path: PathBuf = tree.names().iter().map(OsString::as_os_str).chain([name]).collect();
    let Some(stat) = make::stat(tree.here()?, name)? else { return Ok(Vec::new()) };
    if !own.is_made(&path) && !own.is_held(&path) {
        tree.remove(name)?;
        return Ok(vec![path]);
    }
    if stat.is_dir() {
        tree.down(name)?;
        return empty(own, tree);
    }
    Ok(Vec::new())
}

/// Removes what lower layers have in the directory where `tree` is, and in those of its
/// directories that the layer shares with them.
pub(super) fn empty(own: &Own, tree: &mut Tree) -> Result<Vec<PathBuf>> {
    let top = tree.names().len();
    let mut gone = Vec::new();
    let mut todo: Vec<Vec<OsString>> = vec![tree.names().to_vec()];
    while let Some(names) = todo.pop() {
        let common = tree.names().iter().zip(&names).take_while(|(a, b)| a == b).count();
        tree.up_to(common.max(top))?;
        for name in &names[tree.names().len()..] {
            tree.down(name)?;
        }
        for name in make::list(tree.here()?)? {
            let path: PathBuf = names.iter().chain([&name]).collect();
            if !own.is_made(&path) && !own.is_held(&path) {
                tree.remove(&name)?;
                gone.push(path);
            } else if make::stat(tree.here()?, &name)?.is_some_and(|s| s.is_dir()) {
                todo.push(names.iter().cloned().chain([name]).collect());
            }
        }
    }
    tree.up_to(top)?;
    Ok(gone)
}
