//! What lives in the process alone: user, rights, limits, directory, environment, and the exec.

use crate::{Look, user};
use anyhow::Result;
use doc::{Capabilities, Doc};
use std::path::Path;
use step::Act;

/// What lives in the process alone; a key that is absent leaves the caller's as it is.
pub fn process(doc: &Doc, look: &Look) -> Result<Vec<Act>> {
    let mut acts = Vec::new();
    for r in doc.rlimits()? {
        acts.push(Act::Rlimit { kind: r.kind, soft: r.soft, hard: r.hard });
    }
    if doc.get("/process/cwd").is_some() {
        acts.push(Act::Chdir { path: doc.cwd().into(), make: true });
    }
    let who = doc.user()?;
    acts.push(Act::Umask { mask: who.umask.unwrap_or(look.host.umask) });
    let caps = doc.capabilities()?.map(|c| in_force(c, look, doc)).transpose()?;
    if let Some(caps) = &caps {
        acts.push(Act::Bound { capabilities: caps.bounding.clone() });
    }
    if who.uid != 0 {
        acts.push(Act::Streams { uid: who.uid, terminal: doc.terminal() });
    }
    if doc.get("/process/user").is_some() {
        acts.push(Act::User { uid: who.uid, gid: who.gid, groups: who.additional_gids.clone() });
    }
    if let Some(c) = caps {
        acts.push(Act::Caps {
            effective: c.effective,
            permitted: c.permitted,
            inheritable: c.inheritable,
            ambient: c.ambient,
        });
    }
    if doc.get("/process/noNewPrivileges") == Some(&serde_json::Value::Bool(true)) {
        acts.push(Act::NoNewPrivs {});
    }
    acts.push(Act::Exec { args: doc.args()?, env: environment(doc, look)?, fds: 3 });
    Ok(acts)
}

/// Where the document has device rules and nothing holds them (no cgroup was made, or v2), the
/// right to make devices goes: with both, the host's disks would be a mknod away.
fn in_force(mut caps: Capabilities, look: &Look, doc: &Doc) -> Result<Capabilities> {
    if !look.device_rules() && !doc.resources()?.devices.is_empty() {
        for set in [
            &mut caps.bounding,
            &mut caps.effective,
            &mut caps.permitted,
            &mut caps.inheritable,
            &mut caps.ambient,
        ] {
            set.retain(|c| c != "CAP_MKNOD");
        }
    }
    Ok(caps)
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
    if doc.terminal() && !has(&env, "TERM") {
        env.push("TERM=xterm".into());
    }
    Ok(env)
}
