//! Who we are to a registry: docker's config.json (its `auths`, `credHelpers`, `credsStore`), and
//! podman's auth.json, which has the same form.

use crate::hosts::{config_home, home};
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How one shows oneself.
#[derive(Clone, PartialEq)]
pub enum Credential {
    /// A user's.
    Password {
        /// Name.
        user: String,
        /// Password, or a token in its place.
        password: String,
    },
    /// A token with which tokens are asked for (OAuth 2's refresh token).
    Identity(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Credential")
    }
}

/// Where one was put.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// A helper program has it.
    Helper(String),
    /// It stands in this file, as good as plain.
    Plain(PathBuf),
}

/// Docker's name for its own registry in the file.
const HUB: &str = "https://index.docker.io/v1/";

/// Padded or not, both occur.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// base64, with padding.
pub(crate) fn base64(text: &str) -> String {
    BASE64.encode(text)
}

/// docker's file, which `login` writes: DOCKER_CONFIG/config.json.
fn docker() -> Result<PathBuf> {
    let dir = match std::env::var_os("DOCKER_CONFIG").filter(|d| !d.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => home().context("no HOME: where is config.json? (DOCKER_CONFIG says it)")?.join(".docker"),
    };
    Ok(dir.join("config.json"))
}

/// All files, in the order in which they are asked.
fn files() -> Vec<PathBuf> {
    let run = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let list = [
        std::env::var_os("REGISTRY_AUTH_FILE").map(PathBuf::from),
        docker().ok(),
        run.map(|d| d.join("containers/auth.json")),
        config_home().map(|d| d.join("containers/auth.json")),
    ];
    list.into_iter().flatten().collect()
}

/// A registry, however it is written: a scheme and a path of old are left out.
pub fn registry(text: &str) -> std::result::Result<String, String> {
    let bare = text.strip_prefix("https://").or(text.strip_prefix("http://")).unwrap_or(text);
    let host = bare.split('/').next().unwrap_or_default();
    match store::Reference::parse(&format!("{host}/x")) {
        Ok(reference) if reference.registry == host || host.ends_with("docker.io") => Ok(reference.registry),
        _ if !host.contains(['.', ':']) => store::Reference::parse(&format!("{host}:443/x"))
            .map(|_| host.to_owned())
            .map_err(|_| format!("'{text}' is not a registry (HOST[:PORT])")),
        _ => Err(format!("'{text}' is not a registry (HOST[:PORT])")),
    }
}

/// The credential for a repository of a registry, where there is one.
pub fn find(host: &str, repository: &str) -> Result<Option<Credential>> {
    for file in files() {
        let found = in_file(&file, host, repository).with_context(|| format!("credentials of {host}"))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The file in which there still is one, without asking any helper.
pub fn stands_in(host: &str) -> Option<PathBuf> {
    files().into_iter().find(|file| {
        let config = read(file).unwrap_or_default();
        entry(&config, "auths", host, "").is_some_and(|(_, v)| v.as_object().is_some_and(|o| !o.is_empty()))
    })
}

fn read(path: &Path) -> Result<Map<String, Value>> {
    match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
        Err(e) => Err(e).context(format!("read {}", path.display())),
        Ok(text) if text.trim_ascii().is_empty() => Ok(Map::new()),
        Ok(text) => serde_json::from_slice(&text).with_context(|| format!("read {}", path.display())),
    }
}

fn in_file(path: &Path, host: &str, repository: &str) -> Result<Option<Credential>> {
    let config = read(path)?;
    let helper = entry(&config, "credHelpers", host, repository).and_then(|(_, v)| v.as_str());
    if let Some(helper) = helper.filter(|name| !name.is_empty()) {
        return ask(helper, host);
    }
    let found = entry(&config, "auths", host, repository);
    if let Some((_, value)) = found
        && let Some(credential) = decode(value).with_context(|| format!("read {}", path.display()))?
    {
        return Ok(Some(credential));
    }
    match config.get("credsStore").and_then(Value::as_str).filter(|s| !s.is_empty()) {
        Some(store) => ask(store, host),
        None => Ok(None),
    }
}

/// The entry of an object for a registry: the longest of `HOST/a/b`, `HOST/a`, `HOST`.
fn entry<'a>(
    config: &'a Map<String, Value>,
    object: &str,
    host: &str,
    repository: &str,
) -> Option<(&'a String, &'a Value)> {
    let object = config.get(object)?.as_object()?;
    let mut wanted = format!("{}/{repository}", canonical(host));
    loop {
        if let Some(found) = object.iter().find(|(key, _)| canonical(key) == wanted.trim_end_matches('/')) {
            return Some(found);
        }
        wanted.truncate(wanted.rfind('/')?);
    }
}

/// Keys are written in many ways: with a scheme, with `/v1/` behind, docker's own with a name of old.
fn canonical(key: &str) -> String {
    let bare = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or(bare.strip_suffix("/v2")).unwrap_or(bare);
    let (host, path) = bare.split_once('/').map_or((bare, ""), |(h, p)| (h, p));
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

/// The key under which something new is put.
fn key(host: &str) -> &str {
    if canonical(host) == "docker.io" { HUB } else { host }
}

/// One entry of `auths`; nothing in it: a helper has it.
fn decode(value: &Value) -> Result<Option<Credential>> {
    let text = |key: &str| value[key].as_str().filter(|t| !t.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credential::Identity(token.to_owned())));
    }
    if let Some(auth) = text("auth") {
        let plain = BASE64.decode(auth.trim()).ok().and_then(|b| String::from_utf8(b).ok());
        let Some((user, password)) = plain.as_ref().and_then(|p| p.trim_end_matches('\0').split_once(':'))
        else {
            bail!("an auth in it is not base64 of USER:PASSWORD");
        };
        return Ok(Some(Credential::Password { user: user.into(), password: password.into() }));
    }
    Ok(match (text("username"), text("password")) {
        (Some(user), Some(password)) => {
            Some(Credential::Password { user: user.into(), password: password.into() })
        }
        _ => None,
    })
}

/// Runs `docker-credential-NAME VERB` (docker-credential-helpers' protocol).
fn helper(name: &str, verb: &str, input: &str) -> Result<std::result::Result<String, String>> {
    let program = format!("docker-credential-{name}");
    if name.contains('/') {
        bail!("'{name}' is no name of a credential helper");
    }
    let run = || -> io::Result<std::process::Output> {
        let piped = Stdio::piped;
        let mut command = Command::new(&program);
        command.arg(verb).stdin(piped()).stdout(piped()).stderr(piped());
        // One that asks somebody, or waits for ever, does not outlive a signal that ends this program.
        let mut child = sys::process::ends_with_us(&mut command).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read its input says itself what is wrong.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output()
    };
    let out = run().with_context(|| format!("run {program}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if out.status.success() {
        return Ok(Ok(text(&out.stdout)));
    }
    let said = [text(&out.stdout), text(&out.stderr)].into_iter().find(|t| !t.is_empty());
    Ok(Err(said.unwrap_or_else(|| out.status.to_string()).replace('\n', " ").chars().take(300).collect()))
}

fn ask(name: &str, host: &str) -> Result<Option<Credential>> {
    match helper(name, "get", key(host))? {
        Ok(text) => {
            let shown = || format!("docker-credential-{name} get: answer");
            let value: Value = serde_json::from_str(&text).with_context(shown)?;
            let get = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            let (user, password) = (get("Username"), get("Secret"));
            Ok(match user.as_str() {
                "" if password.is_empty() => None,
                "<token>" => Some(Credential::Identity(password)),
                _ => Some(Credential::Password { user, password }),
            })
        }
        Err(said) if said.contains("credentials not found") => Ok(None),
        Err(said) => bail!("docker-credential-{name} get: {said}"),
    }
}

/// Which helper keeps what is for a registry.
fn keeper(config: &Map<String, Value>, host: &str) -> Option<String> {
    let own = entry(config, "credHelpers", host, "").and_then(|(_, v)| v.as_str());
    let name = own.or_else(|| config.get("credsStore").and_then(Value::as_str));
    name.filter(|n| !n.is_empty()).map(str::to_owned)
}

/// Puts a credential where docker would.
pub fn keep(host: &str, credential: &Credential) -> Result<Kept> {
    let path = docker()?;
    let mut config = read(&path)?;
    let helper_name = keeper(&config, host);
    let (user, secret) = match credential {
        Credential::Password { user, password } => (user.as_str(), password),
        Credential::Identity(token) => ("<token>", token),
    };
    let value = match (&helper_name, credential) {
        (Some(name), _) => {
            let text = json!({"ServerURL": key(host), "Username": user, "Secret": secret}).to_string();
            if let Err(said) = helper(name, "store", &text)? {
                bail!("docker-credential-{name} store: {said}");
            }
            json!({})
        }
        (None, Credential::Password { .. }) => json!({ "auth": base64(&format!("{user}:{secret}")) }),
        (None, Credential::Identity(token)) => json!({ "auth": base64("<token>:"), "identitytoken": token }),
    };
    let old = entry(&config, "auths", host, "").map(|(k, _)| k.clone());
    let auths = config.entry("auths").or_insert_with(|| json!({}));
    let Some(auths) = auths.as_object_mut() else {
        bail!("write {}: its auths are no object", path.display());
    };
    auths.insert(old.unwrap_or_else(|| key(host).to_owned()), value);
    write(&path, &config)?;
    Ok(helper_name.map_or(Kept::Plain(path), Kept::Helper))
}

/// Takes it away; `false`: there was none.
pub fn forget(host: &str) -> Result<bool> {
    let path = docker()?;
    let mut config = read(&path)?;
    let mut was = false;
    if let Some(name) = keeper(&config, host) {
        was = ask(&name, host)?.is_some();
        if was && let Err(said) = helper(&name, "erase", key(host))? {
            bail!("docker-credential-{name} erase: {said}");
        }
    }
    while let Some((key, value)) = entry(&config, "auths", host, "") {
        was |= value.as_object().is_some_and(|o| !o.is_empty());
        let key = key.clone();
        if let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) {
            auths.shift_remove(&key);
        }
        write(&path, &config)?;
    }
    Ok(was)
}

/// As a whole, for its owner alone; a link stays one.
fn write(path: &Path, config: &Map<String, Value>) -> Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let shown = || format!("write {}", path.display());
    let mut text = Vec::new();
    let tab = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    serde::Serialize::serialize(config, &mut serde_json::Serializer::with_formatter(&mut text, tab))
        .with_context(shown)?;
    if let Some(dir) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(shown)?;
    }
    let random: [u8; 6] = sys::io::random().with_context(shown)?;
    let random: String = random.iter().map(|b| format!("{b:02x}")).collect();
    let temp = path.with_file_name(format!(".config.json.{random}"));
    let written = (|| {
        let mut file: File = File::options().write(true).create_new(true).mode(0o600).open(&temp)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temp, &path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temp);
    }
    written.with_context(shown)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn keys() {
        let all = config(
            r#"{"auths": {"https://index.docker.io/v1/": {"n":1}, "h:5000": {"n":2}, "http://q.io": {"n":3},
                "q.io/team": {"n":4}, "q.io/team/app": {"n":5}}}"#,
        );
        for (host, repository, n) in [
            ("docker.io", "library/alpine", Some(1)),
            ("h:5000", "a/b", Some(2)),
            ("q.io", "other", Some(3)),
            ("q.io", "team/x", Some(4)),
            ("q.io", "team/app", Some(5)),
            ("q.io", "team/app2", Some(4)),
            ("q.io", "", Some(3)),
            ("h:5001", "a", None),
            ("h", "a", None),
        ] {
            let found = entry(&all, "auths", host, repository).and_then(|(_, v)| v["n"].as_i64());
            assert_eq!(found, n, "{host}/{repository}");
        }
    }

    #[test]
    fn entries() {
        let joe =
            |password: &str| Some(Credential::Password { user: "joe".into(), password: password.into() });
        for (value, is) in [
            (json!({"auth": "am9lOnNlY3JldDox"}), joe("secret:1")),
            (json!({"auth": "am9lOng="}), joe("x")),
            (json!({"auth": "am9lOng"}), joe("x")),
            (json!({"auth": "am9lOg==", "identitytoken": "t"}), Some(Credential::Identity("t".into()))),
            (json!({"username": "joe", "password": "x"}), joe("x")),
            (json!({}), None),
            (json!(null), None),
        ] {
            assert!(decode(&value).unwrap() == is, "{value}");
        }
        assert!(decode(&json!({"auth": "???"})).is_err() && decode(&json!({"auth": "am9l"})).is_err());
        assert_eq!(base64("joe:x"), "am9lOng=");
    }

    #[test]
    fn registries() {
        for (text, is) in [
            ("docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("quay.io/team", "quay.io"),
            ("myhost", "myhost"),
        ] {
            assert_eq!(registry(text).as_deref(), Ok(is), "{text}");
        }
        for bad in ["", "a b", "Host:1", "../x", "h:x"] {
            assert!(registry(bad).is_err(), "{bad}");
        }
    }
}
