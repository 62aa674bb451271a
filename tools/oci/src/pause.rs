//! pause and resume: the freezer of the container's cgroup.

use crate::container::{Container, host};
use crate::state;
use anyhow::{Context, Result, bail};
use clap::Args;
use cli::freezer;

/// The words of `pause`.
#[derive(Args, Debug)]
pub struct Pause {
    /// The container
    pub id: String,
}

/// The words of `resume`.
#[derive(Args, Debug)]
pub struct Resume {
    /// The container
    pub id: String,
}

/// The verb.
pub fn pause(container: &Container) -> Result<u8> {
    let _lock = container.lock()?;
    let (status, cgroup) = now(container)?;
    match status {
        "running" | "created" => {
            freezer::freeze(&host()?, &cgroup.context("it has no cgroup to freeze")?, true)?
        }
        _ => bail!("container not running or created: {status}"),
    }
    Ok(0)
}

/// The verb.
pub fn resume(container: &Container) -> Result<u8> {
    let _lock = container.lock()?;
    match now(container)? {
        ("paused", Some(cgroup)) => freezer::freeze(&host()?, &cgroup, false)?,
        _ => bail!("container not paused"),
    }
    Ok(0)
}

fn now(container: &Container) -> Result<(&'static str, Option<String>)> {
    let record = container.record()?;
    let cgroup = container.cgroup(&container.doc()?)?;
    Ok((state::status(container, record.as_ref(), cgroup.as_deref()), cgroup))
}
