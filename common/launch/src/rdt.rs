//! `linux.intelRdt` (config-linux.md, IntelRdt).

use crate::Look;
use anyhow::Result;
use doc::Doc;
use std::path::Path;
use step::Act;

/// The group that the document names, or the container's own.
pub fn rdt(doc: &Doc, look: &Look) -> Result<Option<Act>> {
    if doc.get("/linux/intelRdt").is_none() {
        return Ok(None);
    }
    let top = Path::new("/sys/fs/resctrl");
    let text = |key: &str| doc.read::<String>(&format!("/linux/intelRdt/{key}"));
    let id = text("closID")?.filter(|id| !id.is_empty());
    let own = id.is_none();
    let group = match id.as_deref() {
        Some("/") => top.to_owned(),
        Some(id) => top.join(id),
        None => top.join(&look.id),
    };
    let lines = [text("l3CacheSchema")?, text("memBwSchema")?];
    let mut schemata: Vec<String> = lines.into_iter().flatten().filter(|l| !l.is_empty()).collect();
    schemata.extend(doc.strings("/linux/intelRdt/schemata")?);
    let monitored = doc.read::<bool>("/linux/intelRdt/enableMonitoring")? == Some(true);
    let monitor = monitored.then(|| group.join("mon_groups").join(&look.id));
    Ok(Some(Act::Rdt { group, own, schemata, monitor }))
}
