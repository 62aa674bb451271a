//! ps: the processes of a container's cgroup, as the host numbers them.

use crate::container::{Container, host};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::process::Command;

/// The words of `ps`.
#[derive(Args, Debug)]
pub struct Ps {
    /// table or json
    #[arg(short = 'f', long, value_name = "FORMAT", default_value = "table")]
    format: String,
    /// The container
    pub id: String,
    /// Handed on to ps(1); -ef where there are none
    #[arg(trailing_var_arg = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

/// The verb.
pub fn ps(container: &Container, words: &Ps) -> Result<u8> {
    let running = container.record()?.and_then(|record| record.running());
    let pids = pids(container)?;
    if pids.is_empty() && running.is_some() {
        bail!("it is in no cgroup of its own, which would tell its processes");
    }
    match words.format.as_str() {
        "json" => cli::print(&(serde_json::to_string(&pids)? + "\n"))?,
        "table" => cli::print(&table(&pids, &words.options)?)?,
        _ => bail!("invalid format option"),
    }
    Ok(0)
}

/// All processes in the container's cgroup and in those below it.
pub fn pids(container: &Container) -> Result<Vec<i32>> {
    let dirs = container.cgroups(&container.doc()?, &host()?)?;
    let mut pids: Vec<i32> = dirs.iter().flat_map(|d| sys::cgroup::all_procs(&d.path)).collect();
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

/// What ps(1) says of them: its own columns, if one of them is PID.
fn table(pids: &[i32], options: &[String]) -> Result<String> {
    let mut command = Command::new("ps");
    if options.is_empty() {
        command.arg("-ef")
    } else {
        command.args(options)
    };
    let out = command.output().context("run ps")?;
    if !out.status.success() {
        bail!("ps: {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim());
    }
    let text = String::from_utf8_lossy(&out.stdout);
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let at = head.split_whitespace().position(|w| w == "PID").context("ps prints no column PID")?;
    let mut shown = format!("{head}\n");
    for line in lines.filter(|l| !l.trim().is_empty()) {
        let pid =
            line.split_whitespace().nth(at).and_then(|p| p.parse().ok()).context("read what ps prints")?;
        if pids.contains(&pid) {
            shown += &format!("{line}\n");
        }
    }
    Ok(shown)
}
