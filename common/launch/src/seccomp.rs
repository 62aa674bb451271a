//! `linux.seccomp` as a step, and the agent that answers what a filter asks.

use crate::Look;
use anyhow::{Context, Result, anyhow, bail};
use doc::Doc;
use serde_json::{Value, json};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use step::{Act, Ask};

/// The step that loads the document's filter; `None` where it has none.
pub(crate) fn act(doc: &Doc, look: &Look) -> Result<Option<Act>> {
    let Some(profile) = doc.get("/linux/seccomp") else { return Ok(None) };
    let compiled = seccomp::compile(profile, seccomp::native());
    let Some(filter) = compiled.map_err(|e| anyhow!("document: linux.seccomp.{e}"))? else { return Ok(None) };
    let ask = match (filter.listener, doc.stave_flag("seccompLog")) {
        (None, false) => None,
        (None, true) => Some(Ask::Parent {}),
        (Some(_), true) => {
            bail!("document: linux.seccomp.listenerPath: an agent answers, so nobody can be told of denials")
        }
        (Some(agent), false) => {
            let mut state = json!({
                "ociVersion": doc::OCI_VERSION,
                "fds": ["seccompFd"],
                "pid": 0,
                "state": doc.state(&look.id, "creating", &look.bundle.to_string_lossy()),
            });
            if let Some(metadata) = agent.metadata {
                state["metadata"] = metadata.into();
            }
            Some(Ask::Agent { path: agent.path.into(), state })
        }
    };
    let flags = filter.words.iter().map(|w| (*w).to_owned()).collect();
    Ok(Some(Act::Seccomp { filter: seccomp::text(&filter.program), flags, ask }))
}

/// In a container that runs, the state that an agent is told is that of its first process.
pub(crate) fn entered(acts: &mut [Act], first: i32) {
    for act in acts {
        if let Act::Seccomp { ask: Some(Ask::Agent { state, .. }), .. } = act {
            state["state"]["status"] = "running".into();
            state["state"]["pid"] = first.into();
        }
    }
}

/// Names of system calls that no kernel has, as far as we know: their rules are passed over.
pub(crate) fn warning(doc: &Doc) -> Option<String> {
    let calls = doc.get("/linux/seccomp/syscalls")?.as_array()?;
    let mut finder = seccomp::Finder::default();
    let names = calls.iter().filter_map(|c| c["names"].as_array()).flatten().filter_map(Value::as_str);
    let mut unknown: Vec<&str> = names.filter(|n| finder.find(n).is_none()).collect();
    unknown.sort_unstable();
    unknown.dedup();
    let list = unknown.join(", ");
    (!list.is_empty()).then(|| format!("warning: seccomp: there is no system call {list}"))
}

/// Hands the listener of process `pid` to its agent, once: one connection, one state, and the
/// descriptor beside its first byte (config-linux.md).
pub(crate) fn hand_on(path: &Path, state: &Value, pid: i32, listener: &OwnedFd) -> Result<()> {
    let mut state = state.clone();
    state["pid"] = pid.into();
    if state["state"]["pid"] == 0 {
        state["state"]["pid"] = pid.into();
    }
    // In runc's words: its users look for them.
    let agent = sys::io::connect_stream(path)
        .with_context(|| format!("failed to connect with seccomp agent {}", path.display()))?;
    let text = state.to_string();
    let told = |e: sys::Errno| anyhow!(e).context(format!("tell the seccomp agent {}", path.display()));
    // In one piece: agents read once.
    sys::io::send(&agent, text.as_bytes(), Some(listener.as_fd())).map_err(told)
}
