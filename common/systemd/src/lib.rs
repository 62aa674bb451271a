//! systemd, asked over its bus (org.freedesktop.systemd1(5)): units that are made, changed and taken
//! away. A client of D-Bus as small as that takes: it blocks, has no thread and no other crate, and is let
//! in within a user namespace too, since it leaves it to the kernel to say who it is.
#![forbid(unsafe_code)]

mod bus;
mod wire;

pub use bus::{booted, of_user, own_uid, socket};
pub use wire::first;

use bus::{Bus, Reply};
use serde::{Deserialize, Serialize};
use std::fmt;
use sys::Errno;

/// A property of a unit, as busctl(1) writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Property {
    /// `MemoryMax`.
    pub name: String,
    /// Its D-Bus signature: `t`.
    pub kind: String,
    /// Its value in words: an array is its length, then its elements.
    pub value: Vec<String>,
}

impl Property {
    /// Of one word.
    pub fn new(name: &str, kind: &str, value: impl ToString) -> Property {
        Property { name: name.into(), kind: kind.into(), value: vec![value.to_string()] }
    }

    /// Of an array: its length, and its elements.
    pub fn list(name: &str, kind: &str, elements: Vec<Vec<String>>) -> Property {
        let value = std::iter::once(elements.len().to_string()).chain(elements.into_iter().flatten());
        Property { name: name.into(), kind: kind.into(), value: value.collect() }
    }

    /// As a call has it.
    pub fn words(&self) -> impl Iterator<Item = String> + '_ {
        [self.name.clone(), self.kind.clone()].into_iter().chain(self.value.iter().cloned())
    }
}

/// Why it could not be done: which bus, and what it said.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// The kernel's answer, where it was the kernel's.
    pub errno: Option<Errno>,
    /// The name of D-Bus's error, where it was a peer's.
    pub name: String,
    /// In words.
    pub text: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

type Result<T> = std::result::Result<T, Error>;

/// The name of systemd on the bus, its object, and that one's interface.
pub const NAME: &str = "org.freedesktop.systemd1";
/// See [`NAME`].
pub const PATH: &str = "/org/freedesktop/systemd1";
/// See [`NAME`].
pub const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// The signature of StartTransientUnit.
pub const START: &str = "ssa(sv)a(sa(sv))";
/// The signature of SetUnitProperties.
pub const SET: &str = "sba(sv)";

/// The signature of AttachProcessesToUnit.
pub const ATTACH: &str = "ssau";

/// The words of StartTransientUnit.
pub fn start_words(unit: &str, properties: &[Property]) -> Vec<String> {
    let mut words = vec![unit.to_owned(), "replace".into(), properties.len().to_string()];
    words.extend(properties.iter().flat_map(Property::words));
    words.push("0".into());
    words
}

/// The words of SetUnitProperties: until the unit ends.
pub fn set_words(unit: &str, properties: &[Property]) -> Vec<String> {
    let mut words = vec![unit.to_owned(), "true".into(), properties.len().to_string()];
    words.extend(properties.iter().flat_map(Property::words));
    words
}

fn gone(e: &Error) -> bool {
    e.name == "org.freedesktop.systemd1.NoSuchUnit"
}

/// How long systemd may take for a job, in seconds.
const PATIENCE: u64 = 30;

/// A connection to the manager of the system, or of the calling user.
pub struct Manager(Bus);

impl Manager {
    /// Connects.
    pub fn of(user: bool) -> Result<Manager> {
        Ok(Manager(Bus::connect(user)?))
    }

    fn call(&mut self, member: &str, signature: &str, words: &[String]) -> Result<Reply> {
        self.0.call((NAME, PATH, MANAGER, member), signature, words)
    }

    /// A transient unit. One of that name that has failed makes way. Post-condition: systemd has made it,
    /// and its processes are in it.
    pub fn start(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        let words = start_words(unit, properties);
        self.0.watch_jobs()?;
        let mut reply = self.call("StartTransientUnit", START, &words);
        if matches!(&reply, Err(e) if e.name == "org.freedesktop.systemd1.UnitExists") {
            self.reset(unit)?;
            reply = self.call("StartTransientUnit", START, &words);
        }
        let done = self.await_job(reply?);
        if done.is_err() {
            let _ = self.reset(unit);
        }
        done
    }

    /// Other values for some properties, until the unit ends.
    pub fn set(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        self.call("SetUnitProperties", SET, &set_words(unit, properties))?;
        // systemd answers first and writes then, but before it takes the next call.
        self.0.call((NAME, PATH, "org.freedesktop.DBus.Peer", "Ping"), "", &[]).map(drop)
    }

    /// Post-condition: there is no such unit, neither one that runs nor one that has failed.
    pub fn stop(&mut self, unit: &str) -> Result<()> {
        // Anybody may ask that: who may stop nothing has nothing to stop either, mostly.
        match self.call("GetUnit", "s", &[unit.into()]) {
            Err(e) if gone(&e) => return Ok(()),
            other => other.map(drop)?,
        }
        self.0.watch_jobs()?;
        match self.call("StopUnit", "ss", &[unit.into(), "replace".into()]) {
            Err(e) if gone(&e) => return Ok(()),
            reply => self.await_job(reply?)?,
        }
        self.reset(unit)
    }

    /// A unit that has failed is forgotten; any other stays as it is.
    fn reset(&mut self, unit: &str) -> Result<()> {
        match self.call("ResetFailedUnit", "s", &[unit.into()]) {
            Err(e) if gone(&e) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Moves a process into a unit, or into a cgroup below it.
    pub fn attach(&mut self, unit: &str, below: &str, pid: i32) -> Result<()> {
        let words = [unit.into(), below.into(), "1".into(), pid.to_string()];
        self.call("AttachProcessesToUnit", ATTACH, &words).map(drop)
    }

    fn await_job(&mut self, reply: Reply) -> Result<()> {
        let job = reply.string(0).unwrap_or_default();
        match self.0.job_result(&job)?.as_str() {
            "done" => Ok(()),
            other => Err(self.0.says("", format!("{NAME}: its job ended with '{other}'"))),
        }
    }
}
