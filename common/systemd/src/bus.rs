//! A connection to a bus: letting in, calls, replies, and the one signal that matters.

use crate::wire::{Reader, Writer};
use crate::{Error, MANAGER, NAME, PATIENCE, Result};
use std::io::{ErrorKind, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

/// Where systemd, as process 1, says that it is (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

/// Whether systemd runs this machine.
pub fn booted() -> bool {
    Path::new(BOOTED).is_dir()
}

/// Whether the caller's units are its user manager's: it is not the user whose the system's is. Root of a
/// user namespace may be either's: that of a container that systemd runs in, or an ordinary user's.
pub fn of_user() -> bool {
    sys::cred::euid() != fs::metadata(BOOTED).map_or(0, |m| m.uid())
}

/// The caller's user id outside of its user namespace.
pub fn own_uid() -> u32 {
    let uid = sys::cred::euid();
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let row = |line: &str| {
        let mut fields = line.split_whitespace().map(str::parse::<u32>);
        let (inside, outside) = (fields.next()?.ok()?, fields.next()?.ok()?);
        let size = fields.next()?.ok()?;
        let beyond = uid.checked_sub(inside).filter(|n| *n < size)?;
        outside.checked_add(beyond)
    };
    map.lines().find_map(row).unwrap_or(uid)
}

/// Where a bus listens.
#[derive(Clone, Debug, PartialEq)]
enum Address {
    Path(PathBuf),
    Abstract(Vec<u8>),
}

/// The first address of a list (D-Bus specification, Server Addresses) that is a unix socket.
fn parse(list: &str) -> Option<Address> {
    list.split(';').find_map(|one| {
        let pairs = one.strip_prefix("unix:")?.split(',').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find_map(|(key, value)| match key {
            "path" => Some(Address::Path(std::ffi::OsStr::from_bytes(&unescaped(value)).into())),
            "abstract" => Some(Address::Abstract(unescaped(value))),
            _ => None,
        })
    })
}

/// `%2f` is a byte.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((plain, more)) = rest.split_once('%') {
        out.extend(plain.bytes());
        match more.get(..2).map(|hex| u8::from_str_radix(hex, 16)) {
            Some(Ok(byte)) => {
                out.push(byte);
                rest = &more[2..];
            }
            _ => {
                out.push(b'%');
                rest = more;
            }
        }
    }
    out.extend(rest.bytes());
    out
}

fn address(user: bool) -> Address {
    let given = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
    if !user {
        let given = given("DBUS_SYSTEM_BUS_ADDRESS").and_then(|list| parse(&list));
        return given.unwrap_or_else(|| Address::Path("/run/dbus/system_bus_socket".into()));
    }
    if let Some(address) = given("DBUS_SESSION_BUS_ADDRESS").and_then(|list| parse(&list)) {
        return address;
    }
    let dir = given("XDG_RUNTIME_DIR").unwrap_or_else(|| format!("/run/user/{}", own_uid()));
    Address::Path(Path::new(&dir).join("bus"))
}

/// The socket of a bus, where it is a file.
pub fn socket(user: bool) -> Option<PathBuf> {
    match address(user) {
        Address::Path(path) => Some(path),
        Address::Abstract(_) => None,
    }
}

/// What a call gives, or a signal says: a message's body.
#[derive(Debug)]
pub struct Reply {
    bytes: Vec<u8>,
    body: usize,
    signature: String,
}

impl Reply {
    /// The n-th value of the body: strings, object paths and numbers of 32 bits can be told from each
    /// other, and are all that is asked for.
    pub fn string(&self, n: usize) -> Option<String> {
        let mut reader = Reader::new(&self.bytes[self.body..], 0);
        for (at, kind) in self.signature.chars().enumerate() {
            let value = match kind {
                's' | 'o' => reader.string()?,
                'u' => reader.u32()?.to_string(),
                _ => return None,
            };
            if at == n {
                return Some(value);
            }
        }
        None
    }
}

/// A message that has come.
#[derive(Default)]
struct Message {
    kind: u8,
    reply_to: Option<u32>,
    interface: Option<String>,
    member: Option<String>,
    error: Option<String>,
    reply: Option<Reply>,
}

const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;
const ENDIAN: u8 = if cfg!(target_endian = "little") { b'l' } else { b'B' };
/// The most that a message may be (D-Bus specification).
const MOST: usize = 128 << 20;

/// A connection.
pub struct Bus {
    stream: UnixStream,
    /// For errors.
    name: String,
    serial: u32,
    watches: bool,
    /// Jobs that have ended, and how.
    ended: Vec<(String, String)>,
}

impl Bus {
    /// To the bus of the system, or of the calling user.
    pub fn connect(user: bool) -> Result<Bus> {
        let whose = if user { "user" } else { "system" };
        let (address, at) = match address(user) {
            Address::Path(path) => (SocketAddr::from_pathname(&path), path.display().to_string()),
            Address::Abstract(name) => (
                SocketAddr::from_abstract_name(&name),
                format!("@{}", String::from_utf8_lossy(&name).escape_debug()),
            ),
        };
        let name = format!("the {whose} bus");
        let fail = |e: std::io::Error| Error {
            errno: e.raw_os_error().map(sys::Errno),
            name: String::new(),
            text: format!(
                "{name} at {at}: {}",
                e.raw_os_error().map_or(e.to_string(), |n| sys::Errno(n).to_string())
            ),
        };
        let stream = address.and_then(|a| UnixStream::connect_addr(&a)).map_err(fail)?;
        let patience = Some(Duration::from_secs(PATIENCE));
        stream.set_read_timeout(patience).map_err(fail)?;
        stream.set_write_timeout(patience).map_err(fail)?;
        let mut bus = Bus { stream, name, serial: 0, watches: false, ended: Vec::new() };
        bus.enter()?;
        bus.call((DBUS, DBUS_PATH, DBUS, "Hello"), "", &[])?;
        Ok(bus)
    }

    /// Without a word of who that is: the kernel says it, and outside of a user namespace the number
    /// would be another.
    fn enter(&mut self) -> Result<()> {
        self.write(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.push(byte[0]);
            if line.len() > 4096 {
                return Err(self.says("", "its greeting makes no sense".into()));
            }
            let Some(text) = line.strip_suffix(b"\r\n") else { continue };
            if text.starts_with(b"OK ") {
                return Ok(());
            }
            if !text.starts_with(b"DATA") {
                let text = String::from_utf8_lossy(text).escape_debug().to_string();
                return Err(self.says("", format!("it does not let user {} in: {text}", own_uid())));
            }
            line.clear();
        }
    }

    /// An error of this bus, or of somebody on it.
    pub fn says(&self, name: &str, text: String) -> Error {
        Error { errno: None, name: name.to_owned(), text: format!("{}: {text}", self.name) }
    }

    fn fail(&self, e: &std::io::Error) -> Error {
        let text = match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("no answer within {PATIENCE} s"),
            ErrorKind::UnexpectedEof => "it has closed the connection".into(),
            _ => e.to_string(),
        };
        Error { errno: e.raw_os_error().map(sys::Errno), ..self.says("", text) }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).map_err(|e| self.fail(&e))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.stream.read_exact(bytes).map_err(|e| self.fail(&e))
    }

    /// A method call: destination, object, interface, member; and its reply.
    pub fn call(
        &mut self,
        (to, path, interface, member): (&str, &str, &str, &str),
        signature: &str,
        words: &[String],
    ) -> Result<Reply> {
        let mut body = Writer::default();
        body.values(signature, words).map_err(|wrong| self.says("", format!("{member}: {wrong}")))?;
        self.serial += 1;
        let mut head = Writer::default();
        head.0.extend([ENDIAN, CALL, 0, 1]);
        head.u32(body.0.len() as u32);
        head.u32(self.serial);
        // An array of (byte, variant).
        head.u32(0);
        let begin = head.0.len();
        for (code, kind, value) in
            [(1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", to), (8, "g", signature)]
        {
            if kind == "g" && signature.is_empty() {
                continue;
            }
            head.align(8);
            head.0.push(code);
            head.signature(kind);
            if kind == "g" { head.signature(value) } else { head.string(value) }
        }
        let len = (head.0.len() - begin) as u32;
        head.0[begin - 4..begin].copy_from_slice(&len.to_ne_bytes());
        head.align(8);
        head.0.extend(body.0);
        self.write(&head.0)?;
        let serial = self.serial;
        loop {
            let message = self.next()?;
            if message.reply_to != Some(serial) {
                continue;
            }
            let reply =
                message.reply.unwrap_or(Reply { bytes: Vec::new(), body: 0, signature: String::new() });
            match (message.kind, message.error) {
                (RETURN, _) => return Ok(reply),
                (ERROR, name) => {
                    let name = name.unwrap_or_default();
                    let text = reply.string(0).filter(|t| !t.is_empty()).unwrap_or_else(|| name.clone());
                    let text = text.trim_end_matches('.').escape_debug().to_string().replace("\\'", "'");
                    return Err(self.says(&name, format!("{to}: {text}")));
                }
                _ => {}
            }
        }
    }

    /// From here on the ends of jobs are heard of.
    pub fn watch_jobs(&mut self) -> Result<()> {
        if self.watches {
            return Ok(());
        }
        let rule = format!("type='signal',sender='{NAME}',interface='{MANAGER}',member='JobRemoved'");
        self.call((DBUS, DBUS_PATH, DBUS, "AddMatch"), "s", &[rule])?;
        self.watches = true;
        Ok(())
    }

    /// How a job has ended; waits for it.
    pub fn job_result(&mut self, job: &str) -> Result<String> {
        let until = Instant::now() + Duration::from_secs(PATIENCE);
        loop {
            if let Some((_, result)) = self.ended.iter().find(|(path, _)| path == job) {
                return Ok(result.clone());
            }
            if Instant::now() > until {
                return Err(self.says("", format!("{NAME}: a job that takes longer than {PATIENCE} s")));
            }
            self.next()?;
        }
    }

    /// The next message; the end of a job is noted.
    fn next(&mut self) -> Result<Message> {
        let mut bytes = vec![0; 16];
        self.read(&mut bytes)?;
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (body, fields) = (word(4) as usize, word(12) as usize);
        let head = 16 + fields.next_multiple_of(8);
        if bytes[0] != ENDIAN || body > MOST || fields > MOST {
            return Err(self.says("", "it speaks in a way that is not understood".into()));
        }
        bytes.resize(head + body, 0);
        let mut rest = bytes.split_off(16);
        self.read(&mut rest)?;
        bytes.append(&mut rest);
        let message = understood(bytes, 16 + fields, head);
        if let (SIGNAL, Some("JobRemoved"), Some(MANAGER), Some(reply)) =
            (message.kind, message.member.as_deref(), message.interface.as_deref(), &message.reply)
            && let (Some(job), Some(result)) = (reply.string(1), reply.string(3))
        {
            self.ended.push((job, result));
        }
        Ok(message)
    }
}

const DBUS: &str = "org.freedesktop.DBus";
const DBUS_PATH: &str = "/org/freedesktop/DBus";

/// A message's header fields end at `end`, its body begins at `body`.
fn understood(bytes: Vec<u8>, end: usize, body: usize) -> Message {
    let mut message = Message { kind: bytes[1], ..Message::default() };
    let mut signature = String::new();
    let mut reader = Reader::new(&bytes, 16);
    loop {
        reader.align(8);
        if reader.at() >= end {
            break;
        }
        let (Some(code), Some(kind)) = (reader.u8(), reader.signature()) else { break };
        let (mut number, mut text) = (None, None);
        match kind.as_str() {
            "s" | "o" => text = reader.string(),
            "g" => text = reader.signature(),
            "u" => number = reader.u32(),
            // There is no other kind yet; whoever invents one does not reply to us by it.
            _ => break,
        }
        match code {
            2 => message.interface = text,
            3 => message.member = text,
            4 => message.error = text,
            5 => message.reply_to = number,
            8 => signature = text.unwrap_or_default(),
            _ => {}
        }
    }
    message.reply = Some(Reply { bytes, body, signature });
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let path = |p: &str| Some(Address::Path(p.into()));
        assert_eq!(parse("unix:path=/run/user/1000/bus"), path("/run/user/1000/bus"));
        assert_eq!(parse("tcp:host=a;unix:guid=7,path=/a%20b"), path("/a b"));
        assert_eq!(parse("unix:abstract=/tmp/x"), Some(Address::Abstract(b"/tmp/x".to_vec())));
        assert_eq!(parse("unix:tmpdir=/tmp"), None);
    }
}
