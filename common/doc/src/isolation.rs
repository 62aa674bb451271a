//! The default isolation: docker's, written out as OCI keys. Whoever wants another changes the
//! document; no tool knows these lists but this file.

use crate::{Doc, Error};
use serde_json::{Value, json};

/// Docker's default set (moby: oci/caps/defaults.go).
pub const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Paths hidden from the container (moby: oci/defaults.go).
pub const MASKED_PATHS: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

/// Paths the container may read only.
pub const READONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Writes the default isolation: six namespaces, docker's capabilities, mounts, masks, device
/// rules and seccomp profile. What the document says already stays.
pub fn isolate(doc: &mut Doc) -> Result<(), Error> {
    let caps = json!(DEFAULT_CAPABILITIES);
    doc.set_default("/process/terminal", false)?;
    doc.set_default("/process/user", json!({"uid": 0, "gid": 0}))?;
    doc.set_default("/process/user/umask", 0o022)?;
    doc.set_default(
        "/process/env",
        json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]),
    )?;
    doc.set_default("/process/cwd", "/")?;
    doc.set_default(
        "/process/capabilities",
        json!({"bounding": caps, "effective": caps, "permitted": caps}),
    )?;
    doc.set_default("/root", json!({"path": "rootfs", "readonly": false}))?;
    doc.set_default("/mounts", default_mounts())?;
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let namespaces: Vec<Value> = namespaces.iter().map(|n| json!({"type": n})).collect();
    doc.set_default("/linux/namespaces", namespaces)?;
    doc.set_default("/linux/resources", json!({"devices": device_rules()}))?;
    doc.set_default("/linux/maskedPaths", json!(MASKED_PATHS))?;
    doc.set_default("/linux/readonlyPaths", json!(READONLY_PATHS))?;
    if doc.get("/linux/seccomp").is_none() {
        doc.set("/linux/seccomp", default_seccomp(doc)?)?;
    }
    Ok(())
}

/// The default profile for the document's capabilities: each unlocks the calls that it is for.
pub fn default_seccomp(doc: &Doc) -> Result<Value, Error> {
    let bounding = doc.capabilities()?.unwrap_or_default().bounding;
    Ok(seccomp::default_profile(&bounding, seccomp::native()))
}

/// Of a document that another program wrote: what it does not say is nothing (config.md), rather than
/// what the caller has. User 0 in no further group, no capability, no variable.
pub fn nothing_of_the_caller(doc: &mut Doc) -> Result<(), Error> {
    if doc.get("/process").is_none() {
        return Ok(());
    }
    doc.set_default("/process/user", json!({"uid": 0, "gid": 0}))?;
    doc.set_default("/process/capabilities", json!({}))?;
    doc.set_default("/process/env", json!([]))?;
    doc.set_default("/process/cwd", "/")
}

fn default_mounts() -> Value {
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["ro", "nosuid", "noexec", "nodev"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]}
    ])
}

/// No device at all, but for those of [`default_device_rules`].
fn device_rules() -> Value {
    let mut rules = vec![json!({"allow": false, "access": "rwm"})];
    rules.extend(default_device_rules());
    Value::Array(rules)
}

/// Every device may be made (mknod), those that the specification has in every /dev (config-linux.md,
/// Default Devices) and terminals may be opened.
pub fn default_device_rules() -> Vec<Value> {
    let mut rules = vec![
        json!({"allow": true, "type": "c", "access": "m"}),
        json!({"allow": true, "type": "b", "access": "m"}),
    ];
    // null zero full random urandom, tty ptmx, and every pts: a container's console is one of these
    let open = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)];
    for (major, minor) in open {
        rules.push(json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"}));
    }
    rules.push(json!({"allow": true, "type": "c", "major": 136, "access": "rwm"}));
    rules
}
