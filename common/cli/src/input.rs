//! The document on stdin: the first JSON object, and not a byte more, so that what follows it is
//! the workload's.

use anyhow::{Context, Result, bail};
use doc::Doc;
use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd};
use sys::Errno;

/// Reads it. An empty pipe is a silent failure: the stage that broke has spoken. A terminal is a
/// usage error, at once.
pub fn document() -> Result<Doc> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(crate::usage("stdin is a terminal: name a container, or pipe a document in"));
    }
    let mut scan = Scan::default();
    let text = take(stdin.as_fd(), &mut scan).context("read the document")?;
    match text {
        Some(text) => Doc::parse(&text).context("read the document"),
        None if scan.seen.iter().any(|b| !b.is_ascii_whitespace()) => {
            Doc::parse(&scan.seen).context("read the document")
        }
        None if sys::io::kind(stdin.as_fd()).is_ok_and(|k| k.is_fifo() || k.is_socket()) => {
            Err(crate::fail())
        }
        None => bail!("no document on stdin"),
    }
}

/// Takes one object off the descriptor. `None`: it ended before; `scan.seen` is what there was.
fn take(fd: BorrowedFd, scan: &mut Scan) -> sys::Result<Option<Vec<u8>>> {
    let kind = sys::io::kind(fd)?;
    if kind.is_fifo() {
        return take_pipe(fd, scan);
    }
    let mut buf = [0; 4096];
    if kind.is_file() {
        loop {
            let n = sys::io::read(fd, &mut buf)?;
            if n == 0 {
                return Ok(None);
            }
            if let Some(end) = scan.push(&buf[..n]) {
                let end = end + usize::from(buf[end..n].first() == Some(&b'\n'));
                sys::io::seek_by(fd, -((n - end) as i64))?;
                return Ok(Some(std::mem::take(&mut scan.seen)));
            }
        }
    }
    // A socket or a device cannot be looked into ahead: byte by byte is exact.
    loop {
        let n = sys::io::read(fd, &mut buf[..1])?;
        if n == 0 {
            return Ok(None);
        }
        if scan.push(&buf[..1]).is_some() {
            return Ok(Some(std::mem::take(&mut scan.seen)));
        }
    }
}

/// tee(2) shows what waits in the pipe without taking it.
fn take_pipe(fd: BorrowedFd, scan: &mut Scan) -> sys::Result<Option<Vec<u8>>> {
    let (out, into) = sys::io::pipe()?;
    let mut buf = vec![0; 65536];
    loop {
        let n = sys::io::tee(fd, &into, buf.len())?;
        if n == 0 {
            return Ok(None);
        }
        read_exact(out.as_fd(), &mut buf[..n])?;
        match scan.push(&buf[..n]) {
            None => {
                read_exact(fd, &mut buf[..n])?;
            }
            Some(end) => {
                let mut rest = buf[end..n].first().copied();
                read_exact(fd, &mut buf[..end])?;
                if end == n
                    && sys::io::poll(&[(fd, false)], NEWLINE_WAIT)?[0]
                    && sys::io::tee(fd, &into, 1)? == 1
                {
                    let mut one = [0];
                    read_exact(out.as_fd(), &mut one)?;
                    rest = Some(one[0]);
                }
                if rest == Some(b'\n') {
                    read_exact(fd, &mut [0])?;
                }
                return Ok(Some(std::mem::take(&mut scan.seen)));
            }
        }
    }
}

/// How long the newline that ends a document may come after it, in milliseconds: writers such as
/// jq flush in blocks, so it can be a write of its own.
const NEWLINE_WAIT: i32 = 50;

fn read_exact(fd: BorrowedFd, buf: &mut [u8]) -> sys::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match sys::io::read(fd, &mut buf[done..])? {
            0 => return Err(Errno(sys::EPIPE)),
            n => done += n,
        }
    }
    Ok(())
}

/// Finds the end of the first object: braces outside strings, counted.
#[derive(Default)]
struct Scan {
    seen: Vec<u8>,
    depth: usize,
    string: bool,
    escaped: bool,
    begun: bool,
}

impl Scan {
    /// Takes bytes up to the object's end; gives the index behind it within `bytes`. Text that
    /// begins with no brace is taken whole, for the parser to complain about.
    fn push(&mut self, bytes: &[u8]) -> Option<usize> {
        for (i, b) in bytes.iter().enumerate() {
            match b {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.string => self.escaped = true,
                b'"' => self.string = !self.string,
                _ if self.string => {}
                b'{' | b'[' => {
                    self.begun = true;
                    self.depth += 1;
                }
                b'}' | b']' if self.begun => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.seen.extend_from_slice(&bytes[..=i]);
                        return Some(i + 1);
                    }
                }
                _ => {}
            }
        }
        self.seen.extend_from_slice(bytes);
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_object_and_no_more() {
        for (text, end) in [(r#"{"a":{"b":"}\"{"}}rest"#, 18), (" {} ", 3), (r#"{"a":[{}]}"#, 10)] {
            let mut scan = Scan::default();
            assert_eq!(scan.push(text.as_bytes()), Some(end), "{text}");
            assert_eq!(scan.seen, text.as_bytes()[..end]);
        }
    }

    #[test]
    fn pieces() {
        let mut scan = Scan::default();
        assert_eq!(scan.push(br#"{"a":"\"#), None);
        assert_eq!(scan.push(br#""}"#), None);
        assert_eq!(scan.push(br#""}{"#), Some(2));
    }

    #[test]
    fn a_pipe_keeps_what_follows() {
        let (r, w) = sys::io::pipe().unwrap();
        sys::io::write_all(&w, b"{\"a\":1}\nrest").unwrap();
        let text = take(r.as_fd(), &mut Scan::default()).unwrap().unwrap();
        assert_eq!(text, br#"{"a":1}"#);
        let mut buf = [0; 16];
        assert_eq!(sys::io::read(&r, &mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"rest");
    }
}
