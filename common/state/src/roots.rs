//! Paths as functions of the id: what is undone is computed, not remembered.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The two roots: what outlives a boot, and what does not.
#[derive(Clone, Debug, PartialEq)]
pub struct Roots {
    /// Images, layers, containers.
    pub root: PathBuf,
    /// State and pins.
    pub run: PathBuf,
}

impl Roots {
    /// `STAVE_ROOT` and `STAVE_RUN`; else /var/lib/stave and /run/stave for root, below
    /// XDG_DATA_HOME and XDG_RUNTIME_DIR for others.
    pub fn from_env() -> Result<Roots> {
        let root_user = sys::cred::euid() == 0;
        let given = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = || given("XDG_DATA_HOME").or_else(|| Some(given("HOME")?.join(".local/share")));
        let root = match given("STAVE_ROOT") {
            Some(dir) => absolute(dir)?,
            None if root_user => "/var/lib/stave".into(),
            None => home().context("STAVE_ROOT, XDG_DATA_HOME and HOME are unset")?.join("stave"),
        };
        let run = match given("STAVE_RUN") {
            Some(dir) => absolute(dir)?,
            None if root_user => "/run/stave".into(),
            None => match given("XDG_RUNTIME_DIR") {
                Some(dir) => dir.join("stave"),
                None => root.join("run"),
            },
        };
        Ok(Roots { root, run })
    }

    /// The OCI bundle.
    pub fn bundle(&self, id: &str) -> PathBuf {
        self.root.join("c").join(id)
    }

    /// A file or directory of the bundle.
    pub fn in_bundle(&self, id: &str, name: &str) -> PathBuf {
        self.bundle(id).join(name)
    }

    /// The container's part of the run directory.
    pub fn run_of(&self, id: &str) -> PathBuf {
        self.run.join(id)
    }

    /// Where a namespace is pinned, by its OCI kind.
    pub fn pin(&self, id: &str, kind: &str) -> PathBuf {
        self.run_of(id).join("ns").join(sys::ns::proc_name(kind))
    }

    /// The link that holds a name.
    pub fn name(&self, name: &str) -> PathBuf {
        self.root.join("names").join(name)
    }

    /// What that link points to.
    pub fn name_target(id: &str) -> String {
        format!("../c/{id}")
    }

    /// The cgroup of a container whose document names none; an ordinary user's is beside the one that
    /// the caller is in, which is where something may be delegated to it (cgroups(7), v2).
    pub fn cgroup(id: &str) -> String {
        if sys::cred::euid() == 0 {
            return format!("/stave/{id}");
        }
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own.lines().find_map(|l| l.strip_prefix("0::")).unwrap_or("/");
        let beside = own.rsplit_once('/').map_or("", |(parent, _)| parent);
        format!("{beside}/stave/{id}")
    }
}

fn absolute(dir: PathBuf) -> Result<PathBuf> {
    let at = if dir.is_absolute() { dir } else { env::current_dir()?.join(dir) };
    // As the kernel will name it in mountinfo; not there yet: as it was given.
    Ok(at.canonicalize().unwrap_or_else(|_| clean(&at)))
}

fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}

/// A new id: 12 hexadecimal digits.
pub fn new_id() -> Result<String> {
    let bytes: [u8; 6] = sys::io::random().context("draw an id")?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
