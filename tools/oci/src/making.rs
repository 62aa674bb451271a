//! What create and run have in common: a container is made of its bundle, up to its process.

use crate::Engine;
use crate::container::{Container, host, settled};
use crate::log::{Level, say};
use crate::notify::{Listening, Notify};
use crate::started::{self, Outlets};
use crate::{delete, words};
use anyhow::{Context, Result, bail};
use clap::Args;
use cli::{Drive, Driver, Host};
use doc::Doc;
use launch::{Child, Look, Start};
use state::Record;
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use step::{Act, Step};
use sys::io::Signals;

/// How a container is made.
#[derive(Args, Clone, Debug)]
pub struct Making {
    /// The bundle's directory
    #[arg(short = 'b', long, value_name = "DIR")]
    bundle: Option<String>,
    /// The document, if it is not the bundle's config.json
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<String>,
    #[command(flatten)]
    pub outlets: Outlets,
    /// Change the root without pivot_root(2)
    #[arg(long)]
    no_pivot: bool,
    /// Stay in the caller's session keyring
    #[arg(long)]
    no_new_keyring: bool,
    /// Do not adopt orphans of the container while waiting for it
    #[arg(long)]
    pub no_subreaper: bool,
}

/// A container whose directory and cgroups are there, and no process yet.
pub struct Made<'a> {
    container: &'a Container,
    /// The document.
    pub doc: Doc,
    /// What the process depends on.
    pub look: Look,
    outlets: started::Open,
    cgroups: Vec<Step>,
    made: Vec<usize>,
    lock: File,
}

impl<'a> Made<'a> {
    /// Makes the directory, writes the document, makes the cgroups. On failure nothing is left.
    /// `detached`: nobody will stay who could be a terminal's other end.
    pub fn begin(
        container: &'a Container,
        making: &Making,
        engine: &Engine,
        detached: bool,
    ) -> Result<Made<'a>> {
        let extra = making.outlets.extra()?;
        let bundle = words::path(&making.bundle).unwrap_or(Path::new("."));
        let bundle = bundle.canonicalize().with_context(|| format!("find bundle {}", bundle.display()))?;
        let mut doc = read(&bundle.join(making.config.as_deref().unwrap_or("config.json")))?;
        for warning in doc.validate()? {
            say(Level::Warning, &warning);
        }
        making.outlets.fit(doc.terminal(), detached)?;
        complete(container, &mut doc, making, engine)?;
        making.outlets.listening(&mut doc)?;
        let notify = Notify::wanted(container);
        if let Some(notify) = &notify {
            notify.edit(&mut doc)?;
        }
        let host = host()?;
        if engine.systemd {
            limits::Driver::Systemd.fits(&host)?;
        }
        for warning in launch::warnings(&doc, &host)? {
            say(Level::Warning, warning.trim_start_matches("warning: "));
        }
        // A relative socket is the bundle's, a relative pid file the caller's (as runc).
        let outlets = making.outlets.open(extra, &bundle)?;
        std::env::set_current_dir(&bundle).with_context(|| format!("enter bundle {}", bundle.display()))?;
        let lock = make_dir(container)?;
        let made = notify.map_or(Ok(()), |n| n.make_dir());
        match made.and_then(|()| cgroups(container, &mut doc, &host, engine)) {
            Ok((cgroups, made)) => {
                let mut look = container.look(&doc, &host, &bundle)?;
                look.no_pivot = making.no_pivot;
                Ok(Made { container, doc, look, outlets, cgroups, made, lock })
            }
            Err(e) => {
                delete::remove_dir(container)?;
                Err(e)
            }
        }
    }

    /// The steps of its process; on failure nothing is left.
    pub fn plan(&self, plan: impl FnOnce(&Doc, &Look) -> Result<Vec<Step>>) -> Result<Vec<Step>> {
        plan(&self.doc, &self.look).inspect_err(|_| self.undo())
    }

    /// The socket on which the process will say that it is ready, if anybody wants to know; on failure
    /// nothing is left.
    pub fn listen(&self) -> Result<Option<Listening>> {
        let listening = Notify::wanted(self.container).map(Notify::listen).transpose();
        Ok(listening.inspect_err(|_| self.undo())?.flatten())
    }

    /// Starts the process by `start`, and tells the engine of it; on failure nothing is left, and the
    /// poststop hooks have run.
    pub fn finish(
        &self,
        steps: Vec<Step>,
        signals: &mut Signals,
        start: impl FnOnce(&[Step], Start, &mut Signals) -> Result<Child>,
    ) -> Result<Child> {
        let waits = steps.iter().any(|s| matches!(s.act, Act::Wait {}));
        let result = self.process(steps, signals, start);
        if result.is_err() {
            self.undo();
        }
        result.map_err(|e| started::in_words(e, if waits { "create" } else { "run" }, &self.doc))
    }

    fn process(
        &self,
        mut steps: Vec<Step>,
        signals: &mut Signals,
        start: impl FnOnce(&[Step], Start, &mut Signals) -> Result<Child>,
    ) -> Result<Child> {
        started::pass_on(&mut steps, self.outlets.extra);
        // Known from the first moment on, so that a creation which is cut off can be taken away.
        let mut record = |pid| {
            launch::save_in(&self.container.dir, &Record::of(&self.look.bundle, &self.container.id, pid))
        };
        let mut said = started::Said::wanted(false);
        let watch = said.as_mut().map(|s| s as &mut dyn step::Watch);
        let how = Start { cloned: Some(&mut record), watch, ..Start::default() };
        let child = start(&steps, how, signals)?;
        self.outlets.tell(&child, "standard").inspect_err(|_| started::end(&child))?;
        Ok(child)
    }

    /// Takes all of it away again.
    fn undo(&self) {
        for dir in &self.look.cgroups {
            if let Err(e) = (Act::Members { cgroup: dir.path.clone() }).undo() {
                say(Level::Warning, &format!("end the processes of cgroup {}: {e}", dir.path.display()));
            }
        }
        cli::roll_back("oci", &self.cgroups, &self.made);
        if let Err(e) = delete::remove_seen(self.container, &self.doc, &self.look) {
            say(Level::Warning, &cli::line(&e));
        }
    }

    /// Others may look now.
    pub fn unlock(self) -> (Doc, Look) {
        drop(self.lock);
        (self.doc, self.look)
    }
}

fn read(path: &Path) -> Result<Doc> {
    let text = sys::io::read_file(path).with_context(|| format!("read {}", path.display()))?;
    Doc::parse(&text).with_context(|| format!("read {}", path.display()))
}

/// What the document leaves open, as an OCI runtime takes it, and what the flags add.
fn complete(container: &Container, doc: &mut Doc, making: &Making, engine: &Engine) -> Result<()> {
    doc::nothing_of_the_caller(doc)?;
    // Nobody stays who could be told.
    doc.remove("/stave/seccompLog");
    started::settle_environment(doc)?;
    if unlimited_tasks(doc, doc.get("/linux/resources")) {
        doc.remove("/linux/resources/pids");
    }
    for (flag, key) in [(making.no_new_keyring, "noNewKeyring"), (!engine.cgroups, "noCgroup")] {
        if flag {
            doc.set_stave(key, true)?;
        }
    }
    let path = doc.get("/linux/cgroupsPath").and_then(|p| p.as_str()).unwrap_or_default();
    let path = settled(&container.id, path, engine.systemd)?;
    if !path.is_empty() {
        doc.set("/linux/cgroupsPath", path)?;
    }
    doc.unit()?;
    Ok(())
}

/// Whether resources for the document's container set no limit of tasks by the number 0. Up to 1.2 the
/// specification's Go structure had a plain number there, so that 0 was nothing set, and engines of
/// that time write it for -1 (podman --pids-limit=-1); since 1.3 it is a limit.
pub fn unlimited_tasks(doc: &Doc, resources: Option<&serde_json::Value>) -> bool {
    let version = doc.get("/ociVersion").and_then(|v| v.as_str()).unwrap_or_default();
    let minor = version.split(['.', '-', '+']).nth(1).and_then(|n| n.parse::<u32>().ok());
    let limit = resources.and_then(|r| r.pointer("/pids/limit"));
    minor.is_some_and(|n| n < 3) && limit.is_some_and(|l| *l == 0)
}

/// Saves the document and makes the cgroups; gives their steps, and which of them made something.
fn cgroups(
    container: &Container,
    doc: &mut Doc,
    host: &Host,
    engine: &Engine,
) -> Result<(Vec<Step>, Vec<usize>)> {
    let mut steps = container.cgroup_steps(doc, host)?;
    steps.iter_mut().for_each(|s| s.act.remember());
    if let Some(path) = container.cgroup(doc)? {
        vacant(host, &path)?;
    }
    container.save(doc)?;
    match Driver::new("oci", &Drive::default())?.run(&steps) {
        Ok(made) => Ok((steps, made)),
        Err(e) if engine.may_lack_cgroups && may_do_without(doc) && denied(&e) => {
            doc.set_stave("noCgroup", true)?;
            container.save(doc)?;
            Ok((Vec::new(), Vec::new()))
        }
        Err(e) => Err(e),
    }
}

/// A cgroup with somebody's processes in it is not made a container's, which would end with it.
fn vacant(host: &Host, path: &str) -> Result<()> {
    for dir in host.cgroup_dirs(path, &[]) {
        let n = sys::cgroup::all_procs(&dir.path).len();
        if n > 0 {
            bail!("container's cgroup is not empty: {n} process(es) found in {}", dir.path.display());
        }
        // Who comes into a frozen one stops before it can say so, in one below as well.
        let freezes = dir.v2 || dir.controllers.iter().any(|c| c == "freezer");
        let mut above = dir.path.ancestors().take_while(|a| freezes && *a != dir.mount);
        if above.any(|a| sys::cgroup::is_frozen(a, dir.v2)) {
            bail!("container's cgroup unexpectedly frozen: {}", dir.path.display());
        }
    }
    Ok(())
}

/// Nothing is asked of a cgroup.
fn may_do_without(doc: &Doc) -> bool {
    let path = doc.get("/linux/cgroupsPath").and_then(|p| p.as_str()).unwrap_or_default();
    let asked = |key: &str| doc.get(&format!("/linux/resources/{key}")).is_some();
    path.is_empty()
        && !["memory", "cpu", "pids", "blockIO", "hugepageLimits", "unified"].iter().any(|k| asked(k))
}

fn denied(e: &anyhow::Error) -> bool {
    let errno = e.downcast_ref::<step::Fault>().map(|f| f.fail.errno);
    errno.is_some_and(|e| [sys::EACCES, sys::EPERM, sys::EROFS].contains(&e.0))
}

/// The container's directory, new and locked.
fn make_dir(container: &Container) -> Result<File> {
    let root: PathBuf = container.dir.parent().unwrap_or(Path::new("/")).to_owned();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(&root)
        .with_context(|| format!("make {}", root.display()))?;
    match fs::DirBuilder::new().mode(0o700).create(&container.dir) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("container with given ID already exists")
        }
        other => other.with_context(|| format!("make {}", container.dir.display()))?,
    }
    container.lock()
}
