//! The monitor: parent of pid 1, with no terminal, no caller, and one file that it writes.

use crate::log::{self, Output};
use anyhow::{Context, Result};
use cli::{Driver, Host, bundle};
use doc::Doc;
use launch::{Denials, Look, Start, Tell};
use state::{CgroupDir, Record};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use step::Watch;
use sys::{io, process};

/// The monitor's whole life. `lock` holds the container against others until it has started.
pub fn live(doc: &Doc, host: &Host, id: &str, driver: &mut Driver, lock: File, tell: OwnedFd) -> Result<()> {
    process::setsid()?;
    let mut begun = match begin(doc, host, id, driver) {
        Ok(begun) => begun,
        Err(e) => {
            if doc.stave_flag("rm") {
                let _ = bundle::remove(id, host);
            }
            drop(lock);
            let mut message = vec![cli::status(&e, 125)];
            message.extend(cli::line(&e).bytes().take(4000));
            let _ = io::send(&tell, &message, None);
            return Err(e);
        }
    };
    drop(lock);
    // Nothing of the caller's is held on to: its pipes and terminal must see their end.
    for n in 0..3 {
        io::onto_stdio(&begun.null, n)?;
    }
    std::env::set_current_dir("/")?;
    io::send(&tell, &[0], None)?;
    drop(tell);
    pump(&mut begun)?;
    let exit = process::wait(begun.child.pid)?;
    let exit = begun.child.denials.as_ref().map_or(exit, |d| d.end(begun.child.pid, exit));
    if doc.stave_flag("rm") {
        return bundle::remove_alone(id, host);
    }
    let kills = cgroup::oom_kills_since(begun.oom_kills, &begun.cgroups);
    launch::save_end(&host.roots, begun.record, exit, kills)
}

/// A container that runs, and what its monitor holds.
struct Begun {
    child: launch::Child,
    outputs: Vec<Output>,
    signals: io::Signals,
    log: File,
    null: File,
    record: Record,
    cgroups: Vec<CgroupDir>,
    /// Before it began.
    oom_kills: cgroup::OomKills,
}

/// All that can fail is done before the clone, or ends the process again.
fn begin(doc: &Doc, host: &Host, id: &str, driver: &mut Driver) -> Result<Begun> {
    let path = host.roots.in_bundle(id, "log");
    let log = File::options().append(true).create(true).open(&path);
    let log = log.with_context(|| format!("open {}", path.display()))?;
    let null = File::options().read(true).write(true).open("/dev/null").context("open /dev/null")?;
    let look = Look::now(doc, host)?;
    let steps = launch::init(doc, &look)?;
    let ((out, out_w), (err, err_w)) = (io::pipe()?, io::pipe()?);
    let mut signals = launch::signals()?;
    let streams = if doc.terminal() {
        [None, None, None]
    } else {
        [Some(null.try_clone()?.into()), Some(out_w), Some(err_w)]
    };
    driver.expect(steps.len());
    let watch: Option<&mut dyn Watch> = if driver.watches() { Some(driver) } else { None };
    let oom_kills = cgroup::oom_kills(&look.cgroups);
    let mut told = log.try_clone()?;
    let tell: Tell = Box::new(move |line| log::note(&mut told, &format!("stave-keep: {line}")));
    let how = Start { stdio: streams, watch, tell: Some(tell), ..Start::default() };
    let mut child = launch::start(&steps, how, &mut signals)?;
    let record = Record::new(&host.roots, id, child.pid);
    let begun = launch::save(&host.roots, &record).and_then(|()| launch::poststart(doc, &look, child.pid));
    if let Err(e) = begun {
        let _ = process::signal(&child.pidfd, process::KILL);
        let _ = process::wait(child.pid);
        return Err(e);
    }
    let outputs = match child.master.take() {
        Some(master) => vec![Output::new("stdout", master)],
        None => vec![Output::new("stdout", out), Output::new("stderr", err)],
    };
    Ok(Begun { child, outputs, signals, log, null, record, cgroups: look.cgroups, oom_kills })
}

/// Until pid 1 has ended and its streams are empty. Signals to the monitor go on to pid 1.
fn pump(begun: &mut Begun) -> Result<()> {
    let Begun { child, outputs, signals, log, .. } = begun;
    let mut ended = false;
    loop {
        let mut fds = vec![(signals.as_fd(), false)];
        if !ended {
            fds.push((child.pidfd.as_fd(), false));
        }
        let asks = child.denials.as_ref().and_then(Denials::fd).filter(|_| !ended);
        let asked = asks.map_or(usize::MAX, |fd| {
            fds.push((fd, false));
            fds.len() - 1
        });
        let first = fds.len();
        let open: Vec<usize> = (0..outputs.len()).filter(|i| outputs[*i].open()).collect();
        fds.extend(open.iter().map(|i| (outputs[*i].as_fd(), false)));
        // A grandchild without a pid namespace may hold the pipes for ever: only what waits is taken.
        let ready = io::poll(&fds, if ended { 0 } else { -1 })?;
        let is = |n: usize| ready.get(n) == Some(&true);
        let streams: Vec<usize> =
            open.iter().enumerate().filter(|(n, _)| is(first + n)).map(|(_, i)| *i).collect();
        let (over, asks) = (!ended && is(1), is(asked));
        if let (true, Some(denials)) = (asks, &mut child.denials) {
            denials.answer();
        }
        if is(0) {
            while let Some((number, _)) = signals.waiting()? {
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
