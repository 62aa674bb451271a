//! The parent's side of the clone.

use crate::child;
use anyhow::{Context, Result, anyhow};
use std::os::fd::{AsFd, OwnedFd};
use step::{Act, Done, Fail, Fault, Next, Step, Stopped, Watch};
use sys::Errno;
use sys::io::Signals;

/// What the child gets as descriptors 0, 1 and 2; `None`: the caller's own.
pub type Stdio = [Option<OwnedFd>; 3];

/// A process whose exec has happened.
pub struct Child {
    /// As the caller sees it.
    pub pid: i32,
    /// Holds it against reuse of the pid.
    pub pidfd: OwnedFd,
    /// Master of its terminal, where the document asked for one.
    pub master: Option<OwnedFd>,
}

/// Does the steps up to `Clone`, clones, and waits until the child has walked the rest. When this
/// returns a child, exec has happened; when it returns an error (a [`Fault`], or [`Stopped`]), no
/// process is left.
pub fn start(
    steps: &[Step],
    stdio: Stdio,
    signals: &mut Signals,
    mut watch: Option<&mut dyn Watch>,
) -> Result<Child> {
    let mut n = 0;
    loop {
        let step = steps.get(n).context("start the process: no step clones one")?;
        if let Some(w) = watch.as_deref_mut() {
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
            let (ours, theirs) = sys::io::seqpacket().map_err(|e| Fault::new(&step.act, e.into()))?;
            return match clone(namespaces, cgroup.as_deref()).map_err(|e| Fault::new(&step.act, e.into()))? {
                sys::process::Side::Child => {
                    drop(ours);
                    child::walk(steps, n + 1, &theirs, &stdio, watch.is_some())
                }
                sys::process::Side::Parent(pid, pidfd) => {
                    drop((theirs, stdio));
                    if let Some(w) = watch.as_deref_mut() {
                        w.after(n, &step.act, &Ok(Done::Made));
                    }
                    let result = listen(steps, &ours, signals, watch);
                    if result.is_err() {
                        drop(ours); // a child that still asks reads the end, and leaves
                        let _ = sys::process::signal(&pidfd, 9);
                        let _ = sys::process::wait(pid);
                    }
                    result.map(|master| Child { pid, pidfd, master })
                }
            };
        }
        let result = step.act.make();
        if let Some(w) = watch.as_deref_mut() {
            w.after(n, &step.act, &result);
        }
        result.map_err(|e| Fault::new(&step.act, e))?;
        n += 1;
    }
}

/// HUP INT QUIT TERM: what ends a start.
const ENDING: [i32; 4] = [1, 2, 3, 15];

fn lost() -> anyhow::Error {
    anyhow!("start the process: it was killed before exec")
}

fn clone(namespaces: &[String], cgroup: Option<&std::path::Path>) -> sys::Result<sys::process::Side> {
    let dir = cgroup.map(std::fs::File::open).transpose()?;
    sys::process::clone_into(namespaces, dir.as_ref().map(AsFd::as_fd))
}

fn listen(
    steps: &[Step],
    socket: &OwnedFd,
    signals: &mut Signals,
    mut watch: Option<&mut dyn Watch>,
) -> Result<Option<OwnedFd>> {
    let mut master = None;
    loop {
        // A child that waits for something must not make its parent deaf.
        let ready = sys::io::poll(&[(socket.as_fd(), false), (signals.as_fd(), false)], -1)?;
        if let (Some(true), Some((number, _))) = (ready.get(1), signals.waiting()?)
            && ENDING.contains(&number)
        {
            return Err(Stopped { signal: Some(number) }.into());
        }
        if ready.first() != Some(&true) {
            continue;
        }
        let (message, fd) = sys::io::recv(socket).map_err(|_| lost())?;
        let number =
            |at: usize| message.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let act = || number(1).and_then(|n| steps.get(n as usize)).map(|s| &s.act).ok_or_else(lost);
        let text = |at: usize| String::from_utf8_lossy(message.get(at..).unwrap_or_default()).into_owned();
        match message.first() {
            None => return Ok(master),
            Some(&child::MASTER) => master = fd,
            Some(&child::QUIT) => return Err(Stopped::default().into()),
            Some(&child::ASK) => {
                let n = number(1).ok_or_else(lost)? as usize;
                let reply = match watch.as_deref_mut().map(|w| w.before(n, &steps[n].act)) {
                    Some(Next::Go) | None => b'g',
                    Some(Next::Skip) => b's',
                    Some(Next::Back) => b'b',
                    Some(Next::Quit) => b'q',
                };
                // With nobody listening any more the next receive says so.
                let _ = sys::io::send(socket, &[reply], None);
            }
            Some(&child::DID) => {
                let result = match (message.get(5), text(6)) {
                    (_, why) if !why.is_empty() => {
                        Err(Fail { errno: Errno(sys::EINVAL), why: Some(why), status: None })
                    }
                    (Some(1), _) => Ok(Done::WasSo),
                    _ => Ok(Done::Made),
                };
                if let Some(w) = watch.as_deref_mut() {
                    w.after(number(1).unwrap_or_default() as usize, act()?, &result);
                }
            }
            Some(_) => {
                let why = Some(text(10)).filter(|t| !t.is_empty());
                let status = message.get(5).copied().filter(|s| *s != 0);
                let errno = Errno(number(6).unwrap_or_default() as i32);
                return Err(Fault::new(act()?, Fail { errno, why, status }).into());
            }
        }
    }
}
