//! The ids of a new user namespace (user_namespaces(7)): written to /proc/PID/uid_map and gid_map,
//! or by newuidmap(1) and newgidmap(1), which let an ordinary user have those of /etc/subuid.

use crate::Fail;
use std::fmt::Write;
use std::fs;
use std::process::{Command, Stdio};
use sys::{Errno, cred};

type Result<T = ()> = std::result::Result<T, Fail>;

/// Groups first: a process whose user is mapped could do with them what it likes.
pub fn write(pid: i32, uids: &[[u32; 3]], gids: &[[u32; 3]]) -> Result {
    const SETGID: u64 = 1 << 6;
    const SETUID: u64 = 1 << 7;
    let held = cred::permitted()?;
    let own = |rows: &[[u32; 3]], id: u32| matches!(rows, [[_, host, 1]] if *host == id);
    if held & SETGID != 0 {
        file(pid, "gid_map", gids)?;
    } else if own(gids, cred::egid()) {
        // Without it the caller could leave a group that keeps it from something.
        put(pid, "setgroups", "deny")?;
        file(pid, "gid_map", gids)?;
    } else {
        program("newgidmap", pid, gids)?;
    }
    if held & SETUID != 0 || own(uids, cred::euid()) {
        file(pid, "uid_map", uids)
    } else {
        program("newuidmap", pid, uids)
    }
}

/// Runs `act` as root of a new user namespace with these ids, in a process of its own.
pub fn within(uids: &[[u32; 3]], gids: &[[u32; 3]], act: impl FnOnce() -> Result) -> Result {
    let (ours, theirs) = sys::io::seqpacket()?;
    match sys::process::clone_into(&["user".to_owned()], None)? {
        sys::process::Side::Child => {
            drop(ours);
            let done = match sys::io::recv(&theirs) {
                Ok((word, _)) if word == b"g" => {
                    cred::become_root().map_err(Fail::from).and_then(|()| act()).map_err(|e| e.errno)
                }
                _ => Err(Errno(sys::EPERM)),
            };
            sys::process::exit_now(done.err().map_or(0, |e| e.0.clamp(1, 255)))
        }
        sys::process::Side::Parent(pid, _) => {
            drop(theirs);
            let mapped = write(pid, uids, gids);
            if mapped.is_ok() {
                sys::io::send(&ours, b"g", None)?;
            }
            drop(ours);
            let exit = sys::process::wait(pid)?;
            mapped?;
            match exit.status() {
                0 => Ok(()),
                errno => Err(Errno(errno).into()),
            }
        }
    }
}

/// Whether the caller is in a user namespace with just these.
pub fn are(uids: &[[u32; 3]], gids: &[[u32; 3]]) -> Result {
    for (name, rows) in [("uid_map", uids), ("gid_map", gids)] {
        let text = fs::read_to_string(format!("/proc/self/{name}"))?;
        let number = |word: &str| word.parse::<u32>().unwrap_or(u32::MAX);
        let mut is: Vec<Vec<u32>> =
            text.lines().map(|l| l.split_whitespace().map(number).collect()).collect();
        let mut wanted: Vec<Vec<u32>> = rows.iter().map(|r| r.to_vec()).collect();
        is.sort();
        wanted.sort();
        if is != wanted {
            let why = Some(format!("its {name} is another"));
            return Err(Fail { errno: Errno(sys::EINVAL), why, status: None });
        }
    }
    Ok(())
}

/// What an id of a process's user namespace is to the caller. One that stands for nothing is root's,
/// which is nobody there.
pub fn outside(pid: i32, name: &str, id: u32) -> Result<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/{name}"))?;
    let row = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u32>().ok());
        let (inside, first, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        id.checked_sub(inside).filter(|nth| *nth < count).map(|nth| first + nth)
    };
    Ok(text.lines().find_map(row).unwrap_or_default())
}

fn file(pid: i32, name: &str, rows: &[[u32; 3]]) -> Result {
    let mut text = String::new();
    for [inside, outside, size] in rows {
        let _ = writeln!(text, "{inside} {outside} {size}");
    }
    put(pid, name, &text)
}

/// One write(2): the kernel takes the whole map at once.
fn put(pid: i32, name: &str, text: &str) -> Result {
    let path = format!("/proc/{pid}/{name}");
    let written = fs::File::options().write(true).open(&path).and_then(|f| {
        sys::io::write_all(f, text.as_bytes()).map_err(|e| std::io::Error::from_raw_os_error(e.0))
    });
    written.map_err(|e| {
        let errno = Errno::from(e);
        let denied = crate::denied::why(errno);
        Fail { why: denied.why.or(Some(format!("{name}: {errno}"))), ..denied }
    })
}

fn program(name: &str, pid: i32, rows: &[[u32; 3]]) -> Result {
    let mut command = Command::new(name);
    command.arg(pid.to_string()).args(rows.iter().flatten().map(u32::to_string));
    let output = command.stdin(Stdio::null()).output().map_err(|e| {
        let errno = Errno::from(e);
        let why = match errno {
            Errno(sys::ENOENT) => format!("there is no {name} (package uidmap)"),
            _ => format!("{name}: {errno}"),
        };
        Fail { errno, why: Some(why), status: None }
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|l| !l.trim().is_empty()).unwrap_or("it failed").trim();
    let said = said.trim_start_matches(&format!("{name}: "));
    Err(Fail { errno: Errno(sys::EPERM), why: Some(format!("{name}: {said}")), status: None })
}
