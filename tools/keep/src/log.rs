//! The log: what the workload writes, line by line, with the time and the stream.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::io;

/// One stream of the workload on its way into the log.
pub struct Output {
    name: &'static str,
    fd: OwnedFd,
    /// A line that has not ended yet.
    part: Vec<u8>,
    open: bool,
}

/// A line longer than this is logged in pieces, marked P (partial).
const LINE: usize = 16 << 10;

impl Output {
    /// Of one stream, by its name in the log.
    pub fn new(name: &'static str, fd: OwnedFd) -> Output {
        Output { name, fd, part: Vec::new(), open: true }
    }

    /// Whether more may come.
    pub fn open(&self) -> bool {
        self.open
    }

    /// Reads what is there and logs whole lines: `TIME stdout F text` (the Kubernetes log format).
    pub fn take(&mut self, log: &mut File) {
        let mut buf = [0; 65536];
        match io::read(&self.fd, &mut buf) {
            Ok(n) if n > 0 => {
                let time = state::now();
                for piece in buf[..n].split_inclusive(|b| *b == b'\n') {
                    self.part.extend_from_slice(piece);
                    if self.part.ends_with(b"\n") {
                        self.part.pop();
                        self.put(log, &time, 'F');
                    } else if self.part.len() >= LINE {
                        self.put(log, &time, 'P');
                    }
                }
            }
            _ => {
                if !self.part.is_empty() {
                    self.put(log, &state::now(), 'P');
                }
                self.open = false;
            }
        }
    }

    fn put(&mut self, log: &mut File, time: &str, tag: char) {
        let mut line = format!("{time} {} {tag} ", self.name).into_bytes();
        line.append(&mut self.part);
        line.push(b'\n');
        // A full disk must not end the workload; the line is lost, and the next may fit again.
        let _ = std::io::Write::write_all(log, &line);
    }
}

/// A line of the monitor's own, as if the workload had written it to stderr.
pub fn note(log: &mut File, text: &str) {
    let line = format!("{} stderr F {text}\n", state::now());
    let _ = std::io::Write::write_all(log, line.as_bytes());
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
