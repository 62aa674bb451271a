//! What the registries' files say of a registry: mirrors, plain HTTP, certificates.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is said of one registry.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Addresses that are asked before it, in order: `https://mirror.example`.
    pub mirrors: Vec<String>,
    /// It speaks no TLS.
    pub plain_http: bool,
    /// A file of PEM certificates that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// Its certificate is not verified; where it speaks no TLS, plain HTTP.
    pub insecure: bool,
    /// Seconds in which a connection brings nothing before it counts as cut.
    pub idle_timeout: Option<u64>,
}

/// By registry: `docker.io`, `localhost:5000`.
#[derive(Clone, Debug, Default)]
pub struct Registries(BTreeMap<String, Settings>);

impl Registries {
    /// STAVE_REGISTRIES alone where it is set; else the system's file, and the user's over it.
    pub fn load() -> Result<Registries> {
        let mut all = Registries::default();
        match std::env::var_os("STAVE_REGISTRIES") {
            Some(file) => all.add(Path::new(&file), true)?,
            None => {
                all.add(Path::new("/etc/stave/registries.json"), false)?;
                if let Some(dir) = config_home() {
                    all.add(&dir.join("stave/registries.json"), false)?;
                }
            }
        }
        Ok(all)
    }

    fn add(&mut self, path: &Path, must: bool) -> Result<()> {
        let text = match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && !must => return Ok(()),
            other => other.with_context(|| format!("read {}", path.display()))?,
        };
        let shown = || format!("read {}", path.display());
        let more: BTreeMap<String, Settings> = serde_json::from_slice(&text).with_context(shown)?;
        for (host, settings) in &more {
            for mirror in &settings.mirrors {
                if !mirror.starts_with("https://") && !mirror.starts_with("http://") {
                    bail!("read {}: {host}: mirror '{mirror}' is no http or https address", path.display());
                }
            }
        }
        self.0.extend(more);
        Ok(())
    }

    /// What is said of a registry, or nothing.
    pub fn of(&self, host: &str) -> Settings {
        self.0.get(host).cloned().unwrap_or_default()
    }
}

/// $XDG_CONFIG_HOME or ~/.config.
pub(crate) fn config_home() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    set.or_else(|| Some(home()?.join(".config")))
}

/// $HOME.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|p| p.is_absolute())
}

/// Where docker and podman keep certificates for one registry.
const CERTS: [&str; 2] = ["/etc/docker/certs.d", "/etc/containers/certs.d"];

/// Files of certs.d for a registry: those whose names end so.
pub(crate) fn certs_d(host: &str, end: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = CERTS
        .iter()
        .filter_map(|dir| fs::read_dir(Path::new(dir).join(host)).ok())
        .flat_map(|entries| entries.filter_map(|e| Some(e.ok()?.path())))
        .filter(|p| p.to_string_lossy().ends_with(end))
        .collect();
    found.sort();
    found
}

/// Whether an authority (`HOST[:PORT]`) is this machine itself.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = bare(authority);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The host of an authority, without port and brackets.
pub(crate) fn bare(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn loopback() {
        for (text, is) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.1.2.3:80", true),
            ("[::1]:5000", true),
            ("10.0.0.1", false),
            ("localhost.example", false),
            ("127.0.0.1.example:80", false),
        ] {
            assert_eq!(is_loopback(text), is, "{text}");
        }
    }

    #[test]
    fn what_a_file_says() {
        let text = r#"{"a:1": {"plain-http": true}, "b": {"mirrors": ["https://m/x"], "ca": "/p"}}"#;
        let all = Registries(serde_json::from_str(text).unwrap());
        assert!(all.of("a:1").plain_http && !all.of("b").plain_http);
        assert_eq!(all.of("b").mirrors, ["https://m/x"]);
        assert_eq!(all.of("c"), Settings::default());
        assert!(serde_json::from_str::<Settings>(r#"{"plain_http": true}"#).is_err());
    }
}
