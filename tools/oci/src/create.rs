//! create: all but the workload's exec. The process is left waiting on its socket.

use crate::Making;
use crate::container::{Container, host};
use anyhow::{Context, Result, bail};
use cli::{Drive, Driver};
use doc::Doc;
use launch::{Child, Look, Start};
use state::Record;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use step::{Act, Fault, Step};

/// The verb.
pub fn create(container: &Container, making: &Making) -> Result<u8> {
    let made = Made::begin(container, making)?;
    let steps = launch::create(&made.doc, &made.look);
    made.finish(steps, making, |steps, mut how, signals| {
        how.listener = Some(sys::io::listen(&container.file(".start")).context("listen for the start")?);
        let child = launch::start(steps, how, signals)?;
        fs::rename(container.file(".start"), container.file("start")).context("listen for the start")?;
        Ok(child)
    })?;
    Ok(0)
}

/// A container whose directory and cgroups are there, and no process yet.
pub struct Made<'a> {
    container: &'a Container,
    /// The document.
    pub doc: Doc,
    /// The bundle, absolute.
    bundle: PathBuf,
    /// What the process depends on.
    pub look: Look,
    cgroups: Vec<Step>,
    made: Vec<usize>,
    _lock: File,
}

impl<'a> Made<'a> {
    /// Makes the directory, writes the document, makes the cgroups. On failure nothing is left.
    pub fn begin(container: &'a Container, making: &Making) -> Result<Made<'a>> {
        let bundle = making.bundle.clone().unwrap_or_else(|| ".".into());
        let bundle = bundle.canonicalize().with_context(|| format!("find bundle {}", bundle.display()))?;
        let path = bundle.join("config.json");
        let text = sys::io::read_file(&path).with_context(|| format!("read {}", path.display()))?;
        let mut doc = Doc::parse(&text).with_context(|| format!("read {}", path.display()))?;
        // Nobody stays who could be told.
        doc.remove("/stave/seccompLog");
        if making.console_socket.is_some() && !doc.terminal() {
            bail!("--console-socket: process.terminal is not set");
        }
        let host = host()?;
        for warning in doc.validate()? {
            cli::say("oci", &format!("warning: {warning}"));
        }
        for warning in launch::warnings(&doc, &host)? {
            cli::say("oci", &warning);
        }
        doc::nothing_of_the_caller(&mut doc)?;
        let cgroups = container.cgroup_steps(&doc, &host)?;
        let lock = make_dir(container)?;
        let result = (|| {
            save(container, &doc)?;
            Driver::new("oci", &Drive::default())?.run(&cgroups)
        })();
        let made = match result {
            Ok(made) => made,
            Err(e) => {
                let _ = fs::remove_dir_all(&container.dir);
                return Err(e);
            }
        };
        let look = container.look(&doc, &host, &bundle)?;
        Ok(Made { container, doc, bundle, look, cgroups, made, _lock: lock })
    }

    /// Starts the process by `start`, and tells the engine of it; on failure nothing is left.
    pub fn finish(
        self,
        steps: Result<Vec<Step>>,
        making: &Making,
        start: impl FnOnce(&[Step], Start, &mut sys::io::Signals) -> Result<Child>,
    ) -> Result<Child> {
        let result = steps.and_then(|steps| self.process(&steps, making, start));
        if result.is_err() {
            self.undo();
        }
        result
    }

    fn process(
        &self,
        steps: &[Step],
        making: &Making,
        start: impl FnOnce(&[Step], Start, &mut sys::io::Signals) -> Result<Child>,
    ) -> Result<Child> {
        let mut signals = launch::signals()?;
        let mut steps = steps.to_vec();
        if let Some(Act::Exec { fds, .. }) = steps.last_mut().map(|s| &mut s.act) {
            *fds += making.preserve_fds;
        }
        // Known from the first moment on, so that a creation which is cut off can be taken away.
        let mut record =
            |pid| launch::save_in(&self.container.dir, &Record::of(&self.bundle, &self.container.id, pid));
        let how = Start { cloned: Some(&mut record), ..Start::default() };
        let child = start(&steps, how, &mut signals)?;
        let told = self.tell(&child, making);
        if told.is_err() {
            let _ = sys::process::signal(&child.pidfd, sys::process::KILL);
            let _ = sys::process::wait(child.pid);
        }
        told.map(|()| child)
    }

    fn tell(&self, child: &Child, making: &Making) -> Result<()> {
        if let (Some(path), Some(master)) = (&making.console_socket, &child.master) {
            send(path, b"/dev/pts/0", master).context("send the terminal to --console-socket")?;
        }
        if let Some(path) = &making.pidfd_socket {
            send(path, b"pidfd", &child.pidfd).context("send the pidfd to --pidfd-socket")?;
        }
        if let Some(path) = &making.pid_file {
            let act =
                Act::Save { path: path.clone(), text: child.pid.to_string(), former: None, sync: false };
            act.make().map_err(|e| Fault::new(&act, e))?;
        }
        Ok(())
    }

    /// Takes all of it away again.
    pub fn undo(&self) {
        cli::roll_back("oci", &self.cgroups, &self.made);
        let _ = fs::remove_dir_all(&self.container.dir);
    }
}

fn send(path: &Path, name: &[u8], fd: impl AsFd) -> Result<()> {
    let socket = sys::io::connect_stream(path)?;
    Ok(sys::io::send(socket, name, Some(fd.as_fd()))?)
}

/// Writes the document into the container's directory.
pub fn save(container: &Container, doc: &Doc) -> Result<()> {
    let act =
        Act::Save { path: container.file("config.json"), text: doc.line() + "\n", former: None, sync: false };
    act.make().map_err(|e| Fault::new(&act, e))?;
    Ok(())
}

/// The container's directory, new and locked.
fn make_dir(container: &Container) -> Result<File> {
    let root = container.dir.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(root)
        .with_context(|| format!("make {}", root.display()))?;
    match fs::DirBuilder::new().mode(0o700).create(&container.dir) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("container with given ID already exists")
        }
        other => other.with_context(|| format!("make {}", container.dir.display()))?,
    }
    container.lock()
}
