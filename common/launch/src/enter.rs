//! The steps that take a process into a running container.

use crate::{Look, plan, process, seccomp};
use anyhow::Result;
use doc::{Affinity, Doc};
use std::path::Path;
use step::{Act, Step};

/// What to enter, and as whom.
pub struct Enter {
    /// Pid 1 of the container, as the host sees it.
    pub pid: i32,
    /// Namespaces to join, by OCI kind.
    pub kinds: Vec<String>,
    /// Join the cgroup.
    pub cgroup: bool,
    /// Take the user, rights, directory and environment of the document; else only its command.
    pub as_container: bool,
    /// Processes of the container may trace others: see [`may_trace`].
    pub traced: bool,
}

/// The plan: the pid namespace by the parent (it holds for children only), the others by the
/// child, the mount namespace late, since it takes /proc away, and the user namespace when the rights
/// that the caller has outside are needed no more.
pub fn enter(doc: &Doc, look: &Look, what: &Enter) -> Result<Vec<Step>> {
    let able = look.host.is_able();
    let user = what.kinds.iter().any(|k| k == "user");
    // Who has no right outside gets it in the user namespace, and is in the pid namespace only after
    // a second clone.
    let again = user && (!able || look.foreign);
    let (pid, others): (Vec<String>, Vec<String>) =
        what.kinds.iter().cloned().partition(|k| k == "pid" && !again);
    let hides = what.as_container && what.traced;
    let late = !pid.is_empty() && !user && (hides || look.foreign);
    let pid = (!pid.is_empty()).then_some(Act::SetnsProcess { pid: what.pid, kinds: pid });
    let mut steps = vec![Step::parent(Act::Hide {})];
    let (before, within) = if late { (None, pid) } else { (pid, None) };
    steps.extend(before.map(Step::parent));
    let attach = look.v2().filter(|_| what.cgroup).and_then(|dir| attach(look, &dir.path));
    let attached = attach.is_some();
    let cgroup = if what.cgroup && !attached { look.cloned_into() } else { None };
    steps.push(Step::parent(Act::Clone { namespaces: Vec::new(), cgroup }));
    steps.extend(attach.map(Step::parent));
    let mut acts: Vec<Act> = within.into_iter().collect();
    let affinity = if what.as_container { doc.exec_affinity()? } else { Affinity::default() };
    let initial = affinity.initial.is_some();
    acts.extend(affinity.initial.map(|cpus| Act::Affinity { cpus }));
    if what.cgroup {
        let done = |a: &Act| attached && matches!(a, Act::JoinCgroup { file, .. } if file == "cgroup.procs");
        acts.extend(plan::join_cgroups(look).filter(|a| !done(a)));
    }
    let last = affinity.last.map(|cpus| Act::Affinity { cpus });
    acts.extend(last.or_else(|| if initial { None } else { plan::every_processor(look) }));
    if what.as_container {
        acts.extend(process::oom_score(doc)?);
    }
    let mut kinds = others;
    if again {
        // While /proc is the host's.
        kinds.retain(|k| k != "user");
        acts.push(Act::SetnsProcess { pid: what.pid, kinds: vec!["user".into()] });
        acts.push(Act::Root {});
    }
    kinds.sort_by_key(|kind| match kind.as_str() {
        "mount" => 1,
        "user" => 2,
        _ => 0,
    });
    if what.as_container && kinds.iter().any(|k| k == "mount") {
        acts.push(Act::NullStreams { root: format!("/proc/{}/root", what.pid).into() });
    }
    if !kinds.is_empty() {
        acts.push(Act::SetnsProcess { pid: what.pid, kinds });
    }
    if user && !again {
        acts.push(Act::Root {});
    }
    if again {
        acts.push(Act::Clone { namespaces: Vec::new(), cgroup: None });
    }
    if what.as_container {
        acts.extend(process::keyring(doc, look)?);
    }
    if !late && (doc.terminal() || what.as_container) {
        acts.push(Act::Session {});
    }
    acts.extend(process::terminal(doc, Path::new("/"))?);
    steps.extend(acts.into_iter().map(Step::child));
    steps.extend(process::given(doc)?);
    let mut acts = process::process(doc, look)?;
    seccomp::entered(&mut acts, what.pid);
    if late {
        appear(&mut acts, doc, what.as_container);
    }
    steps.extend(acts.into_iter().map(Step::child));
    Ok(steps)
}

/// Into a unit's cgroup by its manager, or into one below it.
fn attach(look: &Look, dir: &Path) -> Option<Act> {
    let Some(Act::Attach { name, user, cgroup, .. }) = &look.attach else { return None };
    let below = dir.strip_prefix(cgroup).ok()?;
    let below = if below.as_os_str().is_empty() { String::new() } else { format!("/{}", below.display()) };
    Some(Act::Attach { name: name.clone(), user: *user, cgroup: cgroup.clone(), below })
}

/// Whether processes of a container, by its document, may trace others (CAP_SYS_PTRACE): being hidden
/// keeps nobody out who has that right. Where the document takes no right away, there is nothing to gain.
pub fn may_trace(doc: &Doc) -> Result<bool> {
    let Some(caps) = doc.capabilities()? else { return Ok(false) };
    Ok([caps.bounding, caps.permitted, caps.inheritable].iter().flatten().any(|c| c == "CAP_SYS_PTRACE"))
}

/// The process that the container's can see is made when the rights are the container's: until then
/// the one that enters is in the host's pid namespace, where they cannot find it.
fn appear(acts: &mut Vec<Act>, doc: &Doc, session: bool) {
    let at = acts.iter().position(|a| matches!(a, Act::Caps { .. })).map_or(acts.len() - 1, |n| n + 1);
    let mut new = vec![Act::Clone { namespaces: Vec::new(), cgroup: None }];
    new.extend(session.then_some(Act::Session {}));
    if doc.terminal() {
        new.push(Act::Control {});
    }
    acts.splice(at..at, new);
}
