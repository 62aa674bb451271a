//! What a process that is being made, and whoever makes or starts it, hear each other by. The process
//! itself needs no more than read(2) and write(2) of it, which a filter that lets it live will allow.

use crate::message::{self, Message};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use sys::io;

/// Two FIFOs (fifo(7)) by which a process that waits for its start is told to go on, and answers. As
/// long as the first is there, it was not started.
pub struct Door {
    go: File,
    answer: File,
}

/// The names of a door: while it is made, once the process waits behind it, and the answers' own. They
/// are runc's: who looks at the descriptors of a created process knows them.
const NAMES: [&str; 3] = [".exec.fifo", "exec.fifo", "answer/exec.fifo"];

impl Door {
    /// Makes it in a directory, for the process that is to be made.
    pub fn make(dir: &Path) -> Result<Door> {
        let open = |name: &str| -> Result<File> {
            let path = dir.join(name);
            io::fifo(&path)?;
            // For both ways: the process sees no end while nobody else has it open.
            Ok(File::options().read(true).write(true).open(path)?)
        };
        fs::create_dir(dir.join("answer")).context("make the FIFOs of the start")?;
        let open = |name| open(name).context("make the FIFOs of the start");
        Ok(Door { go: open(NAMES[0])?, answer: open(NAMES[2])? })
    }

    /// The process waits behind it now.
    pub fn ready(dir: &Path) -> Result<()> {
        fs::rename(dir.join(NAMES[0]), dir.join(NAMES[1])).context("make the FIFOs of the start")
    }

    /// Whether a process waits behind it that was not told to go on.
    pub fn waits(dir: &Path) -> bool {
        dir.join(NAMES[1]).exists()
    }

    /// Whether it was made, and nobody waits behind it yet.
    pub fn unready(dir: &Path) -> bool {
        dir.join(NAMES[0]).exists()
    }

    /// What both descriptors are, for the process's own.
    pub(crate) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.go.as_fd(), self.answer.as_fd()]
    }

    /// For the process: until somebody says go.
    pub(crate) fn wait(&self) -> sys::Result<()> {
        let mut word = [0];
        while !matches!(io::read(&self.go, &mut word)?, 1 if word == *b"g") {}
        Ok(())
    }
}

/// The process's side.
pub(crate) enum Side<'a> {
    /// Of whoever makes it.
    Maker(BorrowedFd<'a>),
    /// Of whoever starts it.
    Starter(&'a Door),
}

impl Side<'_> {
    /// Gives up where nobody is there any more: there is nothing left to live for.
    pub fn tell(&self, message: &Message, fd: Option<BorrowedFd>) {
        let bytes = message::bytes(message);
        let told = match self {
            Side::Maker(socket) if fd.is_some() => io::send(socket, &bytes, fd),
            Side::Maker(socket) => io::write_all(socket, &bytes),
            Side::Starter(door) => io::write_all(&door.answer, &bytes),
        };
        if told.is_err() {
            sys::process::exit_now(125);
        }
    }

    /// The answer, and the descriptor beside it.
    pub fn answer(&self) -> (Vec<u8>, Option<OwnedFd>) {
        let got = match self {
            Side::Maker(socket) => io::recv(socket),
            Side::Starter(door) => {
                let mut word = [0];
                io::read(&door.go, &mut word).map(|n| (word[..n].to_vec(), None))
            }
        };
        match got {
            Ok((reply, fd)) if !reply.is_empty() => (reply, fd),
            _ => sys::process::exit_now(125),
        }
    }

    /// Until there is any answer; none where the filter denies the call.
    pub fn pause(&self) {
        let from = match self {
            Side::Maker(socket) => *socket,
            Side::Starter(door) => door.go.as_fd(),
        };
        let _ = io::read(from, &mut [0]);
    }
}

/// The other side.
pub(crate) enum Line {
    /// To a process that the caller makes.
    Socket(OwnedFd),
    /// To one that waits behind a door.
    Door {
        /// It reads this.
        go: File,
        /// It writes this.
        answer: File,
        /// What it has said and nobody has taken.
        heard: Vec<u8>,
    },
}

/// One thing heard.
pub(crate) enum Heard {
    /// Nothing yet.
    Nothing,
    /// Exec has happened, or the process is gone.
    End,
    /// A message, and the descriptor beside it.
    Said(Vec<u8>, Option<OwnedFd>),
}

impl Line {
    /// To the process behind the door of a directory, which from here on is not created any more.
    /// ENXIO: it is gone.
    pub fn open(dir: &Path) -> Result<Line> {
        let now =
            |options: &mut fs::OpenOptions, path: PathBuf| options.custom_flags(sys::O_NONBLOCK).open(path);
        let answer = now(File::options().read(true), dir.join(NAMES[2])).context("reach the process")?;
        let go = now(File::options().write(true), dir.join(NAMES[1])).context("reach the process")?;
        fs::remove_file(dir.join(NAMES[1])).context("start the process")?;
        Ok(Line::Door { go, answer, heard: Vec::new() })
    }

    /// Readable when something is said.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Line::Socket(socket) => socket.as_fd(),
            Line::Door { answer, .. } => answer.as_fd(),
        }
    }

    /// The next message, once the descriptor is readable.
    pub fn hear(&mut self) -> sys::Result<Heard> {
        let (answer, heard) = match self {
            Line::Socket(socket) => {
                let (bytes, fd) = io::recv(socket)?;
                return Ok(if bytes.is_empty() { Heard::End } else { Heard::Said(bytes, fd) });
            }
            Line::Door { answer, heard, .. } => (answer, heard),
        };
        // Byte by byte up to a line's end: what follows it waits in the FIFO.
        let mut byte = [0];
        loop {
            match answer.read(&mut byte) {
                Ok(0) => return Ok(Heard::End),
                Ok(_) if byte == *b"\n" => return Ok(Heard::Said(std::mem::take(heard), None)),
                Ok(_) => heard.push(byte[0]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(Heard::Nothing),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// With nobody listening any more the next look says so.
    pub fn say(&self, bytes: &[u8], fd: Option<BorrowedFd>) {
        let _ = match self {
            Line::Socket(socket) => io::send(socket, bytes, fd),
            Line::Door { go, .. } => (&mut &*go).write_all(bytes).map_err(sys::Errno::from),
        };
    }
}
