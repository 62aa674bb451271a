//! Typed views over single keys. Names and shapes are those of the OCI runtime specification
//! (config.md, config-linux.md); what has the wrong shape is an error that names the key.

use crate::{Doc, Error, IdMapping, shape};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// An entry of `mounts`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Absolute path inside the container.
    pub destination: String,
    /// File system type; `bind` or absent for a bind mount.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Device name, or a host path for a bind mount (relative to the bundle).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Mount options in fstab's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// How the source's users show at the destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// How its groups do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
}

/// An entry of `linux.namespaces`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct Namespace {
    /// pid, network, mount, ipc, uts, user, cgroup or time.
    #[serde(rename = "type")]
    pub kind: String,
    /// The namespace to join; absent: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Keys that are not ours.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Namespace {
    /// A new one.
    pub fn new(kind: &str) -> Namespace {
        Namespace { kind: kind.into(), path: None, extra: Map::new() }
    }
}

/// `process.user`, numeric as the specification has it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// User id inside the container.
    #[serde(default)]
    pub uid: u32,
    /// Group id inside the container.
    #[serde(default)]
    pub gid: u32,
    /// Octal digits are the shell's; this is the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Supplementary groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
}

/// `process.capabilities`: the five sets, by name (`CAP_CHOWN`).
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default)]
pub struct Capabilities {
    /// Limits what an exec can gain.
    pub bounding: Vec<String>,
    /// In force.
    pub effective: Vec<String>,
    /// Kept over an exec of a file that has them inheritable.
    pub inheritable: Vec<String>,
    /// May be made effective.
    pub permitted: Vec<String>,
    /// Kept over an exec of an ordinary file.
    pub ambient: Vec<String>,
}

/// An entry of `process.rlimits`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct Rlimit {
    /// `RLIMIT_NOFILE`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Soft limit.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// An entry of `linux.resources.devices`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct DeviceRule {
    /// Whether the access is granted.
    pub allow: bool,
    /// `a`, `b` or `c`; absent: `a`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Major number; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    /// Minor number; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Some of `r`, `w`, `m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
}

/// An entry of `hooks.KIND` (config.md, POSIX-platform Hooks).
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Hook {
    /// Absolute path of the program.
    pub path: String,
    /// As execv(3) takes them, args[0] too.
    #[serde(default)]
    pub args: Vec<String>,
    /// Each `NAME=value`; absent: the environment of whoever runs it.
    #[serde(default)]
    pub env: Option<Vec<String>>,
    /// Seconds.
    #[serde(default)]
    pub timeout: Option<u64>,
}

/// `stave.image`: the descriptor of the image's manifest in the store.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Media type of the manifest.
    pub media_type: String,
    /// `sha256:...`
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// With `org.opencontainers.image.ref.name` where the image has a name.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub annotations: Value,
}

/// An entry of `stave.layers`, lowest first.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// Digest of the blob as stored (compressed or not).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Digest of the plain tar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<String>,
    /// The unpacked layer, absolute.
    pub dir: String,
}

impl Doc {
    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer).and_then(Value::as_str)
    }

    /// `stave.id`, checked to be a plain file name: paths are made of it.
    pub fn id(&self) -> Result<Option<&str>, Error> {
        self.file_name("/stave/id")
    }

    /// `stave.name`, checked likewise.
    pub fn name(&self) -> Result<Option<&str>, Error> {
        self.file_name("/stave/name")
    }

    fn file_name(&self, pointer: &str) -> Result<Option<&str>, Error> {
        match self.get(pointer) {
            None => Ok(None),
            Some(Value::String(s)) if is_name(s) => Ok(Some(s)),
            Some(_) => Err(shape(pointer, "not a name (letters, digits, _ . -; a letter or digit first)")),
        }
    }

    /// Sets `stave.KEY`; the version goes in first.
    pub fn set_stave(&mut self, key: &str, value: impl Into<Value>) -> Result<(), Error> {
        self.set_default("/stave/v", crate::VERSION)?;
        self.set(&format!("/stave/{key}"), value)
    }

    /// Whether `stave.KEY` is true.
    pub fn stave_flag(&self, key: &str) -> bool {
        self.get(&format!("/stave/{key}")) == Some(&json!(true))
    }

    /// `stave.image`.
    pub fn image(&self) -> Result<Option<Image>, Error> {
        self.read("/stave/image")
    }

    /// The name under which the image was asked for, or its digest.
    pub fn image_name(&self) -> Option<&str> {
        let name = self.text("/stave/image/annotations/org.opencontainers.image.ref.name");
        name.or_else(|| self.text("/stave/image/digest"))
    }

    /// `stave.layers`, lowest first; none where the container is no overlay.
    pub fn layers(&self) -> Result<Vec<Layer>, Error> {
        Ok(self.read("/stave/layers")?.unwrap_or_default())
    }

    /// `root.path`; relative to the bundle.
    pub fn root_path(&self) -> Option<&str> {
        self.text("/root/path")
    }

    /// `root.readonly`.
    pub fn root_readonly(&self) -> bool {
        self.get("/root/readonly") == Some(&json!(true))
    }

    /// `mounts`, in order.
    pub fn mounts(&self) -> Result<Vec<Mount>, Error> {
        let mut list: Vec<Mount> = self.read("/mounts")?.unwrap_or_default();
        for (n, m) in list.iter_mut().enumerate() {
            self.maps_in_options(m).map_err(|why| shape(&format!("/mounts/{n}/options"), &why))?;
            let texts = m.options.iter().chain(&m.source).chain(&m.kind).chain([&m.destination]);
            if m.destination.is_empty() || texts.clone().any(|t| t.contains('\0')) {
                return Err(shape(&format!("/mounts/{n}"), "an empty destination, or a NUL byte"));
            }
        }
        Ok(list)
    }

    /// Adds a mount; one with the same destination is replaced where it stands.
    pub fn put_mount(&mut self, mount: &Mount) -> Result<(), Error> {
        let mut list: Vec<Value> = self.read("/mounts")?.unwrap_or_default();
        let value = serde_json::to_value(mount).map_err(Error::Json)?;
        let same = |v: &&mut Value| v.get("destination") == Some(&json!(mount.destination));
        match list.iter_mut().find(same) {
            Some(old) => *old = value,
            None => list.push(value),
        }
        self.set("/mounts", list)
    }

    /// `linux.namespaces`.
    pub fn namespaces(&self) -> Result<Vec<Namespace>, Error> {
        let mut list: Vec<Namespace> = self.read("/linux/namespaces")?.unwrap_or_default();
        list.iter_mut().for_each(|n| n.path = n.path.take().filter(|p| !p.is_empty()));
        Ok(list)
    }

    /// Writes `linux.namespaces`.
    pub fn set_namespaces(&mut self, list: &[Namespace]) -> Result<(), Error> {
        self.set("/linux/namespaces", serde_json::to_value(list).map_err(Error::Json)?)
    }

    /// `linux.cgroupsPath`: absolute within each hierarchy, and never the root of one, where the
    /// whole machine is.
    pub fn cgroups_path(&self) -> Result<Option<&str>, Error> {
        let plain = |s: &str| {
            s.strip_prefix('/').is_some_and(|s| s.split('/').all(|c| !matches!(c, "" | "." | "..")))
        };
        match self.get("/linux/cgroupsPath") {
            None => Ok(None),
            Some(Value::String(s)) if plain(s) => Ok(Some(s)),
            Some(_) => Err(shape("/linux/cgroupsPath", "not an absolute path below a hierarchy's root")),
        }
    }

    /// `hooks.KIND`: prestart, createRuntime, createContainer, startContainer, poststart, poststop.
    pub fn hooks(&self, kind: &str) -> Result<Vec<Hook>, Error> {
        Ok(self.read(&format!("/hooks/{kind}"))?.unwrap_or_default())
    }

    /// The state of a container as the specification has it (runtime.md, State); `pid` is 0.
    pub fn state(&self, id: &str, status: &str, bundle: &str) -> Value {
        let mut state = json!({
            "ociVersion": self.text("/ociVersion").unwrap_or(crate::OCI_VERSION),
            "id": id, "status": status, "pid": 0, "bundle": bundle,
        });
        if let Some(annotations) = self.get("/annotations") {
            state["annotations"] = annotations.clone();
        }
        state
    }

    /// `process.args`; empty where there is none.
    pub fn args(&self) -> Result<Vec<String>, Error> {
        self.strings("/process/args")
    }

    /// `process.env`, each `NAME=value`.
    pub fn env(&self) -> Result<Vec<String>, Error> {
        self.strings("/process/env")
    }

    /// Sets one variable where it stands, or adds it.
    pub fn put_env(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let mut env = self.env()?;
        let entry = format!("{name}={value}");
        match env.iter_mut().find(|e| e.split('=').next() == Some(name)) {
            Some(old) => *old = entry,
            None => env.push(entry),
        }
        self.set("/process/env", env)
    }

    /// A list of strings; absent is empty. No string may hold a NUL: the kernel's end there.
    pub fn strings(&self, pointer: &str) -> Result<Vec<String>, Error> {
        let list: Vec<String> = self.read(pointer)?.unwrap_or_default();
        if list.iter().any(|s| s.contains('\0')) {
            return Err(shape(pointer, "holds a NUL byte"));
        }
        Ok(list)
    }

    /// `process.cwd`, `/` where absent.
    pub fn cwd(&self) -> &str {
        self.text("/process/cwd").unwrap_or("/")
    }

    /// `process.user`.
    pub fn user(&self) -> Result<User, Error> {
        let user: User = self.read("/process/user")?.unwrap_or_default();
        // To the kernel -1 means "as it is": root.
        if user.uid == u32::MAX || user.gid == u32::MAX || user.additional_gids.contains(&u32::MAX) {
            return Err(shape("/process/user", "4294967295 is no id"));
        }
        Ok(user)
    }

    /// `process.capabilities`; `None`: the caller's stay as they are.
    pub fn capabilities(&self) -> Result<Option<Capabilities>, Error> {
        self.read("/process/capabilities")
    }

    /// `process.rlimits`.
    pub fn rlimits(&self) -> Result<Vec<Rlimit>, Error> {
        Ok(self.read("/process/rlimits")?.unwrap_or_default())
    }

    /// `process.consoleSize`: rows and columns.
    pub fn console_size(&self) -> Result<Option<(u16, u16)>, Error> {
        #[derive(Deserialize)]
        struct Size {
            height: u16,
            width: u16,
        }
        Ok(self.read::<Size>("/process/consoleSize")?.map(|s| (s.height, s.width)))
    }

    /// `process.terminal`.
    pub fn terminal(&self) -> bool {
        self.get("/process/terminal") == Some(&json!(true))
    }
}

/// What an id or a name may look like (docker's rule), so that it is one safe path component.
pub fn is_name(s: &str) -> bool {
    let mut chars = s.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && s.len() <= 128
        && chars.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}
