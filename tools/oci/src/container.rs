//! A container's directory below the root: what is known of it, each fact a file.
//!
//! `state.json` is the record of its process, `config.json` the document as it was made (and as it was
//! changed since), `exec.fifo` the door behind which a created process waits (`.exec.fifo` while it is being
//! made).

use anyhow::{Context, Result, anyhow, bail};
use cli::Host;
use doc::Doc;
use launch::Look;
use state::{Gone, Place, Record};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use step::{Act, Fault, Step};

/// A container by its id.
pub struct Container {
    /// As its engine calls it.
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
}

/// The error that engines look for.
pub fn not_there() -> anyhow::Error {
    anyhow!("container does not exist")
}

impl Container {
    /// The container of an id, there or not. An id is one safe path component.
    pub fn new(root: &Path, id: &str) -> Result<Container> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
        if id.is_empty() {
            bail!("container id cannot be empty");
        }
        if id == "." || id == ".." || id.len() > 1024 || !id.chars().all(plain) {
            bail!("invalid container ID format: {id}");
        }
        Ok(Container { id: id.to_owned(), dir: root.join(id) })
    }

    /// A file of its directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Whether there is such a container.
    pub fn exists(&self) -> bool {
        self.dir.is_dir()
    }

    /// Held until the file is dropped. Blocks. Post-condition: the container is there.
    pub fn lock(&self) -> Result<File> {
        state::lock_dir(&self.dir).map_err(|e| {
            let missing = e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::NotFound);
            if missing || e.is::<Gone>() { not_there() } else { e }
        })
    }

    /// The record of its process; `None` while it is being made.
    pub fn record(&self) -> Result<Option<Record>> {
        match Record::read_in(&self.dir)? {
            None if !self.exists() => Err(not_there()),
            other => Ok(other),
        }
    }

    /// The document's bytes; `None` while it is being made.
    pub fn text(&self) -> Result<Option<Vec<u8>>> {
        let path = self.file("config.json");
        match sys::io::read_file(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound && self.exists() => Ok(None),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(not_there()),
            other => other.map(Some).with_context(|| format!("read {}", path.display())),
        }
    }

    /// The document as it was made.
    pub fn doc(&self) -> Result<Doc> {
        let text = self.text()?.ok_or_else(not_there)?;
        Doc::parse(&text).with_context(|| format!("read {}", self.file("config.json").display()))
    }

    /// Writes the document.
    pub fn save(&self, doc: &Doc) -> Result<()> {
        let act =
            Act::Save { path: self.file("config.json"), text: doc.line() + "\n", former: None, sync: false };
        act.make().map_err(|e| Fault::new(&act, e))?;
        Ok(())
    }

    /// Where its cgroup is; `None`: it has none.
    pub fn place(&self, doc: &Doc) -> Result<Option<Place>> {
        if doc.stave_flag("noCgroup") {
            return Ok(None);
        }
        let path = doc.get("/linux/cgroupsPath").and_then(|p| p.as_str()).unwrap_or_default();
        place_of(&self.id, path).map(Some)
    }

    /// The path of its cgroup in every hierarchy; `None`: it has none.
    pub fn cgroup(&self, doc: &Doc) -> Result<Option<String>> {
        Ok(self.place(doc)?.map(|place| place.path))
    }

    /// What its cgroups are made by, and undone.
    pub fn cgroup_steps(&self, doc: &Doc, host: &Host) -> Result<Vec<Step>> {
        match self.place(doc)? {
            Some(place) => limits::steps(&with_devices(doc)?, host, &place),
            None => Ok(Vec::new()),
        }
    }

    /// Its cgroup directories that are there.
    pub fn cgroups(&self, doc: &Doc, host: &Host) -> Result<Vec<state::CgroupDir>> {
        let Some(path) = self.cgroup(doc)? else { return Ok(Vec::new()) };
        let mut dirs = host.cgroup_dirs(&path, &[]);
        dirs.retain(|d| d.path.is_dir());
        Ok(dirs)
    }

    /// What the plan of its process depends on.
    pub fn look(&self, doc: &Doc, host: &Host, bundle: &Path) -> Result<Look> {
        let Some(place) = self.place(doc)? else {
            let mut look = Look::of(doc, host, &self.id, bundle, "/", Vec::new());
            look.cgroups.clear();
            return Ok(look);
        };
        let unit = match place.unit {
            Some(_) => limits::launched(&with_devices(doc)?, host, &place)?,
            None => Vec::new(),
        };
        let look = Look::of(doc, host, &self.id, bundle, &place.path, unit);
        Ok(Look { attach: limits::attach(host, &place), ..look })
    }
}

/// No device may be used that no rule speaks of; the devices that every container has may be, whatever the
/// rules say (as runc). So may /dev/net/tun, which images make themselves and engines have no rule for: runc
/// and crun took it away once, and gave it back (runc 1.2.4, crun 1.20). A rule that names it decides.
fn with_devices(doc: &Doc) -> Result<Doc> {
    let mut doc = doc.clone();
    let mut rules = vec![serde_json::json!({"allow": false, "access": "rwm"})];
    rules.extend(doc.read::<Vec<serde_json::Value>>("/linux/resources/devices")?.unwrap_or_default());
    if !rules.iter().any(|rule| rule["major"] == 10 && rule["minor"] == 200) {
        rules.push(
            serde_json::json!({"allow": true, "type": "c", "major": 10, "minor": 200, "access": "rwm"}),
        );
    }
    rules.extend(doc::default_device_rules());
    doc.set("/linux/resources/devices", rules)?;
    Ok(doc)
}

/// Where the cgroup is that the document of a container, as it was made, has in `linux.cgroupsPath`: a
/// unit's, or a directory (see [`settled`]).
pub fn place_of(id: &str, path: &str) -> Result<Place> {
    Place::named(path).map_or_else(|| cgroup_of(id, path).map(Place::dir), Ok)
}

/// `linux.cgroupsPath` of a bundle, as this runtime is told to take it: `slice:prefix:name`, or a directory,
/// which begins with a slash from here on. Empty: the usual one.
pub fn settled(id: &str, path: &str, systemd: bool) -> Result<String> {
    match (systemd, path) {
        (false, "") => Ok(String::new()),
        (false, path) => cgroup_of(id, path),
        (true, "") => Ok(format!(":stave:{id}")),
        (true, path) if doc::Unit::parse(path).is_some() => Ok(path.to_owned()),
        (true, path) => bail!(
            "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"{path}\" instead"
        ),
    }
}

/// The path in every hierarchy of what a document calls `linux.cgroupsPath`; empty: the id's.
pub fn cgroup_of(id: &str, path: &str) -> Result<String> {
    if path.split('/').any(|c| c == "..") {
        bail!("linux.cgroupsPath: {path} leads out of the hierarchy");
    }
    let path: Vec<&str> = path.split('/').filter(|c| !c.is_empty() && *c != ".").collect();
    Ok(if path.is_empty() { format!("/{id}") } else { format!("/{}", path.join("/")) })
}

/// The machine as an engine expects it to be used: a cgroup in every hierarchy, and the umask of the
/// document or 022, never the caller's.
pub fn host() -> Result<Host> {
    let mut host = Host::gather()?;
    host.every_hierarchy = true;
    host.umask = 0o022;
    Ok(host)
}

/// The directory of all containers, absolute: as given, or the one for this user.
pub fn root(given: Option<&str>) -> Result<PathBuf> {
    let root = match given {
        Some(root) => std::path::absolute(if root.is_empty() { "." } else { root }).context("find --root")?,
        None => own_root()?,
    };
    // Without `..`, but with links as they are.
    let mut clean = PathBuf::new();
    for part in root.components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    if clean == Path::new("/") {
        bail!("--root should not be set to /");
    }
    Ok(clean)
}

fn own_root() -> Result<PathBuf> {
    let dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty());
    // As runc: an engine of an ordinary user is root in a user namespace, but of no login of root's.
    let ordinary = || sys::ns::in_user_namespace() && std::env::var_os("USER").is_none_or(|u| u != "root");
    if sys::cred::euid() == 0 && !(dir.is_some() && ordinary()) {
        return Ok("/run/stave-oci".into());
    }
    Ok(PathBuf::from(dir.context("neither --root nor XDG_RUNTIME_DIR is given")?).join("stave-oci"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_paths() {
        let at = |id: &str| Container::new(Path::new("/r"), id).map(|c| c.dir);
        assert_eq!(at("a.b+c-d_1").unwrap(), Path::new("/r/a.b+c-d_1"));
        for id in ["", ".", "..", "a/b", "a b", "ä"] {
            assert!(at(id).is_err(), "{id}");
        }
        assert_eq!(root(Some("/a/../b/c")).unwrap(), Path::new("/b/c"));
        assert!(root(Some("/a/../..")).is_err());
        for (path, cgroup) in [("", "/x"), ("a/b", "/a/b"), ("//a/./b/", "/a/b"), ("s:p:n", "/s:p:n")] {
            assert_eq!(cgroup_of("x", path).unwrap(), cgroup);
        }
        assert!(cgroup_of("x", "/a/../../b").is_err());
        for (path, systemd, is) in [
            ("", false, ""),
            ("s:p:n", false, "/s:p:n"),
            ("", true, ":stave:x"),
            ("a.slice:p:n", true, "a.slice:p:n"),
        ] {
            assert_eq!(settled("x", path, systemd).unwrap(), is);
        }
        assert!(settled("x", "/a", true).is_err());
        assert_eq!(place_of("x", "/s:p:n").unwrap(), Place::dir("/s:p:n".into()));
        assert!(place_of("x", "a.slice:p:n").unwrap().unit.is_some());
    }
}
