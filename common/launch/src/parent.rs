//! The parent's side of the clone.

use crate::line::{Door, Heard, Line};
use crate::message::Message;
use crate::{Denials, Tell, child, seccomp};
use anyhow::{Context, Result, anyhow};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use step::{Act, Ask, Done, Fail, Fault, Next, Side, Step, Stopped, Watch};
use sys::Errno;
use sys::io::Signals;
use sys::{ns, process};

/// What the child gets as descriptors 0, 1 and 2; `None`: the caller's own.
pub type Stdio = [Option<OwnedFd>; 3];

/// A process whose exec has happened, or that waits for its start.
pub struct Child {
    /// As the caller sees it.
    pub pid: i32,
    /// Holds it against reuse of the pid.
    pub pidfd: OwnedFd,
    /// Master of its terminal, where the document asked for one.
    pub master: Option<OwnedFd>,
    /// Where its filter asks us: to be answered whenever it is readable.
    pub denials: Option<Denials>,
}

/// What a process is started with.
#[derive(Default)]
pub struct Start<'a> {
    /// Its standard streams.
    pub stdio: Stdio,
    /// Behind which it waits at [`Act::Wait`].
    pub door: Option<Door>,
    /// Who looks on.
    pub watch: Option<&'a mut dyn Watch>,
    /// Who is told of system calls that are denied, where the document asks for it.
    pub tell: Option<Tell>,
    /// Told the pid as soon as there is one, before the process has done anything of note; its error
    /// ends the start.
    pub cloned: Option<&'a mut dyn FnMut(i32) -> Result<()>>,
}

/// Does the steps up to `Clone`, clones, and waits until the child has walked the rest. When this
/// returns a child, exec has happened, or the child waits for its start; when it returns an error (a
/// [`Fault`], or [`Stopped`]), no process is left.
pub fn start(steps: &[Step], mut how: Start, signals: &mut Signals) -> Result<Child> {
    let mut n = 0;
    let mut away = Away::default();
    loop {
        let step = steps.get(n).context("start the process: no step clones one")?;
        if let Some(w) = how.watch.as_deref_mut() {
            match w.before(n, &step.act) {
                Next::Go => {}
                Next::Quit => return Err(Stopped::default().into()),
                Next::Back => {
                    n = n.saturating_sub(1);
                    continue;
                }
                // Without its clone nothing of this could follow.
                Next::Skip if matches!(step.act, Act::Clone { .. }) => return Err(Stopped::default().into()),
                Next::Skip => {
                    n += 1;
                    continue;
                }
            }
        }
        if let Act::Clone { namespaces, cgroup } = &step.act {
            let fault = |e: Errno| Fault::new(&step.act, e.into());
            let (ours, theirs) = sys::io::seqpacket().map_err(fault)?;
            let user = namespaces.iter().any(|n| n == "user");
            let denied = |e| if user { Fault::new(&step.act, step::denied::why(e)) } else { fault(e) };
            return match clone(namespaces, cgroup.as_deref()).map_err(denied)? {
                process::Side::Child => {
                    drop(ours);
                    let given = child::Given {
                        socket: &theirs,
                        stdio: &how.stdio,
                        door: how.door.as_ref(),
                        watched: how.watch.is_some(),
                    };
                    child::walk(steps, n + 1, &given)
                }
                process::Side::Parent(pid, pidfd) => {
                    let waits = how.door.is_some();
                    drop((theirs, how.stdio, how.door));
                    let came_back = away.back().context("come back to the own namespaces");
                    if let Some(w) = how.watch.as_deref_mut() {
                        w.after(n, &step.act, &Ok(Done::Made));
                    }
                    let mut talk = Talk::new(Line::Socket(ours), pid, pidfd, how.tell, waits);
                    let told = how.cloned.as_mut().map_or(Ok(()), |tell| tell(pid));
                    match came_back
                        .and(told)
                        .and_then(|()| talk.listen(steps, signals, how.watch, how.cloned))
                    {
                        Ok(()) => {
                            step::stay();
                            Ok(talk.child)
                        }
                        Err(e) => {
                            talk.end();
                            step::bring_back();
                            Err(e)
                        }
                    }
                }
            };
        }
        let result = away.leave(&step.act).map_err(Fail::from).and_then(|()| step.act.make());
        if let Some(w) = how.watch.as_deref_mut() {
            w.after(n, &step.act, &result);
        }
        result.map_err(|e| Fault::new(&step.act, e))?;
        n += 1;
    }
}

/// Tells a process that waits at [`Act::Wait`] behind the door of a directory to go on; returns once exec
/// has happened. `pid`: as the caller sees it; `steps`: its plan, where that has an agent in it that is
/// to get the listener of a filter.
pub fn go(dir: &Path, pid: i32, steps: &[Step], signals: &mut Signals) -> Result<()> {
    let pidfd = process::pidfd(pid).context("start the process: it is gone")?;
    let line = Line::open(dir)?;
    line.say(b"g", None);
    let mut talk = Talk::new(line, pid, pidfd, None, true);
    talk.listen(steps, signals, None, None)
}

/// The namespaces that the parent has left for those that the child is to be in.
#[derive(Default)]
struct Away(Vec<ns::Home>);

impl Away {
    /// Before a step that leads away.
    fn leave(&mut self, act: &Act) -> sys::Result<()> {
        let kinds = match act {
            Act::Setns { kind, .. } | Act::Unshare { kind } => std::slice::from_ref(kind),
            Act::SetnsProcess { kinds, .. } => kinds,
            _ => return Ok(()),
        };
        for kind in kinds {
            self.0.push(ns::Home::of(kind)?);
        }
        Ok(())
    }

    fn back(&mut self) -> sys::Result<()> {
        self.0.drain(..).rev().try_for_each(|home| home.back())
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let _ = self.back();
    }
}

/// HUP INT QUIT TERM: what ends a start.
const ENDING: [i32; 4] = [1, 2, 3, 15];

fn lost() -> anyhow::Error {
    anyhow!("start the process: it was killed before exec")
}

fn clone(namespaces: &[String], cgroup: Option<&std::path::Path>) -> sys::Result<process::Side> {
    let dir = cgroup.map(std::fs::File::open).transpose()?;
    process::clone_into(namespaces, dir.as_ref().map(AsFd::as_fd))
}

/// The parent's side of the talk.
struct Talk {
    line: Line,
    /// It is to say that it waits, or that it goes: an end before that is its own.
    waits: bool,
    child: Child,
    tell: Option<Tell>,
}

impl Talk {
    fn new(line: Line, pid: i32, pidfd: OwnedFd, tell: Option<Tell>, waits: bool) -> Talk {
        Talk { line, waits, child: Child { pid, pidfd, master: None, denials: None }, tell }
    }

    /// Until exec has happened, or the child waits for its start.
    fn listen(
        &mut self,
        steps: &[Step],
        signals: &mut Signals,
        mut watch: Option<&mut dyn Watch>,
        mut cloned: Option<&mut dyn FnMut(i32) -> Result<()>>,
    ) -> Result<()> {
        let act = |n: usize| steps.get(n).map(|s| &s.act);
        loop {
            // A child that waits for something must not make its parent deaf.
            let mut fds = vec![(self.line.fd(), false), (signals.as_fd(), false)];
            fds.extend(self.child.denials.as_ref().and_then(Denials::fd).map(|fd| (fd, false)));
            let ready = sys::io::poll(&fds, -1)?;
            if let (Some(true), Some(denials)) = (ready.get(2), &mut self.child.denials) {
                denials.answer();
            }
            if ready.first() != Some(&true) {
                // Who has had its exec gets the signal itself, from whoever attends it.
                if let (Some(true), Some((number, _))) = (ready.get(1), signals.waiting()?)
                    && ENDING.contains(&number)
                {
                    return Err(Stopped { signal: Some(number) }.into());
                }
                continue;
            }
            let (bytes, fd) = match self.line.hear().map_err(|_| lost())? {
                Heard::Nothing => continue,
                Heard::End if self.waits => return Err(lost()),
                Heard::End => return Ok(()),
                Heard::Said(bytes, fd) => (bytes, fd),
            };
            match serde_json::from_slice(&bytes).map_err(|_| lost())? {
                Message::Made => return Ok(()),
                Message::Going => self.waits = false,
                Message::Master => self.child.master = fd,
                Message::Quit => return Err(Stopped::default().into()),
                Message::Ask { n } => {
                    let act = act(n).ok_or_else(lost)?;
                    let reply = match watch.as_deref_mut().map(|w| w.before(n, act)) {
                        Some(Next::Go) | None => b'g',
                        Some(Next::Skip) => b's',
                        Some(Next::Back) => b'b',
                        Some(Next::Quit) => b'q',
                    };
                    self.reply(&[reply]);
                }
                Message::Hand { n } => {
                    // Only what the plan has for the parent: the child may be in other hands.
                    let step = steps.get(n).filter(|s| s.side == Side::Parent).ok_or_else(lost)?;
                    self.hand(n, &step.act, &mut watch)?;
                }
                Message::Listener { number } => {
                    let asks = |s: &&Step| matches!(s.act, Act::Seccomp { ask: Some(_), .. });
                    // Who starts it later has planned it anew, and numbers nothing.
                    let found = steps.iter().find(asks).map(|s| &s.act);
                    self.listener(found.ok_or_else(lost)?, number)?;
                }
                Message::Again { pid } => {
                    self.again(pid, fd.ok_or_else(lost)?);
                    if let Some(tell) = cloned.as_mut() {
                        tell(pid)?;
                    }
                    self.reply(b"g");
                }
                Message::Did { n, so, text } => {
                    let result = match (text.is_empty(), so) {
                        (false, _) => Err(Fail { errno: Errno(sys::EINVAL), why: Some(text), status: None }),
                        (true, true) => Ok(Done::WasSo),
                        (true, false) => Ok(Done::Made),
                    };
                    if let Some(w) = watch.as_deref_mut() {
                        w.after(n, act(n).ok_or_else(lost)?, &result);
                    }
                }
                failed => {
                    let fault = failed.fault(|n| act(n).cloned()).ok_or_else(lost)?;
                    return Err(fault.into());
                }
            }
        }
    }

    /// With nobody listening any more the next receive says so.
    fn reply(&self, bytes: &[u8]) {
        self.line.say(bytes, None);
    }

    /// A step of the parent's, amid the child's.
    fn hand(&self, n: usize, act: &Act, watch: &mut Option<&mut dyn Watch>) -> Result<()> {
        match watch.as_deref_mut().map(|w| w.before(n, act)) {
            None | Some(Next::Go) => {}
            Some(Next::Skip) => {
                self.reply(b"g");
                return Ok(());
            }
            // What the child has done before is not the parent's to undo.
            Some(Next::Back | Next::Quit) => return Err(Stopped::default().into()),
        }
        let result = act.make_for(self.child.pid);
        if let Some(w) = watch.as_deref_mut() {
            w.after(n, act, &result);
        }
        result.map_err(|e| Fault::new(act, e))?;
        let tree = step::release();
        self.line.say(b"g", tree.as_ref().map(AsFd::as_fd));
        Ok(())
    }

    /// Takes the listener of the filter that the child loads now, by its number there. A child that
    /// has not loaded it says why, or is gone: that is seen by who called.
    fn listener(&mut self, act: &Act, number: i32) -> Result<()> {
        let listener = loop {
            match process::descriptor_of(&self.child.pidfd, number) {
                Ok(fd) => break fd,
                Err(Errno(sys::EBADF)) => {
                    let heard = sys::io::poll(&[(self.line.fd(), false)], 1)?;
                    if heard.first() == Some(&true) {
                        return Ok(());
                    }
                }
                Err(e) => return Err(anyhow!(e).context("take the seccomp listener of the process")),
            }
        };
        match act {
            Act::Seccomp { ask: Some(Ask::Agent { path, state }), .. } => {
                seccomp::hand_on(path, state, self.child.pid, &listener)?;
            }
            Act::Seccomp { filter, .. } => {
                let tell = self.tell.take().unwrap_or_else(|| Box::new(|line| eprintln!("{line}")));
                self.child.denials = Some(Denials::new(filter, listener, tell));
            }
            _ => return Err(lost()),
        }
        self.reply(b"g");
        Ok(())
    }

    /// The child's place is taken by another, which waits for an answer.
    fn again(&mut self, pid: i32, pidfd: OwnedFd) {
        let _ = process::wait(self.child.pid);
        (self.child.pid, self.child.pidfd) = (pid, pidfd);
    }

    /// No process is left.
    fn end(self) {
        let Talk { line, child, .. } = self;
        drop(line); // a child that still asks reads the end, and leaves
        let _ = process::signal(&child.pidfd, process::KILL);
        let _ = process::wait(child.pid);
    }
}
