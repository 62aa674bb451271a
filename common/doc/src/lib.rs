//! The document: a legal OCI runtime `config.json` with one extra key, `stave`.
//!
//! A [`Doc`] is the JSON value itself with typed views over it, never a struct that drops what it
//! does not know: every key that a tool does not edit passes through, in order.
#![forbid(unsafe_code)]

mod devices;
mod idmap;
mod isolation;
mod kinds;
mod netdev;
mod resources;
mod sched;
mod sysctl;
mod time;
mod unit;
mod validate;
mod view;

pub use devices::Device;
pub use idmap::IdMapping;
pub use isolation::{
    DEFAULT_CAPABILITIES, MASKED_PATHS, READONLY_PATHS, default_device_rules, default_seccomp, isolate,
    nothing_of_the_caller,
};
pub use netdev::NetDevice;
pub use resources::{
    BlockIo, Cpu, HugePages, Memory, Network, Pids, Rdma, Resources, Throttle, WeightDevice,
};
pub use sched::{Affinity, IoPriority, MemoryPolicy, Scheduler};
pub use sysctl::Sysctl;
pub use time::TimeOffset;
pub use unit::{Unit, slice_path};
pub use validate::NAMESPACES;
pub use view::is_name;
pub use view::{Capabilities, DeviceRule, Hook, Image, Layer, Mount, Namespace, Rlimit, User};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::fmt;

/// The version of the `stave` key. It grows only when a key changes its meaning.
pub const VERSION: u64 = 1;

/// The OCI runtime specification that covers the keys we write; older runtimes refuse newer ones.
pub const OCI_VERSION: &str = "1.0.2";

/// Why some bytes, or a part of them, are no document.
#[derive(Debug)]
pub enum Error {
    /// The text is not JSON; serde's own words.
    Json(serde_json::Error),
    /// JSON, but not an object.
    NotAnObject,
    /// `stave.v` is one that this program cannot read.
    Version(String),
    /// A key holds something of another shape than the specification says.
    Shape {
        /// JSON pointer of the key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::Json(e) if e.is_eof() => f.write_str("the document ends in its middle"),
            Error::Json(e) => write!(f, "not JSON: {e}"),
            Error::NotAnObject => f.write_str("a document is a JSON object"),
            Error::Version(v) => {
                write!(f, "the document has stave.v {v}; this program reads {VERSION}")
            }
            Error::Shape { key, why } => {
                write!(f, "document: {}: {why}", key.trim_start_matches('/').replace('/', "."))
            }
        }
    }
}

impl std::error::Error for Error {}

/// One container as JSON. Always an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Doc(Value);

impl Default for Doc {
    fn default() -> Doc {
        Doc(json!({ "ociVersion": OCI_VERSION }))
    }
}

impl Doc {
    /// Reads one JSON object; an unknown `stave.v` is refused, unknown keys are kept.
    pub fn parse(text: &[u8]) -> Result<Doc, Error> {
        let value: Value = serde_json::from_slice(text).map_err(Error::Json)?;
        if !value.is_object() {
            return Err(Error::NotAnObject);
        }
        match value.pointer("/stave") {
            None => {}
            Some(Value::Object(stave)) => match stave.get("v") {
                Some(v) if *v != json!(VERSION) => return Err(Error::Version(v.to_string())),
                _ => {}
            },
            Some(_) => return Err(shape("/stave", "not an object")),
        }
        kinds::check(&value)?;
        Ok(Doc(value))
    }

    /// The whole as a value, for printing or comparing.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// One line, as it goes through a pipe; no newline at the end.
    pub fn line(&self) -> String {
        self.0.to_string()
    }

    /// Indented, for people.
    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(&self.0).unwrap_or_else(|_| self.line())
    }

    /// The value at a JSON pointer (RFC 6901); null counts as absent.
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        at(&self.0, pointer).filter(|v| !v.is_null())
    }

    /// The value at a pointer read as `T`; absent is `None`, another shape an error that names the key.
    pub fn read<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>, Error> {
        match self.get(pointer) {
            None => Ok(None),
            Some(v) => T::deserialize(v).map(Some).map_err(|e| shape(pointer, &e.to_string())),
        }
    }

    /// Sets the value at a pointer of object keys, making objects on the way. A parent that is
    /// there and no object is an error, so that nothing of the user's is overwritten unseen.
    pub fn set(&mut self, pointer: &str, value: impl Into<Value>) -> Result<(), Error> {
        let mut at = &mut self.0;
        for (n, key) in pointer.split('/').skip(1).enumerate() {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            let Value::Object(map) = at else {
                let parent: Vec<_> = pointer.split('/').take(n + 1).collect();
                return Err(shape(&parent.join("/"), "not an object"));
            };
            at = map.entry(key.replace("~1", "/").replace("~0", "~")).or_insert(Value::Null);
        }
        *at = value.into();
        Ok(())
    }

    /// As [`Doc::set`], but what is there stays.
    pub fn set_default(&mut self, pointer: &str, value: impl Into<Value>) -> Result<(), Error> {
        if self.get(pointer).is_none() { self.set(pointer, value) } else { Ok(()) }
    }

    /// Takes the value at a pointer away; absent already is fine.
    pub fn remove(&mut self, pointer: &str) {
        if let Some((parent, key)) = pointer.rsplit_once('/')
            && let Some(Value::Object(map)) = self.0.pointer_mut(parent)
        {
            map.shift_remove(key);
        }
    }
}

/// As serde's `pointer`, which copies every key of the way; a plan asks a few hundred times.
fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.contains('~') {
        return value.pointer(pointer);
    }
    pointer.split('/').skip(1).try_fold(value, |value, key| match value {
        Value::Object(map) => entry(map, key),
        Value::Array(list) => list.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// As `get`, which hashes the key: few objects have so many entries that this takes less.
fn entry<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    if map.len() > 32 {
        return map.get(key);
    }
    map.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
}

fn shape(key: &str, why: &str) -> Error {
    Error::Shape { key: key.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn foreign_keys_stay_in_place() {
        let text = r#"{"x-first":1,"ociVersion":"1.0.2","process":{"args":["a"],"x":null},"zz":[{}]}"#;
        let mut doc = Doc::parse(text.as_bytes()).unwrap();
        assert_eq!(doc.line(), text);
        doc.set("/process/cwd", "/").unwrap();
        assert_eq!(doc.line(), text.replace("null}", r#"null,"cwd":"/"}"#));
        doc.remove("/process/cwd");
        assert_eq!(doc.line(), text);
    }

    #[test]
    fn refuses_what_is_no_document() {
        for (text, says) in [
            ("", "ends in its middle"),
            (r#"{"a":"#, "ends in its middle"),
            ("[]", "JSON object"),
            ("{]", "not JSON"),
            (r#"{"stave":{"v":2}}"#, "stave.v 2"),
            (r#"{"stave":3}"#, "stave: not an object"),
            (r#"{"root":{"path":"rootfs","readonly":"yes"}}"#, "root.readonly: neither true nor false"),
            (r#"{"root":5}"#, "root: not an object"),
            (r#"{"root":{}}"#, "root: has no path"),
            (r#"{"process":{"cwd":5}}"#, "process.cwd: not a string"),
            (r#"{"process":{"noNewPrivileges":1}}"#, "process.noNewPrivileges: neither"),
            (r#"{"mounts":{}}"#, "mounts: not a list"),
            (r#"{"linux":{"sysctl":{"net.ipv4.ip_forward":1}}}"#, "not a name and a string"),
            (r#"{"linux":{"sysctl":{"../../x":"1"}}}"#, "not a name and a string"),
        ] {
            let e = Doc::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(e.contains(says), "{text}: {e}");
        }
    }

    #[test]
    fn set_names_the_parent_that_is_in_the_way() {
        let mut doc = Doc(json!({"process": 7}));
        let e = doc.set("/process/args", json!([])).unwrap_err();
        assert_eq!(e.to_string(), "document: process: not an object");
    }
}
