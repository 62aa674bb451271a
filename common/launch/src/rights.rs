//! The capabilities that a process gets, of those that its document names: what nobody can grant is
//! passed over with a warning (config.md, Linux Process).

use crate::Look;
use anyhow::Result;
use doc::{Capabilities, Doc};
use state::Host;
use sys::cred::CAPABILITIES;

/// `None`: the document says nothing of them, so the caller's stay.
pub(crate) fn in_force(doc: &Doc, look: &Look) -> Result<Option<Capabilities>> {
    let Some(mut caps) = doc.capabilities()? else { return Ok(None) };
    let grantable = grantable(doc, &look.host)?;
    // Where the document has device rules and nothing holds them (no cgroup was made, or v2), the
    // right to make devices goes: with both, the host's disks would be a mknod away. The devices of a
    // user namespace open for nobody.
    let unheld = !look.device_rules() && !own_user(doc)? && !doc.resources()?.devices.is_empty();
    for set in sets(&mut caps) {
        set.retain(|c| number(c).is_some_and(|n| grantable & 1 << n != 0));
        set.retain(|c| !(unheld && c == "CAP_MKNOD"));
    }
    let Capabilities { permitted, inheritable, ambient, effective, .. } = &mut caps;
    effective.retain(|c| permitted.contains(c));
    ambient.retain(|c| permitted.contains(c) && inheritable.contains(c));
    Ok(Some(caps))
}

/// What in a document is passed over when its process is started.
pub fn warnings(doc: &Doc, host: &Host) -> Result<Vec<String>> {
    let unknown = crate::seccomp::warning(doc);
    let Some(mut caps) = doc.capabilities()? else { return Ok(unknown.into_iter().collect()) };
    let grantable = grantable(doc, host)?;
    let lacks = |set: &[String], of: &[String], why: &str| -> Vec<String> {
        let lost = set.iter().filter(|c| number(c).is_some() && !of.contains(c));
        lost.map(|c| format!("warning: {c} {why}")).collect()
    };
    // In runc's words, which its suite looks for.
    let raise = |of: &[String], why: &str| -> Vec<String> {
        let lost = caps.ambient.iter().filter(|c| number(c).is_some() && !of.contains(c));
        lost.map(|c| format!("warning: can't raise ambient capability {c}: {why}")).collect()
    };
    let mut all = lacks(&caps.effective, &caps.permitted, "cannot be effective: it is not permitted");
    all.extend(raise(&caps.permitted, "it is not permitted"));
    all.extend(raise(&caps.inheritable, "it is not inheritable"));
    let mut names: Vec<String> = sets(&mut caps).into_iter().flat_map(|set| set.drain(..)).collect();
    names.sort();
    names.dedup();
    let say = |c: String| match number(&c) {
        None => Some(format!("warning: there is no capability {c}")),
        Some(n) if grantable & 1 << n == 0 => Some(format!("warning: no capability {c} to give")),
        Some(_) => None,
    };
    all.extend(names.into_iter().filter_map(say));
    all.extend(unknown);
    Ok(all)
}

fn sets(caps: &mut Capabilities) -> [&mut Vec<String>; 5] {
    [&mut caps.bounding, &mut caps.effective, &mut caps.permitted, &mut caps.inheritable, &mut caps.ambient]
}

fn number(name: &str) -> Option<usize> {
    CAPABILITIES.iter().position(|c| *c == name)
}

fn own_user(doc: &Doc) -> Result<bool> {
    Ok(doc.namespaces()?.iter().any(|n| n.kind == "user"))
}

/// In a user namespace of its own a process begins with all there are; else with the caller's.
fn grantable(doc: &Doc, host: &Host) -> Result<u64> {
    Ok(if own_user(doc)? { sys::cred::known() } else { host.caps })
}
