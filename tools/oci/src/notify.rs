//! NOTIFY_SOCKET: what a service manager is told (sd_notify(3)), through the container's wall. The
//! container sees a socket in the container's own directory; that it is ready is passed on, as runc
//! does it: by `run` and `start`, while they are there anyway.

use crate::container::Container;
use crate::log::{Level, say};
use crate::started::kernels_words;
use anyhow::{Context, Result, bail};
use doc::Doc;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the container sees the socket's directory, and the socket's name in it.
const INSIDE: &str = "/run/notify";
const SOCKET: &str = "notify.sock";

/// How long the manager may take until it says that it has understood.
const BARRIER: i32 = 30_000;

/// Somebody wants to know when a container is ready.
pub struct Notify {
    manager: OsString,
    dir: PathBuf,
}

/// The socket that the container's process will find, and whom to tell.
pub struct Listening {
    manager: OsString,
    socket: OwnedFd,
}

impl Notify {
    /// As this process's environment says.
    pub fn wanted(container: &Container) -> Option<Notify> {
        let manager = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())?;
        Some(Notify { manager, dir: container.file("notify") })
    }

    /// The process is told of the socket, and its directory is mounted.
    pub fn edit(&self, doc: &mut Doc) -> Result<()> {
        let mut mounts: Vec<Value> = doc.read("/mounts")?.unwrap_or_default();
        mounts.push(json!({
            "destination": INSIDE,
            "type": "bind",
            "source": self.dir.to_string_lossy(),
            "options": ["bind", "nosuid", "noexec", "nodev", "ro"],
        }));
        doc.set("/mounts", mounts)?;
        doc.put_env("NOTIFY_SOCKET", &format!("{INSIDE}/{SOCKET}"))?;
        Ok(())
    }

    /// The directory; it goes with the container's.
    pub fn make_dir(&self) -> Result<()> {
        let made = DirBuilder::new().mode(0o755).create(&self.dir);
        made.with_context(|| format!("make {}", self.dir.display()))
    }

    /// The socket; `None`: the container was made when nobody wanted to know.
    pub fn listen(self) -> Result<Option<Listening>> {
        if !self.dir.is_dir() {
            return Ok(None);
        }
        let path = self.dir.join(SOCKET);
        let socket = sys::io::bind_datagram(&path).with_context(|| format!("make {}", path.display()))?;
        // Whoever the container's process is.
        fs::set_permissions(&path, Permissions::from_mode(0o777))
            .with_context(|| format!("open {} to everybody", path.display()))?;
        Ok(Some(Listening { manager: self.manager, socket }))
    }
}

impl Listening {
    /// Waits until the container says that it is ready or its process has ended; the manager is told
    /// the former, and that `main` is the process to look after. A manager that is not there is none.
    pub fn pass_on(&self, main: i32, process: impl AsFd) {
        if let Err(e) = self.tell(main, process) {
            say(Level::Warning, &format!("NOTIFY_SOCKET: {}", kernels_words(cli::line(&e))));
        }
    }

    /// Whatever else the container says is heard until its process has ended: nobody would take it from
    /// a socket that is full.
    pub fn hear_out(&self, process: impl AsFd) {
        while let Ok(Some(_)) = self.ready(&process) {}
    }

    fn tell(&self, main: i32, process: impl AsFd) -> Result<()> {
        let path = Path::new(&self.manager);
        let manager =
            sys::io::connect_datagram(path).with_context(|| format!("connect to {}", path.display()))?;
        let Some(ready) = self.ready(process)? else { return Ok(()) };
        for line in [ready, format!("MAINPID={main}\n").into_bytes()] {
            sys::io::send(&manager, &line, None).context("tell the service manager")?;
        }
        barrier(&manager)
    }

    /// The line that says so; `None`: the process has ended before.
    fn ready(&self, process: impl AsFd) -> Result<Option<Vec<u8>>> {
        loop {
            let events = sys::io::poll(&[(self.socket.as_fd(), false), (process.as_fd(), false)], -1)?;
            match events[..] {
                [true, _] => {
                    // What comes beside it is closed.
                    let (message, _) = sys::io::recv(&self.socket)?;
                    let mut lines = message.split(|b| *b == b'\n');
                    if let Some(line) = lines.find(|l| l.starts_with(b"READY=")) {
                        return Ok(Some([line, b"\n"].concat()));
                    }
                }
                [false, true] => return Ok(None),
                _ => {}
            }
        }
    }
}

/// Returns when the manager has read what was sent before: it closes what it gets (sd_notify_barrier(3)).
fn barrier(manager: &OwnedFd) -> Result<()> {
    let (read, write) = sys::io::pipe().context("make a pipe")?;
    sys::io::send(manager, b"BARRIER=1", Some(write.as_fd())).context("tell the service manager")?;
    drop(write);
    match sys::io::poll(&[(read.as_fd(), false)], BARRIER)?[..] {
        [true] => Ok(()),
        _ => bail!("no answer to BARRIER=1"),
    }
}
