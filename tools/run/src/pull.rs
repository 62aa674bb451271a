//! An image that is not in the store is fetched by `stave-pull`, which lies beside this program: a
//! process of its own, since it alone speaks TLS. It prints the document before the layers have
//! come, so they are unpacked meanwhile.

use anyhow::{Context, Result};
use clap::ValueEnum;
use cli::Host;
use doc::Doc;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use store::{NoImage, Reference, Store};

/// When an image is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, ValueEnum)]
pub enum When {
    /// Where the store has none of that name
    #[default]
    Missing,
    /// Each time: what has not changed is not fetched again
    Always,
    /// Not at all
    Never,
}

/// A pull that is under way. Dropped, it is ended.
pub(crate) struct Fetching {
    child: Child,
    output: BufReader<ChildStdout>,
    ended: bool,
}

/// Whether it is due.
pub(crate) fn is_due(when: When, image: &str, host: &Host) -> Result<bool> {
    match when {
        When::Always => Ok(true),
        When::Never => Ok(false),
        When::Missing => match Store::new(&host.roots.root).find(image) {
            Err(e) if e.is::<NoImage>() => Ok(Reference::parse(image).is_ok()),
            other => other.map(|_| false),
        },
    }
}

/// Starts it, if it is due.
pub(crate) fn begin(when: When, image: &str, host: &Host) -> Result<Option<Fetching>> {
    if !is_due(when, image, host)? {
        return Ok(None);
    }
    let tool = cli::sibling("pull");
    let mut command = Command::new(&tool);
    command.arg("--").arg(image).stdin(Stdio::null()).stdout(Stdio::piped());
    // A signal that ends this program ends it as well.
    let mut child = sys::process::ends_with_us(&mut command)
        .spawn()
        .with_context(|| format!("run {}", tool.display()))?;
    let output = BufReader::new(child.stdout.take().context("read from stave-pull")?);
    Ok(Some(Fetching { child, output, ended: false }))
}

/// A failure while the layers come is the pull's, which has spoken, if it failed.
pub(crate) fn cause(fetching: &mut Option<Fetching>, e: anyhow::Error) -> anyhow::Error {
    if fetching.as_mut().is_some_and(Fetching::failed) { cli::fail_with_status(125) } else { e }
}

impl Fetching {
    /// The document, as soon as the image is known.
    pub(crate) fn document(&mut self) -> Result<Doc> {
        let mut line = Vec::new();
        self.output.read_until(b'\n', &mut line).context("read from stave-pull")?;
        if line.is_empty() {
            self.child.wait().context("wait for stave-pull")?;
            self.ended = true;
            return Err(cli::fail_with_status(125));
        }
        Doc::parse(&line).context("read from stave-pull")
    }

    /// Waits until all has come.
    pub(crate) fn end(mut self) -> Result<()> {
        let status = self.child.wait().context("wait for stave-pull")?;
        self.ended = true;
        if status.success() { Ok(()) } else { Err(cli::fail_with_status(125)) }
    }

    /// Whether it has ended, or is just ending, and not well.
    fn failed(&mut self) -> bool {
        for _ in 0..50 {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    self.ended = true;
                    return !status.success();
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(4)),
                Err(_) => break,
            }
        }
        false
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
