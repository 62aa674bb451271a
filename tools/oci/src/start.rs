//! start: a created process goes on to its exec.

use crate::container::{Container, host};
use anyhow::{Context, Result, bail};
use std::path::Path;
use step::Fault;

/// The verb.
pub fn start(container: &Container) -> Result<u8> {
    let lock = container.lock()?;
    let record = container.record()?;
    let status = container.status(record.as_ref());
    let Some(record) = record.filter(|_| status == "created") else {
        match status {
            "running" => bail!("cannot start an already running container"),
            "stopped" => bail!("cannot start a container that has stopped"),
            _ => bail!("cannot start a container in the {status} state"),
        }
    };
    let mut signals = launch::signals()?;
    let socket = container.file("start");
    let connection = sys::io::connect(&socket).context("reach the process")?;
    // From here on it is not created any more; if this process dies before it says so, the other one
    // sees the end of the connection and waits for the next, which nobody can make: it is deleted.
    std::fs::remove_file(&socket).context("start the process")?;
    launch::go(connection, record.pid, &mut signals)?;
    drop(lock);
    after(container, Path::new(&record.bundle), record.pid)?;
    Ok(0)
}

/// What is due once the workload runs: the poststart hooks.
pub fn after(container: &Container, bundle: &Path, pid: i32) -> Result<()> {
    let doc = container.doc()?;
    if doc.hooks("poststart")?.is_empty() {
        return Ok(());
    }
    let look = container.look(&doc, &host()?, bundle)?;
    for act in launch::hooks(&doc, &look, "poststart", "running")? {
        act.make_for(pid).map_err(|e| Fault::new(&act, e))?;
    }
    Ok(())
}
