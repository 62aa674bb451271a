//! spec: a config.json to begin with.

use anyhow::{Context, Result, bail};
use clap::Args;
use doc::Namespace;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The words of `spec`.
#[derive(Args, Debug)]
pub struct Spec {
    /// The bundle's directory
    #[arg(short = 'b', long, value_name = "DIR")]
    bundle: Option<String>,
    /// The file's name
    #[arg(short = 'f', long, value_name = "FILE", default_value = "config.json")]
    file: String,
    /// For an ordinary user
    #[arg(long)]
    rootless: bool,
}

/// The verb. A file that is there is never written over.
pub fn spec(words: &Spec) -> Result<u8> {
    let dir = PathBuf::from(words.bundle.clone().filter(|b| !b.is_empty()).unwrap_or_else(|| ".".into()));
    let path = dir.join(&words.file);
    let text = serde_json::to_string_pretty(&document(words.rootless))? + "\n";
    let mut file = match std::fs::File::options().write(true).create_new(true).open(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("file {} exists: remove it first", words.file)
        }
        other => other.with_context(|| format!("write {}", path.display()))?,
    };
    std::io::Write::write_all(&mut file, text.as_bytes())
        .with_context(|| format!("write {}", path.display()))?;
    Ok(0)
}

fn document(rootless: bool) -> Value {
    let caps = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let mut namespaces: Vec<Namespace> =
        ["pid", "network", "ipc", "uts", "mount"].map(Namespace::new).into_iter().collect();
    if sys::cgroup::Layout::read().is_ok_and(|l| l.pure_v2()) {
        namespaces.push(Namespace::new("cgroup"));
    }
    let mut doc = json!({
        "ociVersion": crate::features::SPEC,
        "process": {
            "terminal": true,
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": caps, "effective": caps, "permitted": caps },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "stave",
        "mounts": mounts(rootless),
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": namespaces,
            "maskedPaths": doc::MASKED_PATHS,
            "readonlyPaths": doc::READONLY_PATHS,
        },
    });
    if rootless {
        // One id, the caller's; what only root may do goes.
        namespaces.retain(|n| n.kind != "network");
        namespaces.push(Namespace::new("user"));
        let own = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
        doc["linux"]["namespaces"] = json!(namespaces);
        doc["linux"]["uidMappings"] = own(sys::cred::euid());
        doc["linux"]["gidMappings"] = own(sys::cred::egid());
        if let Some(linux) = doc["linux"].as_object_mut() {
            linux.shift_remove("resources");
        }
    }
    doc
}

fn mounts(rootless: bool) -> Value {
    let entry = |to: &str, kind: &str, source: &str, options: &str| {
        let mut mount = json!({ "destination": to, "type": kind, "source": source });
        if !options.is_empty() {
            mount["options"] = json!(options.split(',').collect::<Vec<_>>());
        }
        mount
    };
    let pts = "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620";
    let pts = if rootless { pts.to_owned() } else { format!("{pts},gid=5") };
    let sys = match rootless {
        true => entry("/sys", "none", "/sys", "rbind,nosuid,noexec,nodev,ro"),
        false => entry("/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"),
    };
    json!([
        entry("/proc", "proc", "proc", ""),
        entry("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
        entry("/dev/pts", "devpts", "devpts", &pts),
        entry("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k"),
        entry("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"),
        sys,
        entry("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro"),
    ])
}
