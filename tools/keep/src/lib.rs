//! The detached end: the parent of pid 1 once its caller has gone. It logs what the workload
//! writes and records how it ended.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, anyhow, bail};
use cli::{Host, bundle};
use doc::Doc;
use launch::Look;
use state::Record;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use sys::{io, process};

/// Starts the container behind the caller's back. When this returns, exec has happened and a
/// process of its own watches over it; an error means that nothing runs.
pub fn detach(doc: &Doc, host: &Host) -> Result<()> {
    let id = doc.id()?.context("the document has no id")?.to_owned();
    if let Some(pid) = Record::read(&host.roots, &id).ok().flatten().and_then(|r| r.running()) {
        bail!("start {id}: it runs already, as process {pid}");
    }
    let (ours, theirs) = io::seqpacket().context("make a socket pair")?;
    match process::fork().context("fork the monitor")? {
        process::Side::Child => {
            drop(ours);
            let code = i32::from(monitor(doc, host, &id, theirs).is_err());
            process::exit_now(code)
        }
        process::Side::Parent(..) => {
            drop(theirs);
            // One message: a status byte and an error, or status 0 for exec.
            match io::recv(&ours).context("hear from the monitor")?.0.split_first() {
                Some((0, _)) => Ok(()),
                Some((status, text)) => Err(cli::fail_with(*status, String::from_utf8_lossy(text))),
                None => Err(anyhow!("start {id}: the monitor ended without a word")),
            }
        }
    }
}

/// The monitor's whole life.
fn monitor(doc: &Doc, host: &Host, id: &str, tell: OwnedFd) -> Result<()> {
    process::setsid()?;
    let result = begin(doc, host, id);
    let (child, outputs, mut record, mut signals) = match result {
        Ok(begun) => begun,
        Err(e) => {
            let status = e.downcast_ref::<cli::Failure>().map_or(125, |f| f.status);
            let mut message = vec![status];
            message.extend(cli::line(&e).bytes().take(4000));
            if doc.stave_flag("rm") {
                let _ = bundle::remove(id, host);
            }
            let _ = io::send(&tell, &message, None);
            return Err(e);
        }
    };
    // Nothing of the caller's is held on to: its pipes and terminal must see their end.
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for n in 0..3 {
        io::onto_stdio(&null, n)?;
    }
    std::env::set_current_dir("/")?;
    io::send(&tell, &[0], None)?;
    drop(tell);
    let mut log = File::options().append(true).create(true).open(host.roots.in_bundle(id, "log"))?;
    pump(&child, outputs, &mut signals, &mut log)?;
    let exit = process::wait(child.pid)?;
    if doc.stave_flag("rm") {
        return bundle::remove(id, host);
    }
    record.stave.exit = Some(launch::exit_record(exit));
    launch::save(&host.roots, &record)
}

type Begun = (launch::Child, Vec<Output>, Record, io::Signals);

fn begin(doc: &Doc, host: &Host, id: &str) -> Result<Begun> {
    let look = Look::now(doc, host)?;
    let steps = launch::init(doc, &look)?;
    let null: OwnedFd = File::open("/dev/null")?.into();
    let ((out, out_w), (err, err_w)) = (io::pipe()?, io::pipe()?);
    let signals = launch::signals()?;
    let stdio = if doc.terminal() { [None, None, None] } else { [Some(null), Some(out_w), Some(err_w)] };
    let mut child = match launch::start(&steps, stdio, None) {
        Ok(child) => child,
        Err(launch::Error::Step(act, fail)) => return Err(cli::explain(&act, &fail)),
        Err(e) => return Err(anyhow!(e)),
    };
    let record = Record::new(&host.roots, id, child.pid);
    if let Err(e) = launch::save(&host.roots, &record) {
        let _ = process::signal(&child.pidfd, 9);
        let _ = process::wait(child.pid);
        return Err(e);
    }
    let outputs = match child.master.take() {
        Some(master) => vec![Output::new("stdout", master)],
        None => vec![Output::new("stdout", out), Output::new("stderr", err)],
    };
    Ok((child, outputs, record, signals))
}

/// One stream of the workload on its way into the log.
struct Output {
    name: &'static str,
    fd: OwnedFd,
    /// A line that has not ended yet.
    part: Vec<u8>,
    open: bool,
}

/// A line longer than this is logged in pieces, marked P (partial).
const LINE: usize = 16 << 10;

impl Output {
    fn new(name: &'static str, fd: OwnedFd) -> Output {
        Output { name, fd, part: Vec::new(), open: true }
    }

    /// Reads what is there and logs whole lines: `TIME stdout F text` (the Kubernetes log format).
    fn take(&mut self, log: &mut File) {
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

/// Until pid 1 has ended and its streams are empty. Signals to the monitor go on to pid 1.
fn pump(
    child: &launch::Child,
    mut outputs: Vec<Output>,
    signals: &mut io::Signals,
    log: &mut File,
) -> Result<()> {
    let mut ended = false;
    loop {
        let mut fds = vec![(signals.as_fd(), false)];
        if !ended {
            fds.push((child.pidfd.as_fd(), false));
        }
        let first = fds.len();
        let open: Vec<usize> = (0..outputs.len()).filter(|i| outputs[*i].open).collect();
        fds.extend(open.iter().map(|i| (outputs[*i].fd.as_fd(), false)));
        // A grandchild without a pid namespace may hold the pipes for ever: only what waits is taken.
        let ready = io::poll(&fds, if ended { 0 } else { -1 })?;
        let streams: Vec<usize> = open
            .iter()
            .enumerate()
            .filter(|(n, _)| ready.get(first + n) == Some(&true))
            .map(|(_, i)| *i)
            .collect();
        let over = !ended && ready.get(1) == Some(&true);
        if ready.first() == Some(&true) {
            while let Some(number) = signals.waiting()? {
                let _ = process::signal(&child.pidfd, number);
            }
        }
        for i in &streams {
            outputs[*i].take(log);
        }
        if ended && streams.is_empty() {
            return Ok(());
        }
        ended |= over;
    }
}
