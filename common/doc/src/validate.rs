//! Whether a document can be carried out at all, as far as that can be said without looking at a
//! machine: what the runtime specification asks of each key, beyond the kind of JSON that it holds.

mod linux;
mod mounts;
mod namespaces;
mod process;
mod seccomp;

pub use namespaces::KINDS as NAMESPACES;

use crate::{Doc, Error, shape};
use serde_json::{Map, Value};

type Result<T = ()> = std::result::Result<T, Error>;

impl Doc {
    /// As an OCI runtime takes it: what must be there is there, and all of it makes sense. Gives what
    /// is passed over with a warning; the error names the key.
    pub fn validate(&self) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        warnings.extend(self.version()?);
        self.sense()?;
        self.required()?;
        warnings.extend(self.deprecated());
        Ok(warnings)
    }

    /// What makes no sense, whoever carries it out: the kernel would refuse it, or take it for
    /// something else, once the half is done.
    pub fn sense(&self) -> Result {
        namespaces::check(self)?;
        process::check(self)?;
        mounts::check(self)?;
        linux::check(self)?;
        seccomp::check(self)?;
        hooks(self)
    }

    /// Any of 1.x is taken: what a newer one has that is not known here is passed over.
    fn version(&self) -> Result<Option<String>> {
        let key = "/ociVersion";
        let Some(text) = self.text(key) else { return Err(shape(key, "is missing")) };
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let numbers: Vec<Option<u64>> = core.split('.').map(|n| n.parse().ok()).collect();
        match numbers[..] {
            [Some(1), Some(minor), Some(_)] if minor <= NEWEST => Ok(None),
            [Some(1), Some(_), Some(_)] => {
                Ok(Some(format!("ociVersion {text} is newer than 1.{NEWEST}: what is new in it is ignored")))
            }
            [Some(_), Some(_), Some(_)] => Err(shape(key, &format!("{text} is none of 1.x"))),
            _ => Err(shape(key, &format!("'{text}' is no version (semver.org)"))),
        }
    }

    fn required(&self) -> Result {
        if self.root_path().is_none_or(str::is_empty) {
            return Err(shape("/root/path", "is missing"));
        }
        if self.get("/process").is_none() {
            return Err(shape("/process", "is missing"));
        }
        if self.text("/process/cwd").is_none_or(str::is_empty) {
            return Err(shape("/process/cwd", "is missing"));
        }
        // An empty name is a program like another that is not found: who asked is told that, and 127.
        if self.args()?.is_empty() {
            return Err(shape("/process/args", "is empty"));
        }
        let namespaces = self.namespaces()?;
        let lacks = |kind: &str| !namespaces.iter().any(|n| n.kind == kind);
        for key in ["/hostname", "/domainname"] {
            if self.text(key).is_some_and(|t| !t.is_empty()) && lacks("uts") {
                return Err(shape(key, "the container has no uts namespace of its own"));
            }
        }
        for key in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
            if !self.strings(key)?.is_empty() && lacks("mount") {
                return Err(shape(key, "the container has no mount namespace of its own"));
            }
        }
        match self.get("/annotations") {
            Some(Value::Object(map)) if map.contains_key("") => {
                Err(shape("/annotations", "has an empty key"))
            }
            _ => Ok(()),
        }
    }

    fn deprecated(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for mount in self.list("/mounts") {
            if let Some(path) = mount.get("destination").and_then(Value::as_str)
                && !path.starts_with('/')
            {
                warnings.push(format!("mounts: destination {path} is relative: taken as below the root"));
            }
        }
        if self.get("/linux/personality/flags").is_some_and(|f| *f != Value::Array(Vec::new())) {
            warnings.push("linux.personality.flags: there are none; ignored".into());
        }
        warnings
    }

    /// The entries of a list, none where it is absent.
    fn list(&self, pointer: &str) -> &[Value] {
        self.get(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The entries of an object, likewise.
    fn map(&self, pointer: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.get(pointer).and_then(Value::as_object).into_iter().flat_map(Map::iter)
    }
}

/// The minor version that this program knows all keys of.
const NEWEST: u64 = 3;

/// A word that must be one of some.
fn one_of(key: &str, word: &str, words: &[&str]) -> Result {
    if words.contains(&word) { Ok(()) } else { Err(shape(key, &format!("'{word}' is none that there is"))) }
}

/// A string of an object, which must be there.
fn word<'a>(object: &'a Value, at: &str, key: &str) -> Result<&'a str> {
    let word = object.get(key).and_then(Value::as_str).filter(|w| !w.is_empty());
    word.ok_or_else(|| shape(&format!("{at}/{key}"), "is missing"))
}

fn absolute(key: &str, path: &str) -> Result {
    if path.starts_with('/') { Ok(()) } else { Err(shape(key, &format!("'{path}' is not an absolute path"))) }
}

/// config.md, POSIX-platform Hooks.
fn hooks(doc: &Doc) -> Result {
    const KINDS: [&str; 6] =
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    for kind in KINDS {
        for (n, hook) in doc.list(&format!("/hooks/{kind}")).iter().enumerate() {
            let at = format!("/hooks/{kind}/{n}");
            absolute(&format!("{at}/path"), word(hook, &at, "path")?)?;
            if hook.get("timeout").and_then(Value::as_i64).is_some_and(|t| t <= 0) {
                return Err(shape(&format!("{at}/timeout"), "not more than 0"));
            }
            variables(&format!("{at}/env"), hook.get("env"))?;
        }
    }
    Ok(())
}

/// Each `NAME=value`.
fn variables(key: &str, list: Option<&Value>) -> Result {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    match list.filter_map(Value::as_str).find(|v| v.find('=').is_none_or(|at| at == 0)) {
        Some(wrong) => Err(shape(key, &format!("'{wrong}' is not NAME=value"))),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "ociVersion": "1.0.2", "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["true"], "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "uts"}]}
        })
    }

    fn validated(key: &str, value: Value) -> std::result::Result<Vec<String>, String> {
        let mut doc = Doc(good());
        doc.set(key, value).unwrap();
        let doc = Doc::parse(doc.line().as_bytes()).map_err(|e| e.to_string())?;
        doc.validate().map_err(|e| e.to_string())
    }

    #[test]
    fn good_is_good() {
        assert_eq!(validated("/hostname", json!("box")), Ok(vec![]));
        assert_eq!(validated("/ociVersion", json!("1.3.0")), Ok(vec![]));
        assert_eq!(validated("/ociVersion", json!("1.0.2-dev")), Ok(vec![]));
        assert_eq!(validated("/ociVersion", json!("1.9.0")).unwrap().len(), 1);
        assert_eq!(validated("/unknown", json!({"a": [1]})), Ok(vec![]));
    }

    #[test]
    fn bad_is_named() {
        for (key, value, says) in [
            ("/ociVersion", json!("2.0.0"), "ociVersion: 2.0.0 is none of 1.x"),
            ("/ociVersion", json!("1.0"), "ociVersion: '1.0' is no version"),
            ("/ociVersion", json!(null), "ociVersion: is missing"),
            ("/root", json!(null), "root.path: is missing"),
            ("/process/cwd", json!("tmp"), "process.cwd: 'tmp' is not an absolute path"),
            ("/process/args", json!([]), "process.args: is empty"),
            ("/process/args", json!(["a\0b"]), "process.args.0: not a string without a NUL byte"),
            ("/process/env", json!(["PATH"]), "process.env: 'PATH' is not NAME=value"),
            ("/process/user/uid", json!(-1), "process.user.uid: not a whole number from 0"),
            (
                "/process/rlimits",
                json!([{"type": "RLIMIT_X", "soft": 0, "hard": 0}]),
                "rlimits.0.type: 'RLIMIT_X'",
            ),
            (
                "/linux/namespaces",
                json!([{"type": "pid"}, {"type": "pid"}]),
                "linux.namespaces.1: a second pid",
            ),
            (
                "/linux/uidMappings",
                json!([{"containerID": 0, "hostID": 0, "size": 1}]),
                "uidMappings: without a user",
            ),
            ("/linux/cgroupsPath", json!("/a/../b"), "linux.cgroupsPath: "),
            ("/hooks", json!({"poststop": [{"path": "x"}]}), "hooks.poststop.0.path: 'x' is not"),
            ("/linux/seccomp", json!({"defaultAction": "NO"}), "linux.seccomp.defaultAction: 'NO' is none"),
            ("/annotations", json!({"": "x"}), "annotations: has an empty key"),
        ] {
            let e = validated(key, value).unwrap_err();
            assert!(e.contains(says), "{key}: {e}");
        }
    }
}
