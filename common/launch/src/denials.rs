//! System calls that are denied, told of. The filter asks us in the place of each denial; we say so
//! and give the answer that the profile has.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::{process, seccomp as unotify};

/// Takes a line that tells of a denial.
pub type Tell = Box<dyn FnMut(&str)>;

/// The listener of a container's filter, and what its profile says.
pub struct Denials {
    listener: OwnedFd,
    program: Vec<seccomp::Insn>,
    tell: Tell,
    told: HashSet<(String, u32, u32, u32)>,
    /// Processes that were killed because their call was.
    killed: HashSet<i32>,
    over: bool,
}

/// SIGSYS, by which the kernel itself kills.
const SIGSYS: i32 = 31;

impl Denials {
    /// Of a filter in the words of its act.
    pub(crate) fn new(filter: &str, listener: OwnedFd, tell: Tell) -> Denials {
        let insns = step::seccomp::program(filter).unwrap_or_default();
        let program = insns.into_iter().map(|(code, jt, jf, k)| seccomp::Insn { code, jt, jf, k }).collect();
        Denials { listener, program, tell, told: HashSet::new(), killed: HashSet::new(), over: false }
    }

    /// What is to be waited on: the listener, as long as there is anybody whom the filter holds.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.over).then_some(self.listener.as_fd())
    }

    /// Answers the call that waits, if one still does.
    pub fn answer(&mut self) {
        match unotify::waiting(&self.listener) {
            None => self.over = true,
            Some(false) => {}
            // One that was killed meanwhile is not there any more.
            Some(true) => {
                if let Ok(notice) = unotify::receive(&self.listener) {
                    self.reply(&notice);
                }
            }
        }
    }

    fn reply(&mut self, notice: &unotify::Notice) {
        let data = seccomp::Data {
            number: notice.number,
            arch: notice.arch,
            args: notice.args,
            big: cfg!(target_endian = "big"),
        };
        let verdict = seccomp::verdict(&self.program, &data).unwrap_or(seccomp::KILL_THREAD);
        let pid = process_of(notice.thread);
        let name = std::fs::read_to_string(format!("/proc/{}/comm", notice.thread)).unwrap_or_default();
        let waits = unotify::waits(&self.listener, notice.id);
        let (answer, errno) = (verdict & 0xffff_0000, (verdict & 0xffff).min(4095) as i32);
        if waits && self.told.insert((name.clone(), notice.arch, notice.number, verdict)) {
            let what = match answer {
                seccomp::ERRNO => format!("denied with {}", errno_name(errno)),
                0x7ffc_0000 => "let through".into(),
                _ => "denied, killed".into(),
            };
            let call = call(notice, &self.program, verdict);
            (self.tell)(&format!("seccomp: {}[{pid}] {call}: {what}", name.trim_end()));
        }
        // Whoever has gone meanwhile needs no answer.
        let _ = match answer {
            seccomp::ERRNO => unotify::deny(&self.listener, notice.id, errno),
            0x7ffc_0000 => unotify::go_on(&self.listener, notice.id),
            _ => self.kill(notice.id, pid),
        };
    }

    /// The first process of a pid namespace takes no signal from outside but SIGKILL, so that is what
    /// kills; how it ended is told as the kernel's own killing ([`Denials::end`]).
    fn kill(&mut self, id: u64, pid: i32) -> sys::Result<()> {
        let handle = process::pidfd(pid)?;
        if unotify::waits(&self.listener, id) {
            process::signal(&handle, process::KILL)?;
            self.killed.insert(pid);
        }
        Ok(())
    }

    /// How a process has ended, where it was killed for what it called.
    pub fn end(&self, pid: i32, exit: process::Exit) -> process::Exit {
        match exit {
            process::Exit::Signal(process::KILL) if self.killed.contains(&pid) => {
                process::Exit::Signal(SIGSYS)
            }
            other => other,
        }
    }
}

/// The process that a thread belongs to.
fn process_of(thread: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let id = status.lines().find_map(|l| l.strip_prefix("Tgid:"));
    id.and_then(|t| t.trim().parse().ok()).unwrap_or(thread)
}

/// The call by its name; with arguments where the verdict hangs on them, and the machine where it is
/// not this one.
fn call(notice: &unotify::Notice, program: &[seccomp::Insn], verdict: u32) -> String {
    let name = seccomp::call_name(notice.arch, notice.number);
    let mut text = name.map_or_else(|| format!("call {:#x}", notice.number), str::to_owned);
    let with = |args| {
        let data = seccomp::Data {
            number: notice.number,
            arch: notice.arch,
            args,
            big: cfg!(target_endian = "big"),
        };
        seccomp::verdict(program, &data)
    };
    if [[0; 6], [u64::MAX; 6], [1; 6]].into_iter().any(|args| with(args) != Some(verdict)) {
        let args: Vec<String> = notice.args[..3].iter().map(|a| format!("{a:#x}")).collect();
        text += &format!("({}, ...)", args.join(", "));
    }
    let native = seccomp::native();
    if notice.arch != native.audit {
        let arch = seccomp::arches().find(|a| a.audit == notice.arch).map_or("?", |a| a.oci);
        text += &format!(" of {}", arch.trim_start_matches("SCMP_ARCH_").to_lowercase());
    }
    text
}

fn errno_name(errno: i32) -> String {
    match errno {
        1 => "EPERM".into(),
        13 => "EACCES".into(),
        22 => "EINVAL".into(),
        38 => "ENOSYS".into(),
        95 => "EOPNOTSUPP".into(),
        97 => "EAFNOSUPPORT".into(),
        n => format!("errno {n}"),
    }
}
