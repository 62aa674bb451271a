//! `cp`: the work of `stave push --from`, which alone speaks TLS.

use anyhow::{Context, Result, anyhow};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Becomes it.
pub(crate) fn exec(words: &super::Copy) -> Result<()> {
    let tool = cli::sibling("push");
    let mut command = Command::new(&tool);
    command.args(["--from", &words.src]);
    if words.all {
        command.arg("--all");
    }
    if words.quiet {
        command.arg("-q");
    }
    if let Some(platform) = &words.platform {
        command.args(["--platform", platform]);
    }
    if let Some(fd) = words.json {
        command.arg(format!("--json={fd}"));
    }
    let error = command.arg("--").arg(&words.dst).exec();
    Err(anyhow!(error)).with_context(|| format!("run {}", tool.display()))
}
