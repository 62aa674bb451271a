//! A launch as shell: what `-n` prints. unshare(1) and nsenter(1) stand for the clone, a script
//! for the mounts, and `stave step` for what a process can only do to itself.

use std::fmt::Write;
use std::path::Path;
use step::{Act, Side, Step, quote};

/// The steps of a launch as lines that a POSIX shell runs.
pub fn show(steps: &[Step]) -> String {
    let mut out = String::new();
    let mut child: Vec<&Act> = Vec::new();
    let mut clone = (&[] as &[String], None);
    // What is done in the cgroups once systemd has made them.
    let mut unit: Vec<&Act> = Vec::new();
    for step in steps {
        match (&step.act, step.side) {
            // Only to appear in the container late: nothing that the shell's process would not be.
            (Act::Clone { namespaces, cgroup: None }, Side::Child) if namespaces.is_empty() => {}
            (Act::Clone { namespaces, cgroup }, _) => clone = (namespaces, cgroup.as_deref()),
            (act, Side::Child) => child.push(act),
            // Into a pid namespace by path: nsenter's, with the others.
            (act @ (Act::Setns { .. } | Act::SetnsProcess { .. } | Act::Hide {}), Side::Parent) => {
                child.push(act)
            }
            (act, Side::Parent)
                if matches!(act, Act::Unit { .. } | Act::Attach { .. })
                    || (!unit.is_empty() && of_cgroup(act)) =>
            {
                unit.push(act);
            }
            // A shell has no words for what one process does to another.
            (act, Side::Parent) if act.of_another() => {
                let _ = writeln!(out, "# by the parent, of the process: {}", act.as_word());
            }
            (act, Side::Parent) => {
                let _ = writeln!(out, "{}", act.show());
            }
        }
    }
    let _ = writeln!(out, "(");
    for act in unit {
        let _ = writeln!(out, "{}", act.show());
    }
    out += &before(&child, clone.1);
    out += "exec";
    out += &enter(&child);
    out += &unshare(clone.0, &child);
    let _ = writeln!(out, " sh -e /dev/fd/3 ) 3<<'CHILD'");
    out += &script(&child);
    out += "CHILD\n";
    out
}

fn of_cgroup(act: &Act) -> bool {
    use Act::*;
    matches!(
        act,
        Cgroup { .. }
            | HandDown { .. }
            | Inherit { .. }
            | Limit { .. }
            | OwnCgroup { .. }
            | DeviceFilter { .. }
            | DeviceRules { .. }
            | Write { .. }
    )
}

/// What must be so before the namespaces are made: the cgroups, whose place is the root of a new
/// cgroup namespace. `0` is the writer itself.
fn before(acts: &[&Act], cgroup: Option<&Path>) -> String {
    let mut out = String::new();
    if let Some(dir) = cgroup {
        let _ = writeln!(out, "echo 0 >{}", quote(&dir.join("cgroup.procs").to_string_lossy()));
    }
    for act in acts.iter().filter(|a| matches!(a, Act::JoinCgroup { .. })) {
        let _ = writeln!(out, "{}", act.show());
    }
    out
}

/// nsenter(1) for the namespaces that are there already; but a mount namespace is entered by the
/// last step, since the shell and its tools are not there.
fn enter(acts: &[&Act]) -> String {
    let (mut words, mut pid) = (String::new(), false);
    for act in acts.iter().filter(|a| !enters_mount(a)) {
        match act {
            Act::Setns { kind, path } => {
                pid |= kind == "pid";
                let _ = write!(words, " --{}={}", word(kind), quote(&path.to_string_lossy()));
            }
            Act::SetnsProcess { pid: target, kinds } => {
                for kind in kinds {
                    pid |= kind == "pid";
                    let _ = write!(words, " --{}=/proc/{target}/ns/{}", word(kind), sys::ns::proc_name(kind));
                }
            }
            _ => {}
        }
    }
    if words.is_empty() {
        return words;
    }
    let fork = if pid { "" } else { " --no-fork" };
    format!(" nsenter{words}{fork}")
}

fn enters_mount(act: &Act) -> bool {
    match act {
        Act::Setns { kind, .. } => kind == "mount",
        Act::SetnsProcess { kinds, .. } => kinds.iter().any(|k| k == "mount"),
        _ => false,
    }
}

/// unshare(1) for the new ones.
fn unshare(namespaces: &[String], acts: &[&Act]) -> String {
    let mut kinds: Vec<&str> = namespaces.iter().map(String::as_str).collect();
    for act in acts {
        if let Act::Unshare { kind } = act {
            kinds.push(kind);
        }
    }
    if kinds.is_empty() {
        return String::new();
    }
    let mut out = " unshare".to_owned();
    for kind in &kinds {
        let _ = write!(out, " --{}", word(kind));
    }
    if kinds.contains(&"pid") {
        out += " --fork --kill-child";
    }
    if kinds.contains(&"mount") {
        out += " --propagation unchanged";
    }
    out
}

/// util-linux's word for a namespace.
fn word(kind: &str) -> &str {
    if kind == "network" { "net" } else { kind }
}

/// The rest, in the process itself: shell up to the first step that holds for a process alone, then
/// one `stave step` with all that are left.
fn script(acts: &[&Act]) -> String {
    let done = |a: &Act| {
        matches!(
            a,
            Act::JoinCgroup { .. } | Act::Setns { .. } | Act::SetnsProcess { .. } | Act::Unshare { .. }
        ) && !enters_mount(a)
    };
    // When these are done is of no account; the terminal is the shell's own.
    let early =
        |a: &Act| matches!(a, Act::Session {} | Act::DieWithParent {} | Act::Hide {} | Act::Keyring { .. });
    let moved = |a: &Act| done(a) || early(a) || matches!(a, Act::Terminal { .. } | Act::Control {});
    let rest: Vec<&Act> = acts.iter().copied().filter(|a| !moved(a)).collect();
    let split = rest.iter().position(|a| a.of_process()).unwrap_or(rest.len());
    let mut out = String::new();
    for act in &rest[..split] {
        let _ = writeln!(out, "{}", act.show());
    }
    out += "exec stave step";
    for act in acts.iter().copied().filter(|a| early(a)).chain(rest[split..].iter().copied()) {
        let _ = write!(out, " \\\n  {}", act.as_word());
    }
    out + "\n"
}
