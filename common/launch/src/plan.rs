//! The document as the steps that make pid 1: which namespaces, which mounts, which rights.

use crate::process::{given, keyring, process};
use crate::rdt::rdt;
use crate::spaces::Spaces;
use crate::{Look, root::root_file_system};
use anyhow::{Result, bail};
use doc::Doc;
use std::path::Path;
use step::{Act, Fault, Step};

/// Everything from the clone on. The steps before `Clone` are the parent's, the rest the child's.
pub fn init(doc: &Doc, look: &Look) -> Result<Vec<Step>> {
    doc.sense()?;
    let spaces = Spaces::of(doc, look)?;
    let mut steps = spaces.enter()?;
    steps.extend(rdt(doc, look)?.map(Step::parent));
    let mut acts: Vec<Act> = keyring(doc, look)?.into_iter().collect();
    acts.extend(names(doc, look)?);
    if spaces.makes("network") {
        acts.push(Act::LinkUp { name: "lo".into(), ns: None });
    }
    // Without a pid namespace the workload stays in the caller's session: job control goes on.
    if spaces.makes("pid") || doc.terminal() {
        acts.push(Act::Session {});
    }
    steps.extend(acts.into_iter().map(Step::child));
    let root = root_file_system(doc, look)?;
    steps.extend(root.make);
    steps.extend(net_devices(doc)?.into_iter().map(Step::parent));
    // Before the pivot, when all is mounted (runtime.md, Lifecycle): the container's own paths and the
    // host's can both be reached.
    steps.extend(hooks(doc, look, "prestart", "creating")?.into_iter().map(Step::parent));
    steps.extend(hooks(doc, look, "createRuntime", "creating")?.into_iter().map(Step::parent));
    // A hook may have moved in the device that a key of the network's is about.
    steps.extend(sysctls(doc)?.into_iter().map(Step::child));
    steps.extend(hooks(doc, look, "createContainer", "creating")?.into_iter().map(Step::child));
    steps.extend(root.close);
    steps.extend(given(doc)?);
    let mut acts = process(doc, look)?;
    let exec = acts.len().saturating_sub(1);
    let mut last = hooks(doc, look, "startContainer", "created")?;
    if let Some(Act::Exec { env: own, .. }) = acts.last() {
        for hook in &mut last {
            // The caller's variables have no business in the container.
            if let Act::Hook { env: env @ None, .. } = hook {
                *env = Some(own.clone());
            }
        }
    }
    acts.splice(exec..exec, last);
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
        // As runc: its own root lies before it.
        cwd: (kind == "createContainer").then(|| look.root.clone()),
        timeout: h.timeout,
        state: state.clone(),
    };
    Ok(doc.hooks(kind)?.into_iter().map(hook).collect())
}

/// The poststart hooks of a process that runs now, in order; the first failure is the answer
/// (runtime.md, Lifecycle: the container is to be stopped).
pub fn poststart(doc: &Doc, look: &Look, pid: i32) -> Result<()> {
    for act in hooks(doc, look, "poststart", "running")? {
        act.make_for(pid).map_err(|e| Fault::new(&act, e))?;
    }
    Ok(())
}

/// Host and domain name, in a uts namespace of the container's; where `ns` has pinned it, the host name
/// is set.
fn names(doc: &Doc, look: &Look) -> Result<Vec<Act>> {
    let namespaces = doc.namespaces()?;
    let text = |key: &str| doc.get(key).and_then(|v| v.as_str()).filter(|t| !t.is_empty());
    let Some(uts) = namespaces.iter().find(|n| n.kind == "uts") else { return Ok(Vec::new()) };
    let pin = look.host.roots.pin(&look.id, "uts");
    let pinned = uts.path.as_deref().map(Path::new) == Some(&pin);
    let mut acts = Vec::new();
    if let (false, Some(name)) = (pinned, text("/hostname")) {
        acts.push(Act::Hostname { name: name.into(), ns: None });
    }
    if let Some(name) = text("/domainname") {
        acts.push(Act::Domainname { name: name.into() });
    }
    Ok(acts)
}

/// As late as the hooks allow, which may look for them: a container that fails leaves them alone.
fn net_devices(doc: &Doc) -> Result<Vec<Act>> {
    let act = |d: doc::NetDevice| Act::NetDevice { device: d.device, name: d.name };
    Ok(doc.net_devices()?.into_iter().map(act).collect())
}

/// Written by the host's /proc, once the namespace is joined that each belongs to: another than the caller's.
fn sysctls(doc: &Doc) -> Result<Vec<Act>> {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| path.metadata().ok().map(|m| (m.dev(), m.ino()));
    for s in doc.sysctls()? {
        let joined = doc.namespaces()?.into_iter().find(|n| n.kind == s.kind).and_then(|n| n.path);
        let own = Path::new("/proc/self/ns").join(sys::ns::proc_name(s.kind));
        if let Some(path) = joined
            && identity(Path::new(&path)).is_some_and(|n| identity(&own) == Some(n))
        {
            bail!(
                "linux.sysctl: {}: the {} namespace {path} is not the container's, but the caller's",
                s.file,
                s.kind
            );
        }
    }
    let write = |s: doc::Sysctl| Act::Write { path: Path::new("/proc/sys").join(s.file), text: s.value };
    Ok(doc.sysctls()?.into_iter().map(write).collect())
}

/// An engine may be bound to some processors; its containers are bound by their cpuset alone.
pub(crate) fn every_processor(look: &Look) -> Option<Act> {
    look.host.every_hierarchy.then(|| Act::Affinity { cpus: (0..1024).collect() })
}

/// v1: the child writes itself into each; v2 was done by the clone, where it could be.
pub fn join_cgroups(look: &Look) -> impl Iterator<Item = Act> + '_ {
    let cloned = look.cloned_into();
    look.cgroups.iter().filter(move |d| Some(&d.path) != cloned.as_ref()).map(|d| Act::JoinCgroup {
        path: d.path.clone(),
        file: if d.v2 { "cgroup.procs" } else { "tasks" }.into(),
    })
}
