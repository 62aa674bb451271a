//! A container stands still while it is packed (cgroups(7): the freezer), and goes on whatever
//! becomes of the packing: a child of its own thaws it when the pipe between them ends.

use anyhow::{Context, Result, bail};
use cli::Host;
use doc::Doc;
use state::{Place, Record};
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A cgroup that can be frozen.
#[derive(Debug)]
pub struct Freezer {
    /// What is written to.
    pub file: PathBuf,
    /// v2's words, or v1's.
    v2: bool,
}

/// Frozen until it is dropped.
pub struct Frozen(Child);

impl Freezer {
    /// Of a container that runs; `None` inside: it has no cgroup to freeze. `None`: it does not run.
    pub fn of(doc: &Doc, id: &str, host: &Host) -> Result<Option<Option<Freezer>>> {
        let running = Record::read(&host.roots, id)?.is_some_and(|r| r.running().is_some());
        if !running {
            return Ok(None);
        }
        let place = Place::of(doc, id)?;
        // One that is not its own may hold others.
        if !place.is_own(id) {
            return Ok(Some(None));
        }
        let dirs = host.cgroup_dirs(&place.path, &[]);
        let v2 =
            dirs.iter().filter(|d| d.v2).map(|d| Freezer { file: d.path.join("cgroup.freeze"), v2: true });
        let v1 = dirs.iter().filter(|d| d.controllers.iter().any(|c| c == "freezer"));
        let v1 = v1.map(|d| Freezer { file: d.path.join("freezer.state"), v2: false });
        Ok(Some(v2.chain(v1).find(|f| f.file.exists())))
    }

    /// What is written to stop it, and to let it go on.
    pub fn words(&self) -> (&'static str, &'static str) {
        if self.v2 { ("1", "0") } else { ("FROZEN", "THAWED") }
    }

    fn is_frozen(&self) -> Result<bool> {
        let file = if self.v2 { self.file.with_file_name("cgroup.events") } else { self.file.clone() };
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        Ok(text.lines().any(|l| l == "frozen 1" || l == "FROZEN"))
    }

    /// Post-condition: no process of it runs. One that was frozen already stays so afterwards.
    pub fn freeze(&self) -> Result<Option<Frozen>> {
        if self.is_frozen()? {
            return Ok(None);
        }
        let own = std::env::current_exe().context("find this program")?;
        let (frozen, thawed) = self.words();
        // In a process group of its own: a terminal's ^C is not for it.
        let child = Command::new(own)
            .arg0("stave-pack")
            .arg("--thaw")
            .arg(&self.file)
            .arg(thawed)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn();
        let guard = Frozen(child.context("start what thaws it")?);
        fs::write(&self.file, frozen).with_context(|| format!("write {}", self.file.display()))?;
        let until = Instant::now() + Duration::from_secs(10);
        while !self.is_frozen()? {
            if Instant::now() > until {
                bail!("it does not stand still ({})", self.file.display());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Some(guard))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// What the child does: waits for the end of stdin, and writes. A cgroup that is gone is thawed.
pub fn thaw(file: &Path, word: &str) -> Result<()> {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    match fs::write(file, word) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).context(format!("write {}", file.display()))
        }
        _ => Ok(()),
    }
}
