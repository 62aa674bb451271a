//! features: what this runtime can do (features.md, features-linux.md), whatever the host can.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

/// The newest specification that is carried out.
pub const SPEC: &str = "1.3.0";

/// The words of `features`.
#[derive(Args, Debug)]
pub struct Features {}

/// Words of `mounts[].options` that are no file system's own (config.md, Linux mount options).
const MOUNT_OPTIONS: &str = "acl async atime bind copy-symlink defaults dest-nofollow dev diratime dirsync exec \
    idmap iversion lazytime loud mand noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime \
    nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime remount rexec ridmap rnoatime \
    rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw \
    rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave src-nofollow strictatime \
    suid symfollow sync tmpcopyup unbindable";

/// The verb.
pub fn features() -> Result<u8> {
    cli::print(&(serde_json::to_string_pretty(&all())? + "\n"))?;
    Ok(0)
}

fn sorted(words: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    let mut words: Vec<&str> = words.into_iter().collect();
    words.sort_unstable();
    words
}

fn all() -> Value {
    let namespaces = sorted(doc::NAMESPACES);
    let flags = sorted(seccomp::FLAGS.iter().map(|(word, _)| *word));
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": MOUNT_OPTIONS.split_whitespace().collect::<Vec<_>>(),
        "linux": {
            "namespaces": namespaces,
            "capabilities": sys::cred::CAPABILITIES.as_slice(),
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "seccomp": {
                "enabled": true,
                "actions": sorted(seccomp::ACTIONS.iter().map(|(word, _)| *word)),
                "operators": sorted(seccomp::OPERATORS.iter().map(|(word, _)| *word)),
                "archs": sorted(seccomp::arches().map(|arch| arch.oci)),
                "knownFlags": flags,
                "supportedFlags": flags,
            },
            "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
            "memoryPolicy": {
                "modes": sys::sched::MEMORY_MODES,
                "flags": sys::sched::MEMORY_FLAGS,
            },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": true },
        },
        "annotations": {
            "org.opencontainers.runc.checkpoint.enabled": "false",
            "io.stave.version": env!("CARGO_PKG_VERSION"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_known() {
        let words: Vec<&str> = MOUNT_OPTIONS.split_whitespace().collect();
        for word in &words {
            assert_eq!(sys::mount::Words::of(&[word]).data, [""; 0], "{word}");
        }
        assert!(words.is_sorted());
    }
}
