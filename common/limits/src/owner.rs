//! Who owns a cgroup of v2: the container's user, where it is shown to it to be written (config-linux.md,
//! Cgroup ownership).

use anyhow::Result;
use doc::Doc;

/// The id outside of the user of the process, where the cgroup is to be that user's: its cgroup namespace
/// is a new one, and the file system of cgroups is mounted there to be written. Never of the host's root,
/// whose it is anyway.
pub(crate) fn owner(doc: &Doc) -> Result<Option<u32>> {
    let own = doc.namespaces()?.iter().any(|n| n.kind == "cgroup" && n.path.is_none());
    let shown = doc.mounts()?.iter().any(|m| {
        m.source.as_deref() == Some("cgroup")
            && m.destination == "/sys/fs/cgroup"
            && !m.options.iter().any(|o| o == "ro")
    });
    if !own || !shown {
        return Ok(None);
    }
    let inside = doc.user()?.uid;
    let (uids, _) = doc.id_maps()?;
    let map = uids.iter().find(|m| inside.checked_sub(m.inside).is_some_and(|n| n < m.size));
    let outside = match map {
        Some(m) => m.outside + (inside - m.inside),
        None if uids.is_empty() => inside,
        None => return Ok(None),
    };
    Ok(Some(outside).filter(|uid| *uid != 0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_shown_to_be_written() {
        for (options, namespaces, uid, owns) in [
            (json!(["rw"]), json!([{"type": "cgroup"}]), 0, Some(100_000)),
            (json!([]), json!([{"type": "cgroup"}]), 7, Some(100_007)),
            (json!(["ro"]), json!([{"type": "cgroup"}]), 0, None),
            (json!([]), json!([]), 0, None),
            (json!([]), json!([{"type": "cgroup", "path": "/proc/1/ns/cgroup"}]), 0, None),
            (json!([]), json!([{"type": "cgroup"}]), 70_000, None),
        ] {
            let doc = json!({
                "process": {"user": {"uid": uid, "gid": 0}},
                "mounts": [{"destination": "/sys/fs/cgroup", "source": "cgroup", "options": options}],
                "linux": {
                    "namespaces": namespaces,
                    "uidMappings": [{"containerID": 0, "hostID": 100_000, "size": 65_536}]
                }
            });
            let doc = Doc::parse(doc.to_string().as_bytes()).unwrap();
            assert_eq!(owner(&doc).unwrap(), owns, "{}", doc.line());
        }
    }
}
