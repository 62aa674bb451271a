//! The container's own directory: how it comes to be, and how all that its id names is taken away.

use anyhow::{Context, Result, bail};
use doc::Doc;
use state::{Host, Place, Record, Roots};
use std::fs;
use std::path::PathBuf;
use step::{Act, IdMap, Step};

/// Gives the document an id where it has none. Whether it was given now.
pub fn identify(doc: &mut Doc) -> Result<bool> {
    if doc.id()?.is_some() {
        return Ok(false);
    }
    let id = state::new_id()?;
    doc.set_stave("id", id.clone())?;
    doc.set_stave("created", state::now())?;
    doc.set_default("/linux/cgroupsPath", Roots::cgroup(&id))?;
    Ok(true)
}

/// The steps that make the bundle as the document says: directory, name, config.json. Where the
/// file holds just this already, there is none for it.
pub fn steps(doc: &Doc, host: &Host, sync: bool) -> Result<Vec<Step>> {
    let id = doc.id()?.context("the document has no id")?;
    let bundle = host.roots.bundle(id);
    let mut acts = Vec::new();
    if !bundle.is_dir() {
        acts.push(Act::Bundle { path: bundle.clone(), ids: None });
        for (dir, mode) in [("rootfs", 0o755), ("upper", 0o755), ("work", 0o700)] {
            acts.push(Act::Mkdir { path: bundle.join(dir), mode });
        }
    }
    if let Some(name) = doc.name()? {
        let link = host.roots.name(name);
        if fs::read_link(&link).ok().as_deref() != Some(Roots::name_target(id).as_ref()) {
            acts.push(Act::Name { link, target: Roots::name_target(id) });
        }
    }
    let (path, text) = (bundle.join("config.json"), doc.line() + "\n");
    let former = fs::read_to_string(&path).ok();
    if former.as_deref() != Some(text.as_str()) {
        acts.push(Act::Save { path, text, former, sync });
    }
    Ok(acts.into_iter().map(Step::parent).collect())
}

/// Holds a container that is about to be started. Post-condition: it does not run, and may; its limits are held
/// by a cgroup, where there are any.
pub fn hold(verb: &str, id: &str, doc: &Doc, host: &Host) -> Result<fs::File> {
    let lock = state::lock(&host.roots, id)?;
    if let Some(pid) = Record::read(&host.roots, id).ok().flatten().and_then(|r| r.running()) {
        bail!("{verb} {id}: it runs already, as process {pid}");
    }
    if host.is_frozen(&state::cgroup(id, doc)) {
        bail!("{verb} {id}: its cgroup is paused (stave resume {id})");
    }
    if let Some((controller, at)) = unheld(id, doc, host)? {
        let at = at.display();
        bail!("{verb} {id}: its document limits {controller}, but there is no {at} (stave limit {id})");
    }
    Ok(lock)
}

/// A controller that the document has limits of, and the cgroup that would hold them and is not there: nobody made
/// it, or it went with the machine's last boot. Rules for devices are no limit, and what they would keep out is
/// kept out otherwise then; a unit's cgroup is made with its first process.
fn unheld(id: &str, doc: &Doc, host: &Host) -> Result<Option<(String, PathBuf)>> {
    let place = Place::of(doc, id)?;
    let asked = doc.resources()?.controllers();
    if place.unit.is_some() || asked.is_empty() {
        return Ok(None);
    }
    let dirs = host.cgroup_dirs(&place.path, &asked);
    let of = |c: &String| {
        let v1 = if c == "io" { "blkio" } else { c };
        dirs.iter().find(|d| d.controllers.iter().any(|x| x == c || x == v1))
    };
    let gone = asked.iter().filter_map(|c| of(c).map(|d| (c, d))).find(|(_, d)| !d.path.is_dir());
    Ok(gone.map(|(c, d)| (c.clone(), d.path.clone())))
}

/// All that a container may have left, as steps to undo; computed from its id, and from its
/// document where that can be read, so it works after a crash at any line.
pub fn everything(id: &str, doc: Option<&Doc>, host: &Host) -> Vec<Step> {
    let roots = &host.roots;
    let bundle = roots.bundle(id);
    let mut acts = vec![Act::Bundle { path: bundle.clone(), ids: doc.and_then(|d| ids(d, host)) }];
    // Also names that the document has no more.
    let names = state::names_of(roots, id).into_iter();
    acts.extend(names.map(|link| Act::Name { link, target: Roots::name_target(id) }));
    acts.push(Act::Bundle { path: roots.run_of(id), ids: None });
    for kind in ["network", "uts", "ipc"] {
        acts.push(Act::Pin { kind: kind.into(), at: roots.pin(id, kind) });
    }
    acts.push(Act::Overlay {
        lower: Vec::new(),
        upper: bundle.join("upper"),
        work: bundle.join("work"),
        at: bundle.join("rootfs"),
        volatile: false,
        userxattr: false,
        idmap: None,
    });
    let own = Roots::cgroup(id);
    let given = doc.and_then(|d| Place::of(d, id).ok()).unwrap_or_else(|| Place::dir(own.clone()));
    // A cgroup is the container's where it is named by its id. Any other may hold processes that
    // are not: it goes only when it is empty.
    let shared = !given.is_own(id);
    let mut members = Vec::new();
    let unit = limits::unit(host, &given);
    let kept = |unit: &Act| match unit {
        Act::Unit { cgroup, .. } => Some(cgroup.clone()),
        _ => None,
    };
    let kept = unit.as_ref().and_then(kept);
    if let (Some(unit), Some(kept)) = (unit, &kept)
        && (!shared || sys::cgroup::all_procs(kept).is_empty())
    {
        acts.push(unit);
    }
    // Where it would be had nobody said where: nothing but a stage before may have made it.
    if given.path != own {
        let dirs = host.cgroup_dirs(&own, &[]).into_iter().filter(|d| d.path.is_dir());
        acts.extend(dirs.map(|d| Act::Cgroup { path: d.path, shared: true }));
    }
    // In every hierarchy: which of them it asked for is known only where its document can be read.
    let every = Host { every_hierarchy: true, ..host.clone() };
    for dir in every.cgroup_dirs(&given.path, &[]) {
        if given.path == own {
            let above = dir.path.parent().unwrap_or(&dir.path).to_owned();
            acts.push(Act::Cgroup { path: above, shared: true });
        }
        if kept.as_ref() != Some(&dir.path) {
            acts.push(Act::Cgroup { path: dir.path.clone(), shared });
        }
        if !shared {
            members.push(Act::Members { cgroup: dir.path });
        }
    }
    // Undone first: a container without a pid namespace has more processes than pid 1.
    acts.into_iter().chain(members).map(Step::parent).collect()
}

/// The ids that an ordinary user's container may have written with.
fn ids(doc: &Doc, host: &Host) -> Option<IdMap> {
    let (uids, gids) = doc.id_maps().ok().filter(|(uids, _)| uids.len() > 1 && !host.is_able())?;
    let rows = |list: Vec<doc::IdMapping>| list.iter().map(|m| [m.inside, m.outside, m.size]).collect();
    Some(IdMap { uids: rows(uids), gids: rows(gids), userns: None })
}

/// Takes a container away with all that it left. Everything gone already is fine.
pub fn remove(id: &str, host: &Host) -> Result<()> {
    let doc = state::read(&host.roots, id).ok();
    let hooks = doc.as_ref().map_or(Vec::new(), |d| poststop(d, id, host));
    if let Some(place) = doc.as_ref().and_then(|d| Place::of(d, id).ok()).filter(|p| p.is_own(id)) {
        // Whoever is in it still could not end; what cannot be thawed is said by the step that ends it.
        let _ = crate::freezer::thaw(host, &place.path);
    }
    crate::undo_all(&everything(id, doc.as_ref(), host))?;
    for hook in hooks {
        if let Err(e) = hook.make_for(0) {
            crate::say("rm", &format!("warning: {}: {e}", hook.what()));
        }
    }
    Ok(())
}

/// As [`remove`], when nobody changes it any more: whoever waits for it finds it gone, and makes nothing of
/// it again.
pub fn remove_alone(id: &str, host: &Host) -> Result<()> {
    let _lock = state::lock(&host.roots, id).ok();
    remove(id, host)
}

/// What is to be told that the container is gone (config.md, Poststop); its failure is a warning.
fn poststop(doc: &Doc, id: &str, host: &Host) -> Vec<Act> {
    let state = doc.state(id, "stopped", &host.roots.bundle(id).to_string_lossy());
    let hook = |h: doc::Hook| Act::Hook {
        kind: "poststop".into(),
        path: h.path.into(),
        args: h.args,
        env: h.env,
        cwd: None,
        timeout: h.timeout,
        state: state.clone(),
    };
    doc.hooks("poststop").unwrap_or_default().into_iter().map(hook).collect()
}
