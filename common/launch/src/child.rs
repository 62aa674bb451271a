//! The child's side: it walks its steps and becomes the workload. What goes wrong is told over the
//! socket in one message; the socket closing means that exec has happened.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use step::{Act, Fail, Next, Step};

/// A message of the child: kind, number of the step, then what the kind needs.
pub const ASK: u8 = b'?';
/// A step was done (or was so already, or failed): the answer follows.
pub const DID: u8 = b'=';
/// The end: status, errno, text.
pub const FAILED: u8 = b'!';
/// The master of the terminal comes beside this message.
pub const MASTER: u8 = b't';
/// Stopped because it was told to.
pub const QUIT: u8 = b'q';

/// Walks the steps; never comes back.
pub fn walk(
    steps: &[Step],
    first: usize,
    socket: &OwnedFd,
    stdio: &[Option<OwnedFd>; 3],
    watched: bool,
) -> ! {
    for (n, fd) in stdio.iter().enumerate() {
        if let Some(fd) = fd {
            let _ = sys::io::onto_stdio(fd, n as i32);
        }
    }
    // Nothing of the caller's may be reached through /proc/self/fd once the root is another: neither
    // as a working directory nor as a program (CVE-2024-21626).
    if let Err(e) = sys::io::close_all_but(socket) {
        failed(socket.as_fd(), first, &e.into());
    }
    let mut n = first;
    while n < steps.len() {
        let act = &steps[n].act;
        if watched {
            match ask(socket.as_fd(), n) {
                Next::Go => {}
                Next::Skip => {
                    n += 1;
                    continue;
                }
                Next::Back => {
                    n = n.saturating_sub(1).max(first);
                    if let Err(e) = steps[n].act.undo() {
                        failed(socket.as_fd(), n, &e);
                    }
                    continue;
                }
                Next::Quit => {
                    let _ = sys::io::send(socket, &[QUIT], None);
                    sys::process::exit_now(125);
                }
            }
        }
        let result = match act {
            Act::Terminal { root } => {
                step::terminal(root, |master| sys::io::send(socket, &[MASTER], Some(master)))
                    .map(|()| step::Done::Made)
            }
            _ => act.make(),
        };
        if watched {
            let so = matches!(result, Ok(step::Done::WasSo));
            let text = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let mut message = vec![DID];
            message.extend((n as u32).to_le_bytes());
            message.push(so.into());
            message.extend(text.bytes().take(4000));
            let _ = sys::io::send(socket, &message, None);
        }
        if let Err(e) = result {
            failed(socket.as_fd(), n, &e);
        }
        n += 1;
    }
    sys::process::exit_now(125)
}

fn failed(socket: BorrowedFd, n: usize, fail: &Fail) -> ! {
    let mut message = vec![FAILED];
    message.extend((n as u32).to_le_bytes());
    message.push(fail.status.unwrap_or(0));
    message.extend(fail.errno.0.to_le_bytes());
    message.extend(fail.why.as_deref().unwrap_or_default().bytes().take(4000));
    let _ = sys::io::send(socket, &message, None);
    sys::process::exit_now(125)
}

fn ask(socket: BorrowedFd, n: usize) -> Next {
    let mut message = vec![ASK];
    message.extend((n as u32).to_le_bytes());
    let _ = sys::io::send(socket, &message, None);
    match sys::io::recv(socket) {
        Ok((reply, _)) => match reply.first() {
            Some(b'g') => Next::Go,
            Some(b's') => Next::Skip,
            Some(b'b') => Next::Back,
            _ => Next::Quit,
        },
        Err(_) => Next::Quit,
    }
}
