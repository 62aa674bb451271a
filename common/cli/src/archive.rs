//! Where an archive goes: stdout, which is no terminal, or a file that is there once it is whole.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use sys::io::Signals;
use sys::process;

/// The file that is meant; `None` is stdout. A terminal is a usage error, before anything is done.
pub fn place(output: Option<&Path>) -> Result<Option<&Path>> {
    match output.filter(|o| *o != Path::new("-")) {
        None if io::stdout().is_terminal() => {
            Err(crate::usage("stdout is a terminal: redirect it, or -o FILE"))
        }
        other => Ok(other),
    }
}

/// Writes it. A regular file is written beside its place and renamed, and nothing is left where that
/// does not come about; what is none, a device or a FIFO, is written into. A reader of stdout that
/// went away is a silent failure.
pub fn write(place: Option<&Path>, umask: u32, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let Some(path) = place else {
        let mut file = File::from(io::stdout().as_fd().try_clone_to_owned().context("open stdout")?);
        return fill(&mut file).map_err(|e| if is_broken(&e) { crate::fail() } else { e });
    };
    // Through a link, as a shell's redirection would.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let shown = || format!("write {}", path.display());
    if fs::metadata(&path).is_ok_and(|m| !m.is_file()) {
        let mut file = File::options().write(true).open(&path).with_context(shown)?;
        return fill(&mut file);
    }
    let temp = beside(&path).with_context(shown)?;
    let mode = 0o666 & !umask;
    end_without(&temp)?;
    let mut file = File::options().write(true).create_new(true).mode(mode).open(&temp).with_context(shown)?;
    let done = fill(&mut file).and_then(|()| fs::rename(&temp, &path).with_context(shown));
    if done.is_err() {
        let _ = fs::remove_file(&temp);
    }
    done
}

/// SIGHUP, SIGINT and SIGTERM take the file away before they end this process.
fn end_without(temp: &Path) -> Result<()> {
    const SIGNALS: [i32; 3] = [1, 2, 15];
    let mut signals = Signals::take_heeded(&SIGNALS).context("take signals")?;
    let temp = temp.to_owned();
    // It waits for as long as the process lives, and is gone with it.
    std::thread::spawn(move || {
        loop {
            let _ = sys::io::poll(&[(signals.as_fd(), false)], -1);
            if let Ok(Some((number, _))) = signals.waiting() {
                let _ = fs::remove_file(&temp);
                let _ = signals.give_back(&SIGNALS);
                let _ = process::pidfd(process::pid()).and_then(|own| process::signal(own, number));
                return;
            }
        }
    });
    Ok(())
}

fn is_broken(e: &anyhow::Error) -> bool {
    e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else { return Err(ErrorKind::IsADirectory.into()) };
    let random: [u8; 6] = sys::io::random().map_err(|e| io::Error::from_raw_os_error(e.0))?;
    let random: String = random.iter().map(|b| format!("{b:02x}")).collect();
    Ok(path.with_file_name(format!(".{}.{random}", name.to_string_lossy())))
}
