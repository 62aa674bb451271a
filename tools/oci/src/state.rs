//! state: the container's state as JSON (runtime.md, State), with what runc adds to it. Nobody is
//! waited for: the files are read as they are.

use crate::container::{Container, host, place_of};
use anyhow::{Context, Result};
use clap::Args;
use launch::Door;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use state::Record;
use std::path::Path;

/// The words of `state`.
#[derive(Args, Debug)]
pub struct State {
    /// The container
    pub id: String,
}

/// A container's state, in runc's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    oci_version: String,
    /// Its id.
    pub id: String,
    /// Of its process, 0 where there is none.
    pub pid: i32,
    /// The specification's word, or `paused`.
    pub status: &'static str,
    /// Its bundle.
    pub bundle: String,
    rootfs: String,
    /// RFC 3339.
    pub created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
    /// Whose the container's directory is, for `list`.
    pub owner: String,
}

/// What of a document a state needs: the rest, which is long, is skipped as it is read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Part {
    oci_version: Option<String>,
    annotations: Option<Value>,
    root: Option<Root>,
    linux: Option<Linux>,
    stave: Option<Stave>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Root {
    path: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Linux {
    cgroups_path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stave {
    no_cgroup: bool,
}

/// The verb.
pub fn state(container: &Container) -> Result<u8> {
    cli::print(&(serde_json::to_string_pretty(&facts(container)?)? + "\n"))?;
    Ok(0)
}

/// As things stand.
pub fn facts(container: &Container) -> Result<Facts> {
    let record = container.record()?;
    let text = container.text()?;
    let part: Part = match &text {
        Some(text) => serde_json::from_slice(text)
            .with_context(|| format!("read {}", container.file("config.json").display()))?,
        None => Part::default(),
    };
    let cgroup = match part.stave {
        Some(Stave { no_cgroup: true }) => None,
        _ => {
            let path = part.linux.and_then(|l| l.cgroups_path).unwrap_or_default();
            Some(place_of(&container.id, &path)?.path)
        }
    };
    let status = status(container, record.as_ref(), cgroup.as_deref());
    let (pid, bundle, created) = match record {
        Some(r) => (r.pid, r.bundle, r.stave.at),
        None => (0, String::new(), String::new()),
    };
    let root = part.root.unwrap_or_default().path;
    Ok(Facts {
        oci_version: part.oci_version.unwrap_or_else(|| doc::OCI_VERSION.into()),
        id: container.id.clone(),
        pid: if status == "stopped" { 0 } else { pid },
        status,
        rootfs: Path::new(&bundle).join(root).to_string_lossy().into_owned(),
        bundle,
        created,
        annotations: part.annotations.filter(|a| a.as_object().is_some_and(|a| !a.is_empty())),
        owner: String::new(),
    })
}

/// What a container is doing; `cgroup`: its path, where it has one.
pub fn status(container: &Container, record: Option<&Record>, cgroup: Option<&str>) -> &'static str {
    status_by(container, record, || cgroup.is_some_and(|c| host().is_ok_and(|host| host.is_frozen(c))))
}

/// The same for who knows the host already.
pub fn status_by(container: &Container, record: Option<&Record>, frozen: impl Fn() -> bool) -> &'static str {
    match record {
        None => "creating",
        Some(r) if r.running().is_none() => "stopped",
        Some(_) if frozen() => "paused",
        Some(_) if Door::waits(&container.dir) => "created",
        Some(_) if Door::unready(&container.dir) => "creating",
        Some(_) => "running",
    }
}
