//! `mounts` (config.md, Mounts).

use super::{Result, namespaces::ranges, word};
use crate::{Doc, shape};
use serde_json::Value;

pub(super) fn check(doc: &Doc) -> Result {
    for (n, mount) in doc.list("/mounts").iter().enumerate() {
        let at = format!("/mounts/{n}");
        word(mount, &at, "destination")?;
        let list = |key: &str| mount.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let kind = mount.get("type").and_then(Value::as_str);
        let has = |word: &str| list("options").iter().any(|o| o.as_str() == Some(word));
        let bind = kind == Some("bind") || has("bind") || has("rbind");
        if bind && !has("remount") {
            word(mount, &at, "source")?;
        }
        let (uids, gids) = (list("uidMappings"), list("gidMappings"));
        if uids.is_empty() != gids.is_empty() {
            let lacking = if uids.is_empty() { "uidMappings" } else { "gidMappings" };
            return Err(shape(&format!("{at}/{lacking}"), "is missing"));
        }
        if !uids.is_empty() && !bind {
            return Err(shape(&format!("{at}/uidMappings"), "only a bind mount can have them"));
        }
        ranges(&format!("{at}/uidMappings"), uids)?;
        ranges(&format!("{at}/gidMappings"), gids)?;
    }
    Ok(())
}
