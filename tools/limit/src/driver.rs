//! Who makes the cgroup, and so where it is: decided once, and written into the document.

use crate::Limit;
use anyhow::{Context, Result, bail};
use cli::{Host, usage};
use doc::Doc;
use limits::Driver;
use state::{Place, Roots, usual_slice};
use std::path::Path;

/// The variable that stands for the flag where that is not given.
const VARIABLE: &str = "STAVE_CGROUP_DRIVER";

pub(crate) fn edit(flags: &Limit, doc: &mut Doc, host: &Host) -> Result<()> {
    let id = doc.id()?.context("the document has no id")?.to_owned();
    let before = Place::of(doc, &id)?;
    let parent = parent_of(flags);
    let (driver, moves) = decide(flags, doc, host, &before, &id)?;
    if moves {
        let path = match driver {
            Driver::Systemd => format!("{}:stave:{id}", slice(parent)?),
            Driver::Cgroupfs => directory(parent, &id)?,
        };
        doc.set("/linux/cgroupsPath", path)?;
        let after = Place::of(doc, &id)?;
        if after != before && before.is_own(&id) {
            stays(host, &before)?;
        }
    }
    doc.set_stave("cgroupDriver", driver.name())?;
    Ok(())
}

/// None named is the usual one, as to docker.
fn parent_of(flags: &Limit) -> Option<&str> {
    flags.cgroup_parent.as_deref().filter(|p| !p.is_empty())
}

/// Who does it, and whether the path is written anew.
fn decide(flags: &Limit, doc: &Doc, host: &Host, place: &Place, id: &str) -> Result<(Driver, bool)> {
    let parent = parent_of(flags);
    let asked = flags.cgroup_driver.as_deref();
    // Whatever auto would say now.
    let known = doc.get("/stave/cgroupDriver").and_then(|d| d.as_str()).and_then(Driver::named);
    if let (None, Some(known)) = (asked, known) {
        return Ok((known, parent.is_some()));
    }
    let default = place.unit.is_none() && place.path == Roots::cgroup(id);
    if asked.is_none() && parent.is_none() && !default {
        // The document says where.
        return Ok((if place.unit.is_some() { Driver::Systemd } else { Driver::Cgroupfs }, false));
    }
    let set = std::env::var(VARIABLE).ok().filter(|v| !v.is_empty());
    let word = asked.or(set.as_deref()).unwrap_or("auto");
    let Some(driver) = Driver::named(word) else {
        if word != "auto" {
            bail!("{VARIABLE}={word}: neither auto, cgroupfs nor systemd");
        }
        let sliced = parent.is_none_or(|p| doc::slice_path(p).is_some());
        let auto = if sliced { Driver::auto(host) } else { Driver::Cgroupfs };
        return Ok((auto, true));
    };
    driver.fits(host).with_context(|| format!("--cgroup-driver {word}"))?;
    Ok((driver, true))
}

fn slice(parent: Option<&str>) -> Result<&str> {
    match parent {
        None => Ok(usual_slice(state::of_user())),
        Some(slice) if doc::slice_path(slice).is_some() => Ok(slice),
        Some(other) => Err(usage(format!("--cgroup-parent {other}: systemd has slices, as a.slice"))),
    }
}

fn directory(parent: Option<&str>, id: &str) -> Result<String> {
    let Some(given) = parent else { return Ok(Roots::cgroup(id)) };
    let parent = given.trim_matches('/');
    let plain = |c: &str| !matches!(c, "" | "." | "..");
    if !parent.is_empty() && !parent.split('/').all(plain) {
        return Err(usage(format!("--cgroup-parent {parent}: not a path below a hierarchy's root")));
    }
    Ok(if parent.is_empty() { format!("/{id}") } else { format!("/{parent}/{id}") })
}

/// A container that runs stays where it is.
fn stays(host: &Host, place: &Place) -> Result<()> {
    let dirs = host.cgroup_dirs(&place.path, &[]);
    if let Some(dir) = dirs.iter().find(|d| !sys::cgroup::all_procs(&d.path).is_empty()) {
        bail!("its processes are in {}, and stay there", Path::new(&dir.path).display());
    }
    Ok(())
}
