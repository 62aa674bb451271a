//! state: the container's state as JSON (runtime.md, State), with what runc adds to it.

use crate::container::Container;
use anyhow::Result;
use serde_json::json;
use std::path::Path;

/// The verb.
pub fn state(container: &Container) -> Result<u8> {
    let record = container.record()?;
    let status = container.status(record.as_ref());
    let doc = container.doc()?;
    let bundle = record.as_ref().map_or("", |r| r.bundle.as_str());
    let mut state = doc.state(&container.id, status, bundle);
    if let Some(record) = &record {
        state["pid"] = if status == "stopped" { 0.into() } else { record.pid.into() };
        state["rootfs"] = json!(Path::new(bundle).join(doc.root_path().unwrap_or_default()));
        state["created"] = json!(record.stave.at);
    }
    state["owner"] = json!("");
    cli::print(&(serde_json::to_string_pretty(&state)? + "\n"))?;
    Ok(0)
}
