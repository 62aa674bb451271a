//! A container's directory below the root: what is known of it, each fact a file.
//!
//! `state.json` is the record of its process, `config.json` the document as it was made, `start` the
//! socket on which a created process waits (`.start` while it is being made).

use anyhow::{Context, Result, bail};
use cli::Host;
use doc::Doc;
use launch::Look;
use state::{Record, Status};
use std::fs::File;
use std::path::{Path, PathBuf};
use step::Step;

/// A container by its id.
pub struct Container {
    /// As its engine calls it.
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
}

impl Container {
    /// The container of an id, there or not. An id is one safe path component.
    pub fn new(root: Option<&Path>, id: &str) -> Result<Container> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
        if id.is_empty() || id == "." || id == ".." || id.len() > 1024 || !id.chars().all(plain) {
            bail!("invalid container id format: '{id}'");
        }
        let root = match root {
            Some(root) => std::path::absolute(root).context("find --root")?,
            None => own_root()?,
        };
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

    /// Held until the file is dropped; the container is there.
    pub fn lock(&self) -> Result<File> {
        if !self.exists() {
            bail!("container does not exist");
        }
        state::lock_dir(&self.dir).context("container does not exist")
    }

    /// The record of its process; `None` while it is being made.
    pub fn record(&self) -> Result<Option<Record>> {
        if !self.exists() {
            bail!("container does not exist");
        }
        Record::read_in(&self.dir)
    }

    /// The document as it was made.
    pub fn doc(&self) -> Result<Doc> {
        let path = self.file("config.json");
        let text = sys::io::read_file(&path).with_context(|| format!("read {}", path.display()))?;
        Doc::parse(&text).with_context(|| format!("read {}", path.display()))
    }

    /// The specification's word for what it is doing.
    pub fn status(&self, record: Option<&Record>) -> &'static str {
        match record {
            None => "creating",
            Some(r) if r.running().is_none() => "stopped",
            Some(_) if self.file("start").exists() => "created",
            Some(_) if self.file(".start").exists() => "creating",
            Some(r) => match r.status() {
                Status::Stopped(_) => "stopped",
                _ => "running",
            },
        }
    }

    /// The path of its cgroup in every hierarchy.
    pub fn cgroup(&self, doc: &Doc) -> Result<String> {
        let path = match doc.get("/linux/cgroupsPath").and_then(|p| p.as_str()) {
            Some(path) if !path.is_empty() => format!("/{}", path.trim_start_matches('/')),
            _ => format!("/{}", self.id),
        };
        if path.split('/').any(|c| c == "..") {
            bail!("linux.cgroupsPath: {path} leads out of the hierarchy");
        }
        Ok(path)
    }

    /// What its cgroups are made by, and undone.
    pub fn cgroup_steps(&self, doc: &Doc, host: &Host) -> Result<Vec<Step>> {
        // The devices that every container has may be used, whatever the rules say (as runc).
        let mut doc = doc.clone();
        let mut rules: Vec<serde_json::Value> = doc.read("/linux/resources/devices")?.unwrap_or_default();
        rules.extend(doc::default_device_rules());
        doc.set("/linux/resources/devices", rules)?;
        stave_limit::steps(&doc, host, &self.cgroup(&doc)?)
    }

    /// What the plan of its process depends on.
    pub fn look(&self, doc: &Doc, host: &Host, bundle: &Path) -> Result<Look> {
        Ok(Look::of(doc, host, &self.id, bundle, &self.cgroup(doc)?))
    }
}

/// The machine as an engine expects it to be used: a cgroup in every hierarchy.
pub fn host() -> Result<Host> {
    let mut host = Host::gather()?;
    host.every_hierarchy = true;
    Ok(host)
}

fn own_root() -> Result<PathBuf> {
    if sys::cred::euid() == 0 {
        return Ok("/run/stave-oci".into());
    }
    let dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty());
    Ok(PathBuf::from(dir.context("neither --root nor XDG_RUNTIME_DIR is given")?).join("stave-oci"))
}
