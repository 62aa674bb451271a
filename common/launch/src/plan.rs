//! The document as the steps that make pid 1: which namespaces, which mounts, which rights.

use crate::{Look, user};
use anyhow::{Result, bail};
use doc::{Capabilities, Doc, Mount, Namespace};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use step::{Act, Step};

/// Everything from the clone on. The steps before `Clone` are the parent's, the rest the child's.
pub fn init(doc: &Doc, look: &Look) -> Result<Vec<Step>> {
    let namespaces = doc.namespaces()?;
    let new = |kind: &str| namespaces.iter().any(|n| n.kind == kind && n.path.is_none());
    let mut steps = Vec::new();

    for n in namespaces.iter().filter(|n| n.kind == "pid") {
        if let Some(path) = &n.path {
            steps.push(Step::parent(Act::Hide {}));
            steps.push(Step::parent(Act::Setns { kind: "pid".into(), path: path.into() }));
        }
    }
    // The cgroup namespace waits until the child is in its cgroups: its root is where they are then.
    let cloned = namespaces.iter().filter(|n| n.path.is_none() && n.kind != "cgroup");
    steps.push(Step::parent(Act::Clone {
        namespaces: cloned.map(|n| n.kind.clone()).collect(),
        cgroup: look.cgroups.iter().find(|d| d.v2).map(|d| d.path.clone()),
    }));

    let mut acts = Vec::new();
    if doc.stave_flag("dieWithParent") {
        acts.push(Act::DieWithParent {});
    }
    acts.extend(join_cgroups(look));
    if new("cgroup") {
        acts.push(Act::Unshare { kind: "cgroup".into() });
    }
    for n in namespaces.iter().filter(|n| n.kind != "pid") {
        if let Some(path) = &n.path {
            acts.push(Act::Setns { kind: n.kind.clone(), path: path.into() });
        }
    }
    if let (true, Some(name)) = (new("uts"), doc.get("/hostname").and_then(|h| h.as_str())) {
        acts.push(Act::Hostname { name: name.into(), ns: None });
    }
    if new("network") {
        acts.push(Act::LinkUp { name: "lo".into(), ns: None });
    }
    acts.extend(sysctls(doc, &namespaces)?);
    if let Some(score) = doc.read::<i64>("/process/oomScoreAdj")? {
        acts.push(Act::Write { path: "/proc/self/oom_score_adj".into(), text: score.to_string() });
    }
    // Without a pid namespace the workload stays in the caller's session: job control goes on.
    if new("pid") || doc.terminal() {
        acts.push(Act::Session {});
    }
    if new("mount") {
        acts.extend(root_file_system(doc, look)?);
    } else if doc.terminal() {
        acts.push(Act::Terminal { root: "/".into() });
    }
    acts.extend(process(doc, look)?);
    steps.extend(acts.into_iter().map(Step::child));
    Ok(steps)
}

/// What in a document is passed over when its process is started (config.md, capabilities: a value
/// that cannot be mapped is a warning).
pub fn warnings(doc: &Doc) -> Result<Vec<String>> {
    let caps = doc.capabilities()?.unwrap_or_default();
    let all = [caps.bounding, caps.effective, caps.permitted, caps.inheritable, caps.ambient].concat();
    let mut unknown: Vec<String> =
        all.into_iter().filter(|c| !sys::cred::CAPABILITIES.contains(&c.as_str())).collect();
    unknown.sort();
    unknown.dedup();
    Ok(unknown.into_iter().map(|c| format!("warning: there is no capability {c}")).collect())
}

/// Keys of the kernel's that belong to a namespace of the container's, written by the host's /proc
/// once that is joined. Any other is the machine's.
fn sysctls(doc: &Doc, namespaces: &[Namespace]) -> Result<Vec<Act>> {
    const IPC: [&str; 9] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.msg_next_id",
    ];
    let list: BTreeMap<String, String> = doc.read("/linux/sysctl")?.unwrap_or_default();
    let mut acts = Vec::new();
    for (key, value) in list {
        let dotted = key.replace('/', ".");
        let kind = match dotted.as_str() {
            k if k.starts_with("net.") => "network",
            k if k.starts_with("fs.mqueue.") || IPC.contains(&k) => "ipc",
            "kernel.domainname" | "kernel.hostname" => "uts",
            _ => bail!("sysctl {key}: it belongs to the machine, not to a namespace"),
        };
        if !namespaces.iter().any(|n| n.kind == kind) {
            bail!("sysctl {key}: the container has no {kind} namespace of its own");
        }
        // Where a dot belongs to a name (an interface's), the key is given with slashes.
        let path = if key.contains('/') { key } else { key.replace('.', "/") };
        acts.push(Act::Write { path: Path::new("/proc/sys").join(path), text: value });
    }
    Ok(acts)
}

/// v1: the child writes itself into each; v2 was done by the clone.
pub fn join_cgroups(look: &Look) -> impl Iterator<Item = Act> + '_ {
    look.cgroups
        .iter()
        .filter(|d| !d.v2)
        .map(|d| Act::JoinCgroup { path: d.path.clone(), file: "tasks".into() })
}

fn root_file_system(doc: &Doc, look: &Look) -> Result<Vec<Act>> {
    let root = &look.root;
    let own_root = root != Path::new("/");
    let how = doc.get("/linux/rootfsPropagation").and_then(|v| v.as_str()).unwrap_or("rslave");
    if how.ends_with("shared") {
        bail!("rootfsPropagation {how}: what is mounted in the container would be mounted outside too");
    }
    let mut acts = vec![Act::Propagate { at: "/".into(), how: how.into() }];
    // Where no stage could leave the root mounted, it is mounted here, for this process alone.
    match &look.overlay {
        _ if !own_root || look.mounted => {}
        Some(overlay) => acts.push(overlay.clone()),
        None => acts.push(Act::BindSelf { path: root.clone() }),
    }
    // What is made in /dev is made as soon as that is mounted: with the volumes in place the same
    // path may lead, by a link of the image's, into a directory of the host's.
    let mut terminal = doc.terminal();
    for m in &doc.mounts()? {
        acts.extend(mount(root, m, look, doc.id()?));
        // A /dev of the host's is left as it is.
        if own_root && m.destination == "/dev" && !is_bind(m) {
            acts.extend(dev(root));
        }
        if terminal && m.destination == "/dev/pts" {
            acts.push(Act::Terminal { root: root.clone() });
            terminal = false;
        }
    }
    if terminal {
        acts.push(Act::Terminal { root: root.clone() });
    }
    for path in doc.strings("/linux/readonlyPaths")? {
        acts.push(Act::Readonly { root: root.clone(), path: path.into() });
    }
    for path in doc.strings("/linux/maskedPaths")? {
        acts.push(Act::Mask { root: root.clone(), path: path.into() });
    }
    if own_root {
        if doc.root_readonly() {
            acts.push(Act::Readonly { root: root.clone(), path: "/".into() });
        }
        acts.push(Act::PivotRoot { root: root.clone() });
    }
    Ok(acts)
}

fn is_bind(m: &Mount) -> bool {
    m.kind.as_deref() == Some("bind") || m.options.iter().any(|o| o == "bind" || o == "rbind")
}

/// One entry of `mounts`. `cgroup` means the container's own view of every hierarchy.
fn mount(root: &Path, m: &Mount, look: &Look, id: Option<&str>) -> Vec<Act> {
    let act = |to: PathBuf, source: String, kind: Option<String>, options: Vec<String>| Act::Mount {
        root: root.to_owned(),
        to,
        source,
        kind,
        options,
    };
    let to = PathBuf::from(&m.destination);
    if is_bind(m) {
        let source = m.source.clone().unwrap_or_default();
        let source = look.host.roots.bundle(id.unwrap_or_default()).join(source);
        let mut options = m.options.clone();
        if !options.iter().any(|o| o == "bind" || o == "rbind") {
            options.insert(0, "bind".into());
        }
        return vec![act(to, source.to_string_lossy().into_owned(), None, options)];
    }
    let source = m.source.clone().or_else(|| m.kind.clone()).unwrap_or_default();
    if m.kind.as_deref() != Some("cgroup") {
        return vec![act(to, source, m.kind.clone(), m.options.clone())];
    }
    if look.host.cgroups.pure_v2() {
        return vec![act(to, "cgroup".into(), Some("cgroup2".into()), m.options.clone())];
    }
    let readonly = |o: &String| o == "ro" || o == "rw";
    let open: Vec<String> = m.options.iter().filter(|o| !readonly(o)).cloned().collect();
    let mut tmpfs = open.clone();
    tmpfs.push("mode=755".into());
    let mut acts = vec![act(to.clone(), "tmpfs".into(), Some("tmpfs".into()), tmpfs)];
    for dir in &look.cgroups {
        let name = dir.mount.file_name().unwrap_or_default();
        let (kind, mut options) =
            if dir.v2 { ("cgroup2", Vec::new()) } else { ("cgroup", dir.controllers.clone()) };
        options.splice(0..0, m.options.iter().cloned());
        acts.push(act(to.join(name), "cgroup".into(), Some(kind.into()), options));
    }
    if m.options.iter().any(|o| o == "ro") {
        acts.push(Act::Readonly { root: root.to_owned(), path: to });
    }
    acts
}

/// The devices and links that every container has (runtime spec, config-linux.md, Default Devices).
fn dev(root: &Path) -> Vec<Act> {
    let nodes =
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
    let links = [
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("/proc/kcore", "core"),
        ("pts/ptmx", "ptmx"),
    ];
    let mut acts = Vec::new();
    for (name, major, minor) in nodes {
        let path = Path::new("/dev").join(name);
        acts.push(Act::Device { root: root.to_owned(), path, major, minor, mode: 0o666 });
    }
    for (target, name) in links {
        let link = Path::new("/dev").join(name);
        acts.push(Act::Symlink { root: root.to_owned(), target: target.into(), link });
    }
    acts
}

/// What lives in the process alone; a key that is absent leaves the caller's as it is.
pub fn process(doc: &Doc, look: &Look) -> Result<Vec<Act>> {
    let mut acts = Vec::new();
    for r in doc.rlimits()? {
        acts.push(Act::Rlimit { kind: r.kind, soft: r.soft, hard: r.hard });
    }
    if doc.get("/process/cwd").is_some() {
        acts.push(Act::Chdir { path: doc.cwd().into(), make: true });
    }
    let who = doc.user()?;
    acts.push(Act::Umask { mask: who.umask.unwrap_or(look.host.umask) });
    let caps = doc.capabilities()?.map(|c| in_force(c, look, doc)).transpose()?;
    if let Some(caps) = &caps {
        acts.push(Act::Bound { capabilities: caps.bounding.clone() });
    }
    if who.uid != 0 {
        acts.push(Act::Streams { uid: who.uid, terminal: doc.terminal() });
    }
    if doc.get("/process/user").is_some() {
        acts.push(Act::User { uid: who.uid, gid: who.gid, groups: who.additional_gids.clone() });
    }
    if let Some(c) = caps {
        acts.push(Act::Caps {
            effective: c.effective,
            permitted: c.permitted,
            inheritable: c.inheritable,
            ambient: c.ambient,
        });
    }
    if doc.get("/process/noNewPrivileges") == Some(&serde_json::Value::Bool(true)) {
        acts.push(Act::NoNewPrivs {});
    }
    acts.push(Act::Exec { args: doc.args()?, env: environment(doc, look)?, fds: 3 });
    Ok(acts)
}

/// Where the document has device rules and nothing holds them (no cgroup was made, or v2), the
/// right to make devices goes: with both, the host's disks would be a mknod away.
fn in_force(mut caps: Capabilities, look: &Look, doc: &Doc) -> Result<Capabilities> {
    if !look.device_rules() && !doc.resources()?.devices.is_empty() {
        for set in [
            &mut caps.bounding,
            &mut caps.effective,
            &mut caps.permitted,
            &mut caps.inheritable,
            &mut caps.ambient,
        ] {
            set.retain(|c| c != "CAP_MKNOD");
        }
    }
    Ok(caps)
}

/// The document's variables; HOME from the container's passwd and TERM for a terminal where it has
/// none; the caller's own where the document has no list.
fn environment(doc: &Doc, look: &Look) -> Result<Vec<String>> {
    if doc.get("/process/env").is_none() {
        return Ok(std::env::vars_os()
            .map(|(k, v)| format!("{}={}", k.to_string_lossy(), v.to_string_lossy()))
            .collect());
    }
    let mut env = doc.env()?;
    let has = |env: &[String], name: &str| env.iter().any(|e| e.split('=').next() == Some(name));
    if !has(&env, "HOME") && look.root != Path::new("/") {
        env.push(format!("HOME={}", user::home(&look.dirs, doc.user()?.uid)));
    }
    if doc.terminal() && !has(&env, "TERM") {
        env.push("TERM=xterm".into());
    }
    Ok(env)
}
