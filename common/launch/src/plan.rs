//! The document as the steps that make pid 1: which namespaces, which mounts, which rights.

use crate::{Look, process::process, root::root_file_system};
use anyhow::{Result, bail};
use doc::{Doc, Namespace};
use std::collections::BTreeMap;
use std::path::Path;
use step::{Act, Step};

/// Everything from the clone on. The steps before `Clone` are the parent's, the rest the child's.
pub fn init(doc: &Doc, look: &Look) -> Result<Vec<Step>> {
    let namespaces = doc.namespaces()?;
    let new = |kind: &str| namespaces.iter().any(|n| n.kind == kind && n.path.is_none());
    let mut steps = Vec::new();

    for n in namespaces.iter().filter(|n| n.kind == "pid") {
        if let Some(path) = &n.path {
            steps.push(Step::parent(Act::Hide {}));
            steps.push(Step::parent(Act::Setns { kind: "pid".into(), path: path.into() }));
        }
    }
    // The cgroup namespace waits until the child is in its cgroups: its root is where they are then.
    let cloned = namespaces.iter().filter(|n| n.path.is_none() && n.kind != "cgroup");
    steps.push(Step::parent(Act::Clone {
        namespaces: cloned.map(|n| n.kind.clone()).collect(),
        cgroup: look.cgroups.iter().find(|d| d.v2).map(|d| d.path.clone()),
    }));

    let mut acts = Vec::new();
    if doc.stave_flag("dieWithParent") {
        acts.push(Act::DieWithParent {});
    }
    acts.extend(join_cgroups(look));
    if new("cgroup") {
        acts.push(Act::Unshare { kind: "cgroup".into() });
    }
    for n in namespaces.iter().filter(|n| n.kind != "pid") {
        if let Some(path) = &n.path {
            acts.push(Act::Setns { kind: n.kind.clone(), path: path.into() });
        }
    }
    if let (true, Some(name)) = (new("uts"), doc.get("/hostname").and_then(|h| h.as_str())) {
        acts.push(Act::Hostname { name: name.into(), ns: None });
    }
    if new("network") {
        acts.push(Act::LinkUp { name: "lo".into(), ns: None });
    }
    acts.extend(sysctls(doc, &namespaces)?);
    if let Some(score) = doc.read::<i64>("/process/oomScoreAdj")? {
        acts.push(Act::Write { path: "/proc/self/oom_score_adj".into(), text: score.to_string() });
    }
    // Without a pid namespace the workload stays in the caller's session: job control goes on.
    if new("pid") || doc.terminal() {
        acts.push(Act::Session {});
    }
    if new("mount") {
        acts.extend(root_file_system(doc, look)?);
    } else if doc.terminal() {
        acts.push(Act::Terminal { root: "/".into() });
    }
    // Before the pivot, when all is mounted (runtime.md, Lifecycle): the container's own paths and the
    // host's can both be reached.
    let pivot = acts.iter().position(|a| matches!(a, Act::PivotRoot { .. })).unwrap_or(acts.len());
    let rest = acts.split_off(pivot);
    steps.extend(acts.into_iter().map(Step::child));
    steps.extend(hooks(doc, look, "prestart", "creating")?.into_iter().map(Step::parent));
    steps.extend(hooks(doc, look, "createRuntime", "creating")?.into_iter().map(Step::parent));
    steps.extend(hooks(doc, look, "createContainer", "creating")?.into_iter().map(Step::child));
    steps.extend(rest.into_iter().map(Step::child));
    let mut acts = process(doc, look)?;
    let exec = acts.len().saturating_sub(1);
    acts.splice(exec..exec, hooks(doc, look, "startContainer", "created")?);
    steps.extend(acts.into_iter().map(Step::child));
    Ok(steps)
}

/// As [`init`], for a process that is made now and started later: it waits before the last of its
/// steps, when all that can be known to fail has not.
pub fn create(doc: &Doc, look: &Look) -> Result<Vec<Step>> {
    let mut steps = init(doc, look)?;
    let late = |a: &Act| {
        matches!(a, Act::Exec { .. }) || matches!(a, Act::Hook { kind, .. } if kind == "startContainer")
    };
    let at = steps.iter().position(|s| late(&s.act)).unwrap_or(steps.len());
    let mut acts = Vec::new();
    if let Some(Act::Exec { args, env, .. }) = steps.last().map(|s| &s.act) {
        acts.push(Act::LookUp { args: args.clone(), env: env.clone() });
    }
    acts.push(Act::Wait {});
    steps.splice(at..at, acts.into_iter().map(Step::child));
    Ok(steps)
}

/// The hooks of a kind, with the state that they are told; whoever does them knows the pid.
pub fn hooks(doc: &Doc, look: &Look, kind: &str, status: &str) -> Result<Vec<Act>> {
    let state = doc.state(&look.id, status, &look.bundle.to_string_lossy());
    let hook = |h: doc::Hook| Act::Hook {
        kind: kind.to_owned(),
        path: h.path.into(),
        args: h.args,
        env: h.env,
        timeout: h.timeout,
        state: state.clone(),
    };
    Ok(doc.hooks(kind)?.into_iter().map(hook).collect())
}

/// What in a document is passed over when its process is started (config.md, capabilities: a value
/// that cannot be mapped is a warning).
pub fn warnings(doc: &Doc) -> Result<Vec<String>> {
    let caps = doc.capabilities()?.unwrap_or_default();
    let all = [caps.bounding, caps.effective, caps.permitted, caps.inheritable, caps.ambient].concat();
    let mut unknown: Vec<String> =
        all.into_iter().filter(|c| !sys::cred::CAPABILITIES.contains(&c.as_str())).collect();
    unknown.sort();
    unknown.dedup();
    Ok(unknown.into_iter().map(|c| format!("warning: there is no capability {c}")).collect())
}

/// Keys of the kernel's that belong to a namespace of the container's, written by the host's /proc
/// once that is joined. Any other is the machine's.
fn sysctls(doc: &Doc, namespaces: &[Namespace]) -> Result<Vec<Act>> {
    const IPC: [&str; 9] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.msg_next_id",
    ];
    let list: BTreeMap<String, String> = doc.read("/linux/sysctl")?.unwrap_or_default();
    let mut acts = Vec::new();
    for (key, value) in list {
        let dotted = key.replace('/', ".");
        let kind = match dotted.as_str() {
            k if k.starts_with("net.") => "network",
            k if k.starts_with("fs.mqueue.") || IPC.contains(&k) => "ipc",
            "kernel.domainname" | "kernel.hostname" => "uts",
            _ => bail!("sysctl {key}: it belongs to the machine, not to a namespace"),
        };
        if !namespaces.iter().any(|n| n.kind == kind) {
            bail!("sysctl {key}: the container has no {kind} namespace of its own");
        }
        // Where a dot belongs to a name (an interface's), the key is given with slashes.
        let path = if key.contains('/') { key } else { key.replace('.', "/") };
        acts.push(Act::Write { path: Path::new("/proc/sys").join(path), text: value });
    }
    Ok(acts)
}

/// v1: the child writes itself into each; v2 was done by the clone.
pub fn join_cgroups(look: &Look) -> impl Iterator<Item = Act> + '_ {
    look.cgroups
        .iter()
        .filter(|d| !d.v2)
        .map(|d| Act::JoinCgroup { path: d.path.clone(), file: "tasks".into() })
}
