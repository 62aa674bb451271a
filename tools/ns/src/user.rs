//! The ids of a container's user namespace, from flags; and of an ordinary user's, who has none of the
//! rights that the other namespaces take but in one of its own.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use cli::Host;
use doc::{Doc, Namespace};
use serde_json::{Value, json};
use state::Range;

/// The flags that concern it.
#[derive(Args, Debug, Default)]
pub struct User {
    /// host: none; auto: one with ids that no other container has; keep-id: an ordinary user keeps its
    /// own inside [default: host; auto for an ordinary user]
    #[arg(long, value_enum, value_name = "HOW", help_heading = "Namespaces")]
    pub userns: Option<How>,
    /// Ids of a user namespace: first inside, first outside, how many (may be repeated)
    #[arg(long, value_name = "INSIDE:OUTSIDE:COUNT", value_parser = range, conflicts_with = "userns", help_heading = "Namespaces")]
    pub uidmap: Vec<[u32; 3]>,
    /// The same for groups [default: as for users]
    #[arg(long, value_name = "INSIDE:OUTSIDE:COUNT", value_parser = range, conflicts_with = "userns", help_heading = "Namespaces")]
    pub gidmap: Vec<[u32; 3]>,
}

/// What `--userns` takes.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum How {
    /// None of its own.
    Host,
    /// Ids that no other container has.
    Auto,
    /// The caller's own ids are the same inside.
    KeepId,
}

fn range(text: &str) -> Result<[u32; 3], String> {
    let numbers: Option<Vec<u32>> = text.split(':').map(|n| n.parse().ok()).collect();
    match numbers.as_deref() {
        Some([inside, outside, count]) if *count > 0 => Ok([*inside, *outside, *count]),
        Some([inside, outside]) => Ok([*inside, *outside, 1]),
        _ => Err("not INSIDE:OUTSIDE:COUNT".into()),
    }
}

/// What systemd leaves to containers (systemd.io, UIDS-GIDS).
const FIRST: u32 = 524_288;
/// So many ids a container.
const COUNT: u32 = 65_536;
const SLOTS: u32 = 28_000;

type Rows = Vec<[u32; 3]>;

impl User {
    /// Writes it into the list of namespaces and the document.
    pub fn edit(&self, doc: &mut Doc, list: &mut Vec<Namespace>, host: &Host) -> Result<()> {
        let there = list.iter().any(|n| n.kind == "user");
        let isolated = list.iter().any(|n| n.path.is_none());
        let how = match self.userns {
            None if !self.uidmap.is_empty() || !self.gidmap.is_empty() => None,
            None if !host.is_able() && isolated && !there => Some(How::Auto),
            None => return Ok(()),
            Some(How::Host) => {
                list.retain(|n| n.kind != "user");
                doc.remove("/linux/uidMappings");
                doc.remove("/linux/gidMappings");
                return Ok(());
            }
            how => how,
        };
        let (uids, gids) = match how {
            None => self.given(),
            Some(how) if host.is_able() => of_root(how, doc, host)?,
            Some(how) => of_user(how, host)?,
        };
        if !there {
            list.push(Namespace::new("user"));
        }
        let rows = |rows: &Rows| -> Value {
            rows.iter().map(|[i, o, n]| json!({"containerID": i, "hostID": o, "size": n})).collect()
        };
        doc.set("/linux/uidMappings", rows(&uids))?;
        doc.set("/linux/gidMappings", rows(&gids))?;
        fit(doc, &gids)
    }

    fn given(&self) -> (Rows, Rows) {
        let or = |rows: &Rows, other: &Rows| if rows.is_empty() { other.clone() } else { rows.clone() };
        (or(&self.uidmap, &self.gidmap), or(&self.gidmap, &self.uidmap))
    }
}

/// What the default has of groups that are not mapped would be refused.
fn fit(doc: &mut Doc, gids: &Rows) -> Result<()> {
    let mapped = |id: u32| gids.iter().any(|[inside, _, count]| id >= *inside && id - inside < *count);
    let mut mounts: Vec<Value> = doc.read("/mounts")?.unwrap_or_default();
    for mount in mounts.iter_mut().filter(|m| m.get("type") == Some(&json!("devpts"))) {
        if let Some(Value::Array(options)) = mount.get_mut("options") {
            options.retain(|o| *o != json!("gid=5") || mapped(5));
        }
    }
    if !mounts.is_empty() {
        doc.set("/mounts", mounts)?;
    }
    if doc.get("/process/user/additionalGids").is_some() {
        let groups: Vec<u32> = doc.user()?.additional_gids.into_iter().filter(|g| mapped(*g)).collect();
        doc.set("/process/user/additionalGids", groups)?;
    }
    Ok(())
}

/// Root may map any ids: a part of those that are the containers', found by the container's id.
fn of_root(how: How, doc: &Doc, host: &Host) -> Result<(Rows, Rows)> {
    if how != How::Auto {
        return Err(cli::usage("--userns keep-id: it is about the ids of an ordinary user"));
    }
    let id = doc.id()?.unwrap_or_default().to_owned();
    let mut taken = Vec::new();
    for entry in state::list(&host.roots)?.into_iter().filter(|e| e.id != id) {
        if let Ok(doc) = entry.doc {
            let (uids, gids) = doc.id_maps()?;
            taken.extend(uids.iter().chain(&gids).map(|m| (m.outside, m.size)));
        }
    }
    let wish = id.bytes().fold(0_u32, |n, b| n.wrapping_mul(31).wrapping_add(b.into())) % SLOTS;
    let free = |slot: &u32| {
        let first = FIRST + slot * COUNT;
        !taken.iter().any(|(start, size)| *start < first + COUNT && first < start.saturating_add(*size))
    };
    let Some(slot) = (0..SLOTS).map(|n| (wish + n) % SLOTS).find(free) else {
        bail!("--userns auto: every range of ids has a container");
    };
    let rows = vec![[0, FIRST + slot * COUNT, COUNT]];
    Ok((rows.clone(), rows))
}

/// An ordinary user has its own id, and those that /etc/subuid lets it have.
fn of_user(how: How, host: &Host) -> Result<(Rows, Rows)> {
    let [mut uids, mut gids] = host.subids.clone();
    // Without the programs that may write them they are of no use.
    let there = |name: &str| std::env::split_paths(&path()).any(|dir| dir.join(name).is_file());
    let programs = there("newuidmap") && there("newgidmap");
    if uids.is_empty() || gids.is_empty() || !programs {
        (uids, gids) = (Vec::new(), Vec::new());
    }
    let few = |own: u32, more: &[Range]| match how {
        // Root and all up to the own id.
        How::KeepId => own != 0 && more.iter().map(|r| u64::from(r.1)).sum::<u64>() < own.into(),
        _ => false,
    };
    if few(host.euid, &uids) || few(host.egid, &gids) {
        let why = if programs { "too little in /etc/subuid and /etc/subgid" } else { "no newuidmap" };
        bail!("--userns keep-id: there is {why} for user {}; {}", host.euid, cli::SUBIDS);
    }
    let rows = |own: u32, more: &[Range]| -> Rows {
        match how {
            // Below and above the own id those that it may have, in their order.
            How::KeepId => {
                let above = after(own + 1, &part(more, own, u32::MAX));
                [after(0, &part(more, 0, own)), vec![[own, own, 1]], above].concat()
            }
            _ => [vec![[0, own, 1]], after(1, more)].concat(),
        }
    };
    Ok((rows(host.euid, &uids), rows(host.egid, &gids)))
}

fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into())
}

/// Ranges one after another, from an id inside on.
fn after(first: u32, ranges: &[Range]) -> Rows {
    let mut next = first;
    let mut rows = Rows::new();
    for (outside, count) in ranges {
        rows.push([next, *outside, *count]);
        next = next.saturating_add(*count);
    }
    rows
}

/// Of all the ids in the ranges, counted through, those from `from` up to `to`.
fn part(ranges: &[Range], from: u32, to: u32) -> Vec<Range> {
    let mut at = 0_u32;
    let mut out = Vec::new();
    for (first, count) in ranges {
        let (start, end) = (from.max(at), to.min(at.saturating_add(*count)));
        if start < end {
            out.push((first + (start - at), end - start));
        }
        at = at.saturating_add(*count);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_ids() {
        assert_eq!(range("0:100000:65536"), Ok([0, 100_000, 65_536]));
        assert_eq!(range("0:5"), Ok([0, 5, 1]));
        assert!(range("0:1:0").is_err() && range("a:b:c").is_err() && range("1").is_err());
        let ranges = [(100, 10), (500, 5)];
        assert_eq!(after(1, &ranges), [[1, 100, 10], [11, 500, 5]]);
        assert_eq!(part(&ranges, 3, 12), [(103, 7), (500, 2)]);
        assert_eq!(part(&ranges, 12, u32::MAX), [(502, 3)]);
    }
}
