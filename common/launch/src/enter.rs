//! The steps that take a process into a running container.

use crate::{Look, plan, process};
use anyhow::Result;
use doc::{Affinity, Doc};
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
}

/// The plan: the pid namespace by the parent (it holds for children only), the others by the
/// child, the mount namespace last, since it takes /proc away.
pub fn enter(doc: &Doc, look: &Look, what: &Enter) -> Result<Vec<Step>> {
    let (pid, others): (Vec<String>, Vec<String>) = what.kinds.iter().cloned().partition(|k| k == "pid");
    let mut steps = vec![Step::parent(Act::Hide {})];
    if !pid.is_empty() {
        steps.push(Step::parent(Act::SetnsProcess { pid: what.pid, kinds: pid }));
    }
    let v2 = look.cgroups.iter().find(|d| d.v2 && what.cgroup).map(|d| d.path.clone());
    steps.push(Step::parent(Act::Clone { namespaces: Vec::new(), cgroup: v2 }));
    let mut acts = Vec::new();
    let affinity = if what.as_container { doc.exec_affinity()? } else { Affinity::default() };
    acts.extend(affinity.initial.map(|cpus| Act::Affinity { cpus }));
    if what.cgroup {
        acts.extend(plan::join_cgroups(look));
    }
    acts.extend(affinity.last.map(|cpus| Act::Affinity { cpus }));
    if what.as_container {
        acts.extend(process::early(doc, look)?);
    }
    let mount = others.iter().any(|k| k == "mount");
    let mut kinds: Vec<String> = others.into_iter().filter(|k| k != "mount").collect();
    if mount {
        kinds.push("mount".into());
    }
    if !kinds.is_empty() {
        acts.push(Act::SetnsProcess { pid: what.pid, kinds });
    }
    if doc.terminal() || what.as_container {
        acts.push(Act::Session {});
    }
    if doc.terminal() {
        acts.push(Act::Terminal { root: "/".into() });
    }
    acts.extend(process::process(doc, look)?);
    steps.extend(acts.into_iter().map(Step::child));
    Ok(steps)
}
