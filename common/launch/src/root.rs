//! The root file system: how it becomes a mount of its own, what is mounted in it, what is hidden and
//! what can only be read, and the exchange of roots.

mod dev;
mod mounts;

use crate::{Look, process};
use anyhow::{Result, bail};
use doc::Doc;
use std::path::Path;
use step::{Act, Step};

/// From the host's tree to the container's, in two parts: between them both can be reached, by hooks.
pub(crate) struct RootFs {
    /// Everything is mounted and made.
    pub make: Vec<Step>,
    /// It is closed: paths hidden or read-only, the other root gone.
    pub close: Vec<Step>,
}

/// Of a document. Without a mount namespace of its own what is mounted stays mounted on the host.
pub(crate) fn root_file_system(doc: &Doc, look: &Look) -> Result<RootFs> {
    let namespaces = doc.namespaces()?;
    let own_tree = namespaces.iter().any(|n| n.kind == "mount");
    let own_root = look.root != Path::new("/");
    let hidden = doc.strings("/linux/maskedPaths")?;
    let readonly = doc.strings("/linux/readonlyPaths")?;
    if !own_tree {
        if !hidden.is_empty() || !readonly.is_empty() {
            bail!("maskedPaths, readonlyPaths: unable to restrict them without a private mount namespace");
        }
        if !own_root && !doc.mounts()?.is_empty() {
            bail!("mounts: the container has neither a root nor a mount namespace of its own");
        }
        if !own_root {
            let terminal = process::terminal(doc, Path::new("/"))?;
            return Ok(RootFs { make: terminal.into_iter().map(Step::child).collect(), close: Vec::new() });
        }
    }
    let root = &look.root;
    let how = propagation(doc)?;
    let mut make: Vec<Step> = if own_tree { top(doc, look, how)? } else { Vec::new() };
    if !own_tree && !look.mounted {
        make.push(Step::child(Act::BindSelf { path: root.clone() }));
    }
    let mut late = Vec::new();
    make.extend(mounts::all(doc, look, &mut late)?);

    let mut close = late;
    close.extend(readonly.into_iter().map(|p| Act::Readonly { root: root.clone(), path: p.into() }));
    let mut seen = std::collections::HashSet::new();
    for path in hidden.into_iter().map(std::path::PathBuf::from) {
        if seen.insert(path.components().collect::<std::path::PathBuf>()) {
            close.push(Act::Mask { root: root.clone(), path });
        }
    }
    if own_root {
        if doc.root_readonly() {
            // Later it could not be made any more.
            if doc.cwd() != "/" {
                close.push(Act::Dir { root: root.clone(), path: doc.cwd().into() });
            }
            close.push(Act::Readonly { root: root.clone(), path: "/".into() });
        }
        close.push(Act::NullStreams { root: root.clone() });
        let other = match (own_tree, look.no_pivot) {
            (false, _) => Some("chroot".into()),
            (true, true) => Some("move".into()),
            (true, false) => None,
        };
        close.push(Act::PivotRoot { root: root.clone(), how: other });
    }
    // A root that is shared cannot be pivoted to.
    if own_tree && matches!(how, "shared" | "rshared" | "unbindable" | "runbindable") {
        close.push(Act::Propagate { at: "/".into(), how: how.into() });
    }
    Ok(RootFs { make, close: close.into_iter().map(Step::child).collect() })
}

/// `linux.rootfsPropagation`.
fn propagation(doc: &Doc) -> Result<&str> {
    let how = doc.get("/linux/rootfsPropagation").and_then(|v| v.as_str()).filter(|w| !w.is_empty());
    let how = how.unwrap_or("rslave");
    if sys::mount::propagation(how).is_none() {
        bail!("linux.rootfsPropagation: {how} is none of shared, slave, private, unbindable");
    }
    Ok(how)
}

/// The root as a mount that pivot_root(2) takes, in a tree from which nothing comes out that is not
/// meant to.
fn top(doc: &Doc, look: &Look, how: &str) -> Result<Vec<Step>> {
    let root = &look.root;
    // Of an unbindable mount nothing could be bound into the container.
    let at_first = how.replace("unbindable", "private");
    let mut acts = vec![Step::child(Act::Propagate { at: "/".into(), how: at_first })];
    if root == Path::new("/") {
        return Ok(acts);
    }
    let user = doc.namespaces()?.iter().any(|n| n.kind == "user");
    // Other mounts stay shared, so that a volume can be: but not the one that the root lies on.
    let open = how != "rslave";
    // Where no stage could leave the root mounted, it is mounted here, for this process alone.
    let overlay = look.overlay.as_ref().filter(|_| !look.mounted);
    if overlay.is_some() && doc.stave_flag("host") && !look.host.is_able() {
        bail!("--host: an ordinary user cannot have the machine's own root as a layer");
    }
    if let Some(overlay) = overlay {
        // Root's layers are marked by attributes that a user namespace does not show.
        acts.push(match (user, look.host.is_able()) {
            (true, true) => Step::parent(overlay.clone()),
            (_, able) => Step::child(in_user_namespace(overlay, !able)),
        });
    }
    if open {
        let how = if how == "slave" { "slave" } else { "private" };
        acts.push(Step::child(Act::PropagateHolder { of: root.clone(), how: how.into() }));
    }
    // A mount that came along into a user namespace is locked in its place.
    if open || user || (!look.mounted && overlay.is_none()) {
        acts.push(Step::child(Act::BindSelf { path: root.clone() }));
    }
    Ok(acts)
}

fn in_user_namespace(overlay: &Act, yes: bool) -> Act {
    let mut overlay = overlay.clone();
    if let Act::Overlay { userxattr, .. } = &mut overlay {
        *userxattr = yes;
    }
    overlay
}
