//! The child's side: it walks its steps and becomes the workload. What goes wrong is told over the
//! socket in one message; the socket closing means that exec has happened.

use crate::line::{Door, Side as Talk};
use crate::message::Message;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use step::{Act, Ask, Done, Fail, Next, Side, Step};

/// What the child has from its parent.
pub struct Given<'a> {
    /// To the parent.
    pub socket: &'a OwnedFd,
    /// Descriptors 0, 1 and 2.
    pub stdio: &'a [Option<OwnedFd>; 3],
    /// Behind which it waits for its start.
    pub door: Option<&'a Door>,
    /// Whether each step is watched.
    pub watched: bool,
}

/// Walks the steps; never comes back.
pub fn walk(steps: &[Step], first: usize, given: &Given) -> ! {
    for (n, fd) in given.stdio.iter().enumerate() {
        if let Some(fd) = fd {
            let _ = sys::io::onto_stdio(fd, n as i32);
        }
    }
    let mut walk = Walk { talk: Talk::Maker(given.socket.as_fd()) };
    // Nothing of the caller's may be reached through /proc/self/fd once the root is another: neither
    // as a working directory nor as a program (CVE-2024-21626).
    let mut keep = vec![given.socket.as_fd()];
    keep.extend(given.door.iter().flat_map(|d| d.fds()));
    if let Err(e) = sys::io::close_all_but(passed(steps), &keep) {
        walk.failed(&steps[first].act, first, &e.into());
    }
    let last = last_wait(steps);
    let mut n = first;
    let mut watched = given.watched;
    while n < steps.len() {
        let Step { act, side } = &steps[n];
        if *side == Side::Parent {
            walk.hand(act, n);
            n += 1;
            continue;
        }
        if watched {
            match walk.ask(n) {
                Next::Go => {}
                Next::Skip => {
                    n += 1;
                    continue;
                }
                Next::Back => {
                    n = n.saturating_sub(1).max(first);
                    if let Err(e) = steps[n].act.undo() {
                        walk.failed(&steps[n].act, n, &e);
                    }
                    continue;
                }
                Next::Quit => {
                    walk.tell(&Message::Quit, None);
                    sys::process::exit_now(125);
                }
            }
        }
        let result = walk.make(act, given.door);
        // Who starts it later has other steps in mind, or none.
        watched &= !matches!(act, Act::Wait {});
        if watched {
            let (so, text) = match &result {
                Ok(done) => (*done == Done::WasSo, String::new()),
                Err(e) => (false, e.to_string().chars().take(1000).collect()),
            };
            walk.tell(&Message::Did { n, so, text }, None);
        }
        if let Err(e) = result {
            walk.failed(act, n, &e);
        }
        if last == Some(n) && matches!(walk.talk, Talk::Starter(_)) {
            walk.tell(&Message::Going, None);
        }
        n += 1;
    }
    sys::process::exit_now(125)
}

/// The last step that may take its time: the wait for the start, or a hook after it.
fn last_wait(steps: &[Step]) -> Option<usize> {
    let long = |s: &Step| s.side == Side::Child && matches!(s.act, Act::Wait {} | Act::Hook { .. });
    steps.iter().rposition(long)
}

/// The first descriptor that the workload does not get.
fn passed(steps: &[Step]) -> u32 {
    let of = |s: &Step| if let Act::Exec { fds, .. } = s.act { Some(fds) } else { None };
    steps.iter().rev().find_map(of).unwrap_or(3)
}

/// HUP INT QUIT TERM: what ends a process that waits for its start.
const ENDING: [i32; 4] = [1, 2, 3, 15];

/// The child's side of the talk.
struct Walk<'a> {
    talk: Talk<'a>,
}

impl<'a> Walk<'a> {
    fn make(&mut self, act: &Act, door: Option<&'a Door>) -> Result<Done, Fail> {
        match act {
            Act::Terminal { root, size, plain } => {
                let give = |master: BorrowedFd| {
                    self.talk.tell(&Message::Master, Some(master));
                    Ok(())
                };
                step::terminal(root, *size, *plain, give).map(|()| Done::Made)
            }
            Act::Clone { namespaces, cgroup } => self.again(namespaces, cgroup.as_deref()),
            Act::Seccomp { filter, flags, ask: Some(ask) } => self.filter(filter, flags, ask),
            Act::Wait {} => self.wait(door),
            _ => act.make(),
        }
    }

    fn tell(&self, message: &Message, fd: Option<BorrowedFd>) {
        self.talk.tell(message, fd);
    }

    fn reply(&self) -> Vec<u8> {
        self.talk.answer().0
    }

    /// The parent does step `n`; this process waits for it.
    fn hand(&self, act: &Act, n: usize) {
        self.tell(&Message::Hand { n }, None);
        let (_, tree) = self.talk.answer();
        match (tree, act) {
            (Some(tree), Act::Source { source, .. }) => step::hold(source, tree),
            (Some(tree), Act::Node { path, .. }) => step::hold(&path.to_string_lossy(), tree),
            _ => {}
        }
    }

    fn ask(&self, n: usize) -> Next {
        self.tell(&Message::Ask { n }, None);
        match self.reply().first() {
            Some(b'g') => Next::Go,
            Some(b's') => Next::Skip,
            Some(b'b') => Next::Back,
            _ => Next::Quit,
        }
    }

    /// Once a filter is loaded that asks somebody, any call may have to wait for that one: so the other
    /// side is told before by which number it finds the listener here, and takes it by itself.
    fn filter(&self, filter: &str, flags: &[String], ask: &Ask) -> Result<Done, Fail> {
        let number = sys::io::next_number()?;
        self.tell(&Message::Listener { number }, None);
        let listener = step::seccomp::load(filter, flags, Some(ask))?;
        // Where the profile denies it, this one does not wait.
        self.talk.pause();
        drop(listener);
        Ok(Done::Made)
    }

    /// A second clone, for a pid namespace inside a user namespace that was joined: the new process
    /// is the parent's child as this one is, and goes on in its place.
    fn again(&mut self, namespaces: &[String], cgroup: Option<&std::path::Path>) -> Result<Done, Fail> {
        let dir = cgroup.map(std::fs::File::open).transpose()?;
        match sys::process::clone_beside(namespaces, dir.as_ref().map(AsFd::as_fd))? {
            sys::process::Side::Child => {
                self.reply(); // its parent knows it now
                Ok(Done::Made)
            }
            sys::process::Side::Parent(pid, pidfd) => {
                self.tell(&Message::Again { pid }, Some(pidfd.as_fd()));
                sys::process::exit_now(0)
            }
        }
    }

    /// Until somebody says go; who created the process need not be there any more.
    fn wait(&mut self, door: Option<&'a Door>) -> Result<Done, Fail> {
        let door = door.ok_or(sys::Errno(sys::ENOSYS))?;
        // Nothing of the making is held open meanwhile.
        step::let_go();
        sys::process::end_by(&ENDING)?;
        self.tell(&Message::Made, None);
        door.wait()?;
        sys::process::block(&ENDING)?;
        self.talk = Talk::Starter(door);
        Ok(Done::Made)
    }

    fn failed(&self, act: &Act, n: usize, fail: &Fail) -> ! {
        self.tell(&Message::failed(act, n, fail), None);
        sys::process::exit_now(125)
    }
}
