//! Hooks: programs that an engine wants run at a moment of a container's life (config.md,
//! POSIX-platform Hooks).

use crate::Fail;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use sys::{Errno, io, process};

/// Of what a hook says when it fails, as much as fits a line.
const SAID: u64 = 2000;

/// Runs a hook to its end. Its stdin is the state, from a file, so that neither side waits for the
/// other; what it says is kept for the case that it fails. Post-condition: it has ended with 0.
pub fn run(
    path: &Path,
    args: &[String],
    env: Option<&[String]>,
    cwd: Option<&Path>,
    timeout: Option<u64>,
    state: &str,
) -> Result<(), Fail> {
    let mut input = io::memfd("state")?;
    input.write_all(state.as_bytes())?;
    input.seek(SeekFrom::Start(0))?;
    let said = io::memfd("hook")?;
    let mut command = Command::new(path);
    if let Some((name, rest)) = args.split_first() {
        command.arg0(name).args(rest);
    }
    if let Some(env) = env {
        command.env_clear().envs(env.iter().filter_map(|e| e.split_once('=')));
    }
    if let Some(cwd) = cwd {
        command.current_dir(cwd);
    }
    command.stdin(input).stdout(Stdio::from(said.try_clone()?)).stderr(Stdio::from(said.try_clone()?));
    let mut child = process::begins_clean(&mut command).spawn()?;
    let fail = |text: String| Err(Fail { errno: Errno(0), why: Some(text), status: None });
    if let Some(seconds) = timeout {
        let pidfd = process::pidfd(child.id() as i32)?;
        let ms = i32::try_from(seconds.saturating_mul(1000)).unwrap_or(i32::MAX);
        if !process::ended(&pidfd, ms)? {
            let _ = process::signal(&pidfd, process::KILL);
            let _ = child.wait();
            return fail(format!("not done after {seconds} s"));
        }
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    let how = match status.signal() {
        // Nothing else tells that the container's filter has done it.
        Some(n) if process::signal_name(n) == "SYS" => "killed by SIGSYS: bad system call".into(),
        Some(n) => format!("killed by SIG{}", process::signal_name(n)),
        None => format!("exit status {}", status.code().unwrap_or_default()),
    };
    match words(said) {
        Some(words) => fail(format!("{how}: {words}")),
        None => fail(how),
    }
}

fn words(mut said: File) -> Option<String> {
    said.seek(SeekFrom::Start(0)).ok()?;
    let mut bytes = Vec::new();
    said.take(SAID).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}
