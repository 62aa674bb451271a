//! execve(2), and the reason in words when it fails: ENOENT alone does not say whether the
//! program, its loader or its interpreter is missing.

use crate::Fail;
use std::ffi::CString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use sys::{Errno, process};

const ENOENT: Errno = Errno(2);
const ENOEXEC: Errno = Errno(8);
const EACCES: Errno = Errno(13);
const ENOTDIR: Errno = Errno(20);

/// Comes back only with a failure.
pub fn exec(args: &[String], env: &[String], fds: u32) -> Fail {
    let c = |list: &[String]| list.iter().map(|s| CString::new(s.as_str())).collect::<Result<Vec<_>, _>>();
    let (Ok(argv), Ok(envp)) = (c(args), c(env)) else {
        return Errno(22).into();
    };
    let Some(name) = args.first() else {
        return Fail { errno: ENOENT, why: Some("no command: process.args is empty".into()), status: None };
    };
    process::default_signals();
    let _ = process::cloexec_from(fds);
    let searched = !name.contains('/');
    let mut denied = None;
    for path in candidates(name, env) {
        // Cheaper than an execve that comes to nothing.
        if searched && fs::symlink_metadata(&path).is_err_and(|e| matches!(Errno::from(e), ENOENT | ENOTDIR))
        {
            continue;
        }
        let Ok(c_path) = CString::new(path.as_str()) else { return Errno(22).into() };
        match process::exec(&c_path, &argv, &envp) {
            // As execvp(3): the search goes on, and says so if nothing better is found.
            EACCES if searched => {
                denied.get_or_insert(path);
            }
            errno if fs::symlink_metadata(&path).is_err() && matches!(errno, ENOENT | ENOTDIR) => {}
            errno => return cannot(&path, errno),
        }
    }
    match denied {
        Some(path) => cannot(&path, EACCES),
        None => {
            let why = if searched { "not found in PATH" } else { "not found" };
            Fail { errno: ENOENT, why: Some(why.into()), status: Some(127) }
        }
    }
}

/// What [`exec`] would say, as far as it can be known before: the program is there, and is a file
/// that this process may run.
pub fn look_up(args: &[String], env: &[String]) -> Result<(), Fail> {
    let Some(name) = args.first() else {
        return Err(Fail { errno: ENOENT, why: Some("process.args is empty".into()), status: None });
    };
    let mut denied = None;
    for path in candidates(name, env) {
        // A seccomp filter that is older than these calls answers EPERM or ENOSYS, which the kernel does
        // not say of a file here: then nobody can tell but execve(2).
        let meta = match fs::metadata(&path) {
            Ok(meta) => meta,
            Err(e) if matches!(e.raw_os_error(), Some(sys::EPERM | sys::ENOSYS)) => return Ok(()),
            // What was asked for by its path is behind a directory that this user may not enter.
            Err(e) if name.contains('/') && e.raw_os_error() == Some(sys::EACCES) => {
                denied = denied.or(Some(path));
                continue;
            }
            // It leads to no file: a link that turns in a circle, a file where a directory is due.
            Err(e) if name.contains('/') && e.raw_os_error() != Some(sys::ENOENT) => {
                let errno = Errno::from(e);
                let status = if errno == ENOTDIR { 127 } else { 126 };
                let why = errno.to_string().to_lowercase();
                return Err(Fail { errno, why: Some(why), status: Some(status) });
            }
            Err(_) => continue,
        };
        match sys::cred::may_execute(&path) {
            Ok(()) | Err(Errno(sys::EPERM | sys::ENOSYS)) if !meta.is_dir() => return Ok(()),
            _ => denied = denied.or(Some(path)),
        }
    }
    match denied {
        Some(path) => {
            // Engines look for the kernel's words, people for the reason.
            let why = reason(&path, EACCES).map_or_else(String::new, |r| r + ": ") + "permission denied";
            Err(Fail { errno: EACCES, why: Some(why), status: Some(126) })
        }
        None => {
            let why = if name.contains('/') {
                "no such file or directory"
            } else {
                "executable file not found in $PATH"
            };
            Err(Fail { errno: ENOENT, why: Some(why.into()), status: Some(127) })
        }
    }
}

fn candidates(name: &str, env: &[String]) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    if name.is_empty() {
        return Vec::new();
    }
    let path = env.iter().find_map(|e| e.strip_prefix("PATH=")).unwrap_or("/usr/bin:/bin");
    let dir = |d: &str| if d.is_empty() { format!("./{name}") } else { format!("{d}/{name}") };
    path.split(':').map(dir).collect()
}

fn cannot(path: &str, errno: Errno) -> Fail {
    Fail { errno, why: Some(reason(path, errno).unwrap_or_else(|| errno.to_string())), status: Some(126) }
}

/// Looks at the file that would not run.
fn reason(path: &str, errno: Errno) -> Option<String> {
    let meta = fs::metadata(path).ok()?;
    if meta.is_dir() {
        return Some("is a directory".into());
    }
    let mode = meta.permissions().mode() & 0o7777;
    if errno == EACCES {
        let exec = mode & 0o111 != 0;
        return (!exec).then(|| format!("not executable (mode {mode:04o})"));
    }
    let mut head = Vec::new();
    // It may have been swapped for a FIFO since.
    let file = fs::File::options().read(true).custom_flags(sys::O_NONBLOCK).open(path);
    file.ok()?.take(4096).read_to_end(&mut head).ok()?;
    match errno {
        ENOENT if head.starts_with(b"#!") => Some(script(&head)),
        ENOENT => interpreter(&head).map(|l| format!("its ELF loader {l} is not there")),
        ENOEXEC if head.starts_with(b"\x7fELF") => machine(&head),
        ENOEXEC if head.is_empty() => Some("an empty file".into()),
        ENOEXEC => Some("no program: neither ELF nor a #! line".into()),
        _ => None,
    }
}

fn script(head: &[u8]) -> String {
    let line = head[2..].split(|b| *b == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line).into_owned();
    let program = line.trim_start_matches([' ', '\t']).split([' ', '\t', '\r']).next().unwrap_or_default();
    if line.ends_with('\r') {
        return format!("its #! line ends in CRLF, so the interpreter would be '{program}\\r'");
    }
    format!("its interpreter {program} is not there")
}

fn word(head: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = head.get(at..at + size)?;
    let little = head.get(5) == Some(&1);
    let add = |n: u64, b: &u8| n << 8 | u64::from(*b);
    Some(if little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
}

/// The loader that an ELF file asks for (elf(5), PT_INTERP).
fn interpreter(head: &[u8]) -> Option<String> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let wide = head.get(4) == Some(&2);
    let (phoff, size, num) = if wide {
        (word(head, 32, 8)?, word(head, 54, 2)?, word(head, 56, 2)?)
    } else {
        (word(head, 28, 4)?, word(head, 42, 2)?, word(head, 44, 2)?)
    };
    for i in 0..num {
        let at = usize::try_from(phoff.checked_add(i * size)?).ok()?;
        if word(head, at, 4)? == 3 {
            let (off, len) = if wide {
                (word(head, at + 8, 8)?, word(head, at + 32, 8)?)
            } else {
                (word(head, at + 4, 4)?, word(head, at + 16, 4)?)
            };
            let start = usize::try_from(off).ok()?;
            let bytes = head.get(start..start.checked_add(usize::try_from(len).ok()?)?)?;
            return Some(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned());
        }
    }
    None
}

/// An ELF file that the kernel takes for none of its own (elf(5), e_machine).
fn machine(head: &[u8]) -> Option<String> {
    let name = match word(head, 18, 2)? {
        3 => "i386".to_owned(),
        8 => "mips".to_owned(),
        20 | 21 => "powerpc".to_owned(),
        22 => "s390x".to_owned(),
        40 => "arm".to_owned(),
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        243 => "riscv".to_owned(),
        n => format!("machine {n}"),
    };
    let own = std::env::consts::ARCH;
    if name == own {
        return Some("a broken ELF file".into());
    }
    Some(format!("built for {name}; this machine is {own}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn told_apart() {
        let dir = std::env::temp_dir().join(format!("stave-exec-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = |name: &str, bytes: &[u8], mode: u32| {
            let p = dir.join(name);
            fs::write(&p, bytes).unwrap();
            fs::set_permissions(&p, fs::Permissions::from_mode(mode)).unwrap();
            p.to_str().unwrap().to_owned()
        };
        let mut arm = b"\x7fELF\x02\x01\x01".to_vec();
        arm.resize(64, 0);
        arm[18] = 183;
        for (path, status, says) in [
            (file("plain", b"x", 0o644), 126, "not executable (mode 0644)"),
            (file("crlf", b"#!/bin/sh\r\necho\n", 0o755), 126, "CRLF"),
            (file("noint", b"#!/no/such/sh -e\n", 0o755), 126, "its interpreter /no/such/sh is not there"),
            (file("text", b"hello\n", 0o755), 126, "neither ELF nor"),
            (file("empty", b"", 0o755), 126, "an empty file"),
            (file("arm", &arm, 0o755), 126, "built for aarch64"),
            (dir.to_str().unwrap().to_owned(), 126, "is a directory"),
            ("/no/such/program".into(), 127, "not found"),
            ("no-such-program".into(), 127, "not found in PATH"),
        ] {
            let fail = exec(std::slice::from_ref(&path), &["PATH=/usr/bin:/bin".into()], 3);
            assert_eq!(fail.status, Some(status), "{path}: {fail}");
            assert!(fail.to_string().contains(says), "{path}: {fail}");
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_path_that_leads_nowhere() {
        let dir = std::env::temp_dir().join(format!("stave-look-up-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let _ = std::os::unix::fs::symlink("loop", dir.join("loop"));
        fs::write(dir.join("file"), "").unwrap();
        for (name, status, says) in [
            ("loop", 126, "too many levels of symbolic links"),
            ("file/x", 127, "not a directory"),
            ("none", 127, "no such file or directory"),
        ] {
            let path = dir.join(name).to_str().unwrap().to_owned();
            let fail = look_up(&[path], &[]).unwrap_err();
            assert_eq!((fail.status, fail.to_string().as_str()), (Some(status), says));
        }
        let fail = look_up(&[String::new()], &["PATH=/usr/bin:/bin".into()]).unwrap_err();
        assert_eq!(fail.to_string(), "executable file not found in $PATH");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn finds_the_loader() {
        // /proc/self/exe may be static: take a dynamic program of the machine.
        let head = fs::read("/usr/bin/env").unwrap();
        assert!(interpreter(&head).unwrap().contains("ld-linux"));
    }
}
