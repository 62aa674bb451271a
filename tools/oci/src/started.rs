//! What is around a process that is started, a container's first or one more: what it inherits, who is
//! told of it, and what is said when it fails.

use crate::log::{Level, debugs, say};
use crate::words;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use doc::Doc;
use launch::Child;
use serde_json::json;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use step::{Act, Done, Fail, Fault, Next, Step, Watch};

/// Where an engine wants to be told of a process, and what it hands on to it.
#[derive(Args, Clone, Debug)]
pub struct Outlets {
    /// Where to write the process's pid
    #[arg(long, value_name = "FILE")]
    pid_file: Option<String>,
    /// A unix socket that gets the terminal's master
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<String>,
    /// A unix socket that gets the process's pidfd
    #[arg(long, value_name = "SOCKET")]
    pidfd_socket: Option<String>,
    /// This many more descriptors, from 3 and those of LISTEN_FDS on, are handed on
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
}

/// The same, found and connected.
pub struct Open {
    pid_file: Option<PathBuf>,
    console: Option<OwnedFd>,
    pidfd: Option<OwnedFd>,
    /// How many descriptors from 3 on are handed on.
    pub extra: u32,
}

impl Outlets {
    /// How many descriptors from 3 on are handed on; each of them is there.
    pub fn extra(&self) -> Result<u32> {
        let listening = listen_fds();
        for n in 0..self.preserve_fds {
            if !passed(3 + listening + n) {
                bail!(
                    "unable to stat preserved-fd {n} (of {}): no such file or directory",
                    self.preserve_fds
                );
            }
        }
        Ok(listening + self.preserve_fds)
    }

    /// Whether the flags fit a process with or without a terminal, whose starter stays or not.
    pub fn fit(&self, terminal: bool, detached: bool) -> Result<()> {
        let socket = words::path(&self.console_socket).is_some();
        if detached && terminal && !socket {
            bail!("cannot allocate tty if stave-oci will detach without setting console socket");
        }
        if socket && !(detached && terminal) {
            bail!("cannot use console socket if stave-oci will not detach or allocate tty");
        }
        Ok(())
    }

    /// Sockets of systemd's activation, passed on (sd_listen_fds(3)): the process is told of them.
    pub fn listening(&self, doc: &mut Doc) -> Result<()> {
        let n = listen_fds();
        if n > 0 {
            doc.put_env("LISTEN_FDS", &n.to_string())?;
            doc.put_env("LISTEN_PID", "1")?;
        }
        Ok(())
    }

    /// Connects to the sockets; relative ones are in that directory.
    pub fn open(&self, extra: u32, dir: &Path) -> Result<Open> {
        let connect = |given: &Option<String>| {
            let path = words::path(given).map(|p| dir.join(p));
            let open = |p: PathBuf| {
                sys::io::connect_stream(&p).with_context(|| format!("connect to {}", p.display()))
            };
            path.map(open).transpose()
        };
        let pid_file = words::path(&self.pid_file).map(std::path::absolute).transpose();
        Ok(Open {
            pid_file: pid_file.context("find --pid-file")?,
            console: connect(&self.console_socket).context("--console-socket")?,
            pidfd: connect(&self.pidfd_socket).context("--pidfd-socket")?,
            extra,
        })
    }
}

impl Open {
    /// Tells the engine of the process. `kind`: what stands beside its pidfd.
    pub fn tell(&self, child: &Child, kind: &str) -> Result<()> {
        if let Some(socket) = &self.console {
            let master = child.master.as_ref().context("the process has opened no terminal")?;
            sys::io::send(socket, b"/dev/ptmx", Some(master.as_fd()))
                .context("send the terminal to --console-socket")?;
        }
        if let Some(socket) = &self.pidfd {
            sys::io::send(socket, kind.as_bytes(), Some(child.pidfd.as_fd()))
                .context("send the pidfd to --pidfd-socket")?;
        }
        if let Some(path) = &self.pid_file {
            let act =
                Act::Save { path: path.clone(), text: child.pid.to_string(), former: None, sync: false };
            act.make().map_err(|e| Fault::new(&act, e))?;
        }
        Ok(())
    }
}

/// How many sockets systemd has opened for this very process.
fn listen_fds() -> u32 {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u32>().ok());
    match number("LISTEN_PID") {
        Some(pid) if pid == std::process::id() => number("LISTEN_FDS").unwrap_or_default().min(1024),
        _ => 0,
    }
}

/// Whether the caller has passed on a descriptor: those that this process opened are close-on-exec.
fn passed(number: u32) -> bool {
    const CLOEXEC: u32 = 0o2_000_000;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = info.lines().find_map(|l| l.strip_prefix("flags:"));
    flags.and_then(|f| u32::from_str_radix(f.trim(), 8).ok()).is_some_and(|f| f & CLOEXEC == 0)
}

/// The process gets this many descriptors more.
pub fn pass_on(steps: &mut [Step], extra: u32) {
    if let Some(Act::Exec { fds, .. }) = steps.last_mut().map(|s| &mut s.act) {
        *fds += extra;
    }
}

/// What the process's terminal prints comes to the caller's, which makes lines of it.
pub fn plain_terminal(steps: &mut [Step]) {
    for step in steps {
        if let Act::Terminal { plain, .. } = &mut step.act {
            *plain = true;
        }
    }
}

/// Looks for the program before the exec: what is missing is said in the words that engines know.
pub fn look_up_first(steps: &mut Vec<Step>) {
    let Some(Act::Exec { args, env, .. }) = steps.last().map(|s| &s.act) else { return };
    let look = Act::LookUp { args: args.clone(), env: env.clone() };
    steps.insert(steps.len() - 1, Step::child(look));
}

/// Each variable once: the last of a name stands, where the first did. An empty HOME is none.
pub fn settle_environment(doc: &mut Doc) -> Result<()> {
    let name = |e: &str| e.split('=').next().unwrap_or_default().to_owned();
    let mut env: Vec<String> = Vec::new();
    for entry in doc.env()? {
        match env.iter_mut().find(|e| name(e) == name(&entry)) {
            Some(former) => *former = entry,
            None => env.push(entry),
        }
    }
    env.retain(|e| e != "HOME=");
    doc.set("/process/env", env)?;
    Ok(())
}

/// A process that the caller's terminal will be joined to has its size from the start.
pub fn size_as_caller(doc: &mut Doc) -> Result<()> {
    if doc.terminal()
        && doc.get("/process/consoleSize").is_none()
        && let Some((rows, columns)) = launch::callers_size()
    {
        doc.set("/process/consoleSize", json!({ "height": rows, "width": columns }))?;
    }
    Ok(())
}

/// Ends a process that was started for nothing.
pub fn end(child: &Child) {
    let _ = sys::process::signal(&child.pidfd, sys::process::KILL);
    let _ = sys::process::wait(child.pid);
}

/// A program that the kernel would not run, although all else is done: what is left to say is the
/// process's own, so nothing stands before it (as runc, which builders show). The reason, of which
/// the kernel says nothing, is for the log.
#[derive(Debug)]
pub struct Refused {
    /// What the process would say.
    pub line: String,
    why: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Refused {}

/// A step of a verb that failed, in the words that engines look for.
pub fn in_words(e: anyhow::Error, verb: &str, doc: &Doc) -> anyhow::Error {
    let Some(fault) = e.downcast_ref::<Fault>() else { return e };
    match &*fault.act {
        Act::Exec { args, .. } if fault.fail.status == Some(126) => {
            let name = args.first().map(String::as_str).unwrap_or_default();
            let why = format!("exec {name}: {}", program(name, &fault.fail));
            if verb != "run" {
                return anyhow!(why);
            }
            let line = format!("exec {name}: {}", fault.fail.errno.to_string().to_lowercase());
            Refused { line, why }.into()
        }
        // runc's words, which hold crun's: scripts look for them.
        Act::Chdir { path, .. } => {
            anyhow!("chdir to cwd ({path:?}) set in config.json failed: {}", fault.fail)
        }
        Act::Scheduler { .. } if doc.get("/linux/resources/cpu/cpus").is_some() => {
            anyhow!("{e}: a process scheduler can't be used together with AllowedCPUs")
        }
        Act::Exec { args, .. } | Act::LookUp { args, .. } => {
            let name = args.first().map(String::as_str).unwrap_or_default();
            anyhow!("exec: {name:?}: {}", program(name, &fault.fail))
        }
        Act::Hook { kind, path, args, .. } => {
            let same = |h: &doc::Hook| Path::new(&h.path) == path && &h.args == args;
            let n = doc.hooks(kind).ok().and_then(|all| all.iter().position(same)).unwrap_or_default();
            anyhow!("error running {kind} hook #{n}: {}: {}", path.display(), fault.fail)
        }
        act => match act.what().strip_prefix("mount ") {
            // All of it as runc has it: it is what people and tests search for.
            Some(what) => anyhow!(
                "runc {verb} failed: unable to start container process: error during container init: \
                 error mounting {what}: {}",
                fault.fail
            ),
            None => e,
        },
    }
}

/// The kernel's answers as engines spell them, which some of them look for.
pub fn kernels_words(mut text: String) -> String {
    const ANSWERS: [&str; 7] = [
        "No such file or directory",
        "Permission denied",
        "Operation not permitted",
        "Not a directory",
        "Is a directory",
        "Device or resource busy",
        "Invalid argument",
    ];
    for answer in ANSWERS {
        if text.contains(answer) {
            text = text.replace(answer, &answer.to_lowercase());
        }
    }
    text
}

/// Why a program cannot be run: docker tells 126 from 127 by these words.
fn program(name: &str, fail: &Fail) -> String {
    let own = fail.to_string();
    match fail.errno {
        sys::Errno(sys::ENOENT) if fail.status == Some(127) && name.contains('/') => {
            "no such file or directory".into()
        }
        sys::Errno(sys::ENOENT) if fail.status == Some(127) => "executable file not found in $PATH".into(),
        sys::Errno(sys::ENOENT) => format!("no such file or directory: {own}"),
        sys::Errno(sys::EACCES) if own == fail.errno.to_string() => "permission denied".into(),
        sys::Errno(sys::EACCES) if own.ends_with("permission denied") => own,
        sys::Errno(sys::EACCES) => format!("permission denied: {own}"),
        _ => own,
    }
}

/// Says each step, for `--debug`, and the phases in the words by which runc's own suite finds them.
pub struct Said {
    /// Of a process that joins a container; else of its first.
    joins: bool,
    inside: bool,
}

impl Said {
    /// Who says it, if anybody is to.
    pub fn wanted(joins: bool) -> Option<Said> {
        debugs().then_some(Said { joins, inside: false })
    }
}

impl Watch for Said {
    fn before(&mut self, _: usize, act: &Act) -> Next {
        let phase = match act {
            Act::Clone { .. } if !self.inside => "nsexec container setup",
            Act::Exec { .. } if self.joins => "setns_init: about to exec",
            Act::Wait {} | Act::Exec { .. } => "init: closing the pipe to signal completion",
            _ => return Next::Go,
        };
        say(Level::Debug, phase);
        if !std::mem::replace(&mut self.inside, true) {
            say(Level::Debug, "child process in init()");
        }
        Next::Go
    }

    fn after(&mut self, _: usize, act: &Act, result: &std::result::Result<Done, Fail>) {
        let answer = match result {
            Ok(_) => "done".to_owned(),
            Err(e) => e.to_string(),
        };
        if let Act::Affinity { cpus } = act {
            let mask = cpus.iter().filter(|c| **c < 64).fold(0_u64, |all, c| all | 1 << c);
            say(Level::Debug, &format!("nsexec: affinity: {mask:#x}"));
        }
        if let Act::Seccomp { flags, ask, .. } = act
            && let Ok(bits) = step::seccomp::bits(flags)
        {
            let listener = if ask.is_some() { 8 } else { 0 };
            say(Level::Debug, &format!("seccomp filter flags: {}", bits | listener));
        }
        say(Level::Debug, &format!("{}: {answer}", act.what()));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_stands_once() {
        let mut doc = Doc::parse(br#"{"process":{"env":["A=1","B=2","HOME=","A=3","C"]}}"#).unwrap();
        settle_environment(&mut doc).unwrap();
        assert_eq!(doc.env().unwrap(), ["A=3", "B=2", "C"]);
    }

    #[test]
    fn words_that_engines_know() {
        let words = |name: &str, errno: i32, status: u8| {
            program(name, &Fail { errno: sys::Errno(errno), why: None, status: Some(status) })
        };
        assert_eq!(words("a", sys::ENOENT, 127), "executable file not found in $PATH");
        assert_eq!(words("/a", sys::ENOENT, 127), "no such file or directory");
        assert_eq!(words("/a", sys::EACCES, 126), "permission denied");
        let why = Some("is a directory: permission denied".into());
        let fail = Fail { errno: sys::Errno(sys::EACCES), why: why.clone(), status: Some(126) };
        assert_eq!(Some(program("/a", &fail)), why);
    }
}
