//! What lives in the process alone: user, rights, limits, directory, environment, and the exec.

use crate::{Look, rights, seccomp, user};
use anyhow::Result;
use doc::Doc;
use std::path::Path;
use step::{Act, Step};

/// What the process is given by whoever has the right to it: in a user namespace that is nobody, so
/// the parent does it.
pub(crate) fn given(doc: &Doc) -> Result<Vec<Step>> {
    let mut acts = Vec::new();
    for r in doc.rlimits()? {
        acts.push(Act::Rlimit { kind: r.kind, soft: r.soft, hard: r.hard });
    }
    acts.extend(scheduling(doc)?);
    let own_user = doc.namespaces()?.iter().any(|n| n.kind == "user");
    let step = if own_user { Step::parent } else { Step::child };
    Ok(acts.into_iter().map(step).collect())
}

/// What lives in the process alone, in the order that works: what needs a right comes before the
/// rights go. A key that is absent leaves the caller's as it is.
pub fn process(doc: &Doc, look: &Look) -> Result<Vec<Act>> {
    let mut acts = memory(doc)?;
    acts.extend(labels(doc));
    let who = doc.user()?;
    let user = (who.uid != 0).then_some((who.uid, who.gid));
    if doc.get("/process/cwd").is_some() {
        acts.push(Act::Chdir { path: doc.cwd().into(), make: true, user });
    }
    acts.push(Act::Umask { mask: who.umask.unwrap_or(look.host.umask) });
    let caps = rights::in_force(doc, look)?;
    // With no_new_privs anybody may load a filter, so it comes as late as can be; else it takes
    // CAP_SYS_ADMIN.
    let no_new_privs = doc.get("/process/noNewPrivileges") == Some(&serde_json::Value::Bool(true));
    let (before, after) = match seccomp::act(doc, look)? {
        filter if no_new_privs => (None, filter),
        filter => (filter, None),
    };
    acts.extend(before);
    if let Some(caps) = &caps {
        acts.push(Act::Bound { capabilities: caps.bounding.clone() });
    }
    if who.uid != 0 {
        acts.push(Act::Streams { uid: who.uid, terminal: doc.terminal() });
    }
    if doc.get("/process/user").is_some() {
        acts.push(Act::User { uid: who.uid, gid: who.gid, groups: who.additional_gids.clone() });
        // The kernel forgets it when a process becomes another user.
        if doc.stave_flag("dieWithParent") {
            acts.push(Act::DieWithParent {});
        }
    }
    if let Some(c) = caps {
        acts.push(Act::Caps {
            effective: c.effective,
            permitted: c.permitted,
            inheritable: c.inheritable,
            ambient: c.ambient,
        });
    }
    if no_new_privs {
        acts.push(Act::NoNewPrivs {});
    }
    acts.extend(after);
    acts.push(Act::Exec { args: doc.args()?, env: environment(doc, look)?, fds: 3 });
    Ok(acts)
}

/// The terminal that the document asks for, of the devpts below `root`, with its size.
pub fn terminal(doc: &Doc, root: &Path) -> Result<Option<Act>> {
    let size = doc.console_size()?;
    Ok(doc.terminal().then(|| Act::Terminal { root: root.to_owned(), size, plain: false }))
}

/// Where it is lowered this takes a right that nobody has in a user namespace.
pub(crate) fn oom_score(doc: &Doc) -> Result<Option<Act>> {
    Ok(doc.read::<i64>("/process/oomScoreAdj")?.map(|score| Act::OomScore { score }))
}

/// What belongs to the user that the container's root is.
pub(crate) fn keyring(doc: &Doc, look: &Look) -> Result<Option<Act>> {
    if look.root != Path::new("/") && !doc.stave_flag("noNewKeyring") {
        // Who may search it, of keyctl_setperm(3): the user that owns it; in a user namespace that is
        // another one, so everybody.
        let own_user = doc.namespaces()?.iter().any(|n| n.kind == "user");
        let search = if own_user { 0x8 } else { 0x8_0000 };
        return Ok(Some(Act::Keyring { name: format!("_ses.{}", look.id), search }));
    }
    Ok(None)
}

fn scheduling(doc: &Doc) -> Result<Vec<Act>> {
    let mut acts = Vec::new();
    if let Some(s) = doc.scheduler()? {
        acts.push(Act::Scheduler {
            policy: s.policy,
            nice: s.nice,
            priority: s.priority.max(0).cast_unsigned(),
            flags: s.flags,
            runtime: s.runtime,
            deadline: s.deadline,
            period: s.period,
        });
    }
    if let Some(io) = doc.io_priority()? {
        acts.push(Act::IoPriority { class: io.class, priority: io.priority.try_into().unwrap_or(u32::MAX) });
    }
    Ok(acts)
}

fn memory(doc: &Doc) -> Result<Vec<Act>> {
    let mut acts = Vec::new();
    if let Some(m) = doc.memory_policy()? {
        acts.push(Act::MemoryPolicy { mode: m.mode, nodes: m.nodes, flags: m.flags });
    }
    if let Some(domain) = doc.personality()? {
        acts.push(Act::Personality { domain });
    }
    Ok(acts)
}

/// Said as late as can be: the hooks that run before have the runtime's own labels.
fn labels(doc: &Doc) -> Vec<Act> {
    let label = |key: &str, module: &str| {
        let text = doc.get(key).and_then(|v| v.as_str()).filter(|t| !t.is_empty())?;
        Some(Act::Label { module: module.into(), label: text.into() })
    };
    let both = [("/process/apparmorProfile", "apparmor"), ("/process/selinuxLabel", "selinux")];
    both.into_iter().filter_map(|(key, module)| label(key, module)).collect()
}

/// The document's variables; HOME from the container's passwd and TERM for a terminal where it has
/// none; the caller's own where the document has no list.
fn environment(doc: &Doc, look: &Look) -> Result<Vec<String>> {
    if doc.get("/process/env").is_none() {
        return Ok(std::env::vars_os()
            .map(|(k, v)| format!("{}={}", k.to_string_lossy(), v.to_string_lossy()))
            .collect());
    }
    let mut env = doc.env()?;
    let has = |env: &[String], name: &str| env.iter().any(|e| e.split('=').next() == Some(name));
    if !has(&env, "HOME") && look.root != Path::new("/") {
        env.push(format!("HOME={}", user::home(&look.dirs, doc.user()?.uid)));
    }
    // An engine that wants it says so.
    if doc.terminal() && !look.host.every_hierarchy && !has(&env, "TERM") {
        env.push("TERM=xterm".into());
    }
    Ok(env)
}
