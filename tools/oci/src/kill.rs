//! kill: a signal to the container's process, or to all of them.

use crate::container::Container;
use anyhow::{Context, Result, bail};

/// The verb.
pub fn kill(container: &Container, signal: &str, _all: bool) -> Result<u8> {
    let number = sys::process::signal_number(signal).with_context(|| format!("unknown signal {signal}"))?;
    let Some(pid) = container.record()?.and_then(|r| r.running()) else {
        bail!("container not running");
    };
    let pidfd = sys::process::pidfd(pid).context("container not running")?;
    sys::process::signal(&pidfd, number).context("send the signal")?;
    Ok(0)
}
