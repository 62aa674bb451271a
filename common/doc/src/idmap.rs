//! Id maps: of a user namespace (config-linux.md), and of a mount (config.md).

use crate::{Doc, Error, Mount};
use serde::{Deserialize, Serialize};

/// A line of an id map.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID")]
    pub inside: u32,
    /// First id outside.
    #[serde(rename = "hostID")]
    pub outside: u32,
    /// How many.
    pub size: u32,
}

impl Doc {
    /// `linux.uidMappings` and `linux.gidMappings`.
    pub fn id_maps(&self) -> Result<(Vec<IdMapping>, Vec<IdMapping>), Error> {
        let read = |key| self.read::<Vec<IdMapping>>(key).map(Option::unwrap_or_default);
        Ok((read("/linux/uidMappings")?, read("/linux/gidMappings")?))
    }

    /// A map among the options of a mount, as podman writes it for crun(1), becomes the mount's own:
    /// `idmap=uids=0-1-10#10-21-10;gids=0-1-10` says ids of the files, ids that they show as, and how many;
    /// after an `@` the second is one of the container's.
    pub(crate) fn maps_in_options(&self, mount: &mut Mount) -> Result<(), String> {
        for option in &mut mount.options {
            let Some((word @ ("idmap" | "ridmap"), maps)) = option.split_once('=') else { continue };
            let word = word.to_owned();
            for map in maps.split(';') {
                let (uids, gids) = self.id_maps().map_err(|e| e.to_string())?;
                match map.split_once('=') {
                    Some(("uids", list)) => mount.uid_mappings = ranges(list, &uids)?,
                    Some(("gids", list)) => mount.gid_mappings = ranges(list, &gids)?,
                    _ => return Err(format!("{option}: neither uids nor gids")),
                }
            }
            *option = word;
        }
        Ok(())
    }
}

/// `0-1-10#10-21-10`; `container`: the map of the container's own ids.
fn ranges(list: &str, container: &[IdMapping]) -> Result<Vec<IdMapping>, String> {
    let wrong = |range: &str| format!("{range} is no id map, which is ID-ID-SIZE");
    let one = |range: &str| {
        let numbers: Result<Vec<u32>, _> = range.trim_start_matches('@').split('-').map(str::parse).collect();
        let [inside, outside, size] = numbers.as_deref().unwrap_or_default() else {
            return Err(wrong(range));
        };
        let mut map = IdMapping { inside: *inside, outside: *outside, size: *size };
        if range.starts_with('@') {
            let holds = |m: &&IdMapping| (m.inside..m.inside.saturating_add(m.size)).contains(&map.outside);
            let of = container.iter().find(holds);
            let of = of.ok_or_else(|| format!("{range}: the container has no id {}", map.outside))?;
            map.outside = of.outside.saturating_add(map.outside - of.inside);
        }
        Ok(map)
    };
    list.split('#').map(one).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn maps_among_the_options() {
        let maps = |option: &str| {
            let text = format!(
                r#"{{"mounts":[{{"destination":"/a","type":"bind","source":"/b","options":["bind","{option}"]}}],
                "linux":{{"uidMappings":[{{"containerID":0,"hostID":1000,"size":10}}]}}}}"#
            );
            let mount = Doc::parse(text.as_bytes()).unwrap().mounts().map_err(|e| e.to_string())?.remove(0);
            let numbers =
                |list: &[IdMapping]| list.iter().map(|m| (m.inside, m.outside, m.size)).collect::<Vec<_>>();
            Ok((mount.options[1].clone(), numbers(&mount.uid_mappings), numbers(&mount.gid_mappings)))
        };
        let found = maps("ridmap=uids=0-1-10#10-21-3;gids=0-100-1").unwrap();
        assert_eq!(found, ("ridmap".to_owned(), vec![(0, 1, 10), (10, 21, 3)], vec![(0, 100, 1)]));
        assert_eq!(maps("idmap=uids=@7-3-1").unwrap().1, [(7, 1003, 1)]);
        assert_eq!(maps("idmap").unwrap(), ("idmap".to_owned(), vec![], vec![]));
        for (option, why) in [
            ("idmap=uids=0-1", "is no id map"),
            ("idmap=uids=@7-10-1", "the container has no id 10"),
            ("idmap=7", "neither uids nor gids"),
        ] {
            assert!(maps(option).map_err(|e: String| e.contains(why)).unwrap_err(), "{option}");
        }
    }
}
