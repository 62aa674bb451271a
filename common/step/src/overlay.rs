//! The root as layers under a directory that takes what is written (overlayfs).

use crate::{Done, Fail, IdMap, denied};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use sys::Errno;
use sys::inroot::fd_path;
use sys::mount::{self, Overlay, Tree};

type Result<T = ()> = std::result::Result<T, Fail>;

/// How it is mounted.
pub(crate) struct How<'a> {
    pub volatile: bool,
    pub userxattr: bool,
    pub idmap: Option<&'a IdMap>,
}

/// Post-condition: an overlay is mounted at `at`; one that is there already stays.
pub(crate) fn mount(lower: &[PathBuf], upper: &Path, work: &Path, at: &Path, how: &How) -> Result<Done> {
    if mount::is_mount(at)? == Some(mount::OVERLAY) {
        return Ok(Done::WasSo);
    }
    if let (Some(top), false) = (lower.first(), work.join("work").exists()) {
        like(upper, top, how.idmap).map_err(|e| missing(lower, e))?;
    }
    let trees = how.idmap.map(|map| mapped(lower, map)).transpose()?;
    // The paths of the mapped ones hold as long as their handles.
    let paths: Vec<PathBuf> = trees.iter().flatten().map(fd_path).collect();
    let seen = if trees.is_some() { &paths[..] } else { lower };
    let (volatile, userxattr) = (how.volatile, how.userxattr);
    let overlay = Overlay { lower: seen, upper: Some((upper, work)), volatile, userxattr };
    overlay.mount(at).map_err(|e| missing(lower, e.into()))?;
    Ok(Done::Made)
}

/// The layers as mounts of their own, detached, with their ids mapped.
fn mapped(lower: &[PathBuf], map: &IdMap) -> Result<Vec<Tree>> {
    let because = |errno: Errno, why: String| Fail { errno, why: Some(why), status: None };
    let namespace = match &map.userns {
        Some(path) => fs::File::open(path)?.into(),
        None => mount::namespace(&map.uids, &map.gids).map_err(|e| {
            let why = denied::why(e).why;
            because(e, why.unwrap_or_else(|| format!("make its id map: {e}")))
        })?,
    };
    let one = |dir: &PathBuf| {
        let tree = Tree::of_path(dir, false, false)?;
        tree.map_ids(&namespace, false).map_err(|e| match e {
            Errno(sys::EINVAL) => {
                because(e, format!("the file system of {} takes no id map (idmapped mounts)", dir.display()))
            }
            e => e.into(),
        })?;
        Ok(tree)
    };
    lower.iter().map(one).collect::<Result<Vec<Tree>>>().map_err(|e| missing(lower, e))
}

/// The kernel does not say which of the directories it could not find.
fn missing(lower: &[PathBuf], fail: Fail) -> Fail {
    let gone = lower.iter().find(|d| !d.is_dir()).filter(|_| fail.errno == Errno(sys::ENOENT));
    let why = gone.map(|d| format!("its layer {} is not there", d.display()));
    Fail { why: why.or(fail.why), ..fail }
}

/// The upper directory is the root that is seen: it has the owner and mode of the topmost layer.
fn like(upper: &Path, top: &Path, idmap: Option<&IdMap>) -> Result {
    let meta = fs::metadata(top)?;
    let outside = |id: u32, rows: &[[u32; 3]]| {
        let row = rows.iter().find(|[inside, _, count]| id >= *inside && id - inside < *count);
        row.map_or(id, |[inside, first, _]| first + (id - inside))
    };
    let (uid, gid) = match idmap {
        Some(map) => (outside(meta.uid(), &map.uids), outside(meta.gid(), &map.gids)),
        None => (meta.uid(), meta.gid()),
    };
    match chown(upper, Some(uid), Some(gid)) {
        // In a user namespace an owner that has no id there cannot be told.
        Err(e) if sys::ns::in_user_namespace() && e.kind() == std::io::ErrorKind::InvalidInput => {}
        other => other?,
    }
    Ok(fs::set_permissions(upper, fs::Permissions::from_mode(meta.mode() & 0o7777))?)
}
