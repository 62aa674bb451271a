//! What an image is called in a registry: `[HOST[:PORT]/]PATH[:TAG][@sha256:DIGEST]`, with docker's
//! defaults (the grammar of distribution's reference package).

use crate::Digest;
use anyhow::{Result, bail};
use std::fmt;

/// The registry of a name that says none.
const DEFAULT: &str = "docker.io";

/// A name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub registry: String,
    /// `library/alpine`.
    pub repository: String,
    /// `latest` where there is neither a tag nor a digest.
    pub tag: Option<String>,
    /// Where there is one, it alone says which image is meant.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Of a text such as `alpine`, `localhost/x` or `host:5000/a/b:t@sha256:...`.
    pub fn parse(text: &str) -> Result<Reference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (registry, rest) = match rest.split_once('/') {
            Some((host, rest)) if is_host(host) => (host, rest),
            _ => (DEFAULT, rest),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let registry = if registry == "index.docker.io" { DEFAULT } else { registry };
        let official = registry == DEFAULT && !path.contains('/');
        let repository = if official { format!("library/{path}") } else { path.to_owned() };
        if !good_host(registry)
            || !path.split('/').all(good_part)
            || !tag.is_none_or(good_tag)
            || registry.len() + repository.len() > 254
        {
            let form = "NAME[:TAG][@sha256:DIGEST]: lower case letters, digits, . _ - and /";
            bail!("'{text}' is not a name of an image ({form})");
        }
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
        Ok(Reference {
            // An IPv6 address may have upper case.
            registry: registry.to_ascii_lowercase(),
            repository,
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// The repository as it is written in short: without docker's default registry and `library/`.
    pub fn short(&self) -> String {
        let official = self.repository.strip_prefix("library/").filter(|name| !name.contains('/'));
        let short = official.unwrap_or(&self.repository);
        // What would be read as a registry needs the registry before it.
        let alike = short.split_once('/').is_some_and(|(first, _)| is_host(first));
        if self.registry != DEFAULT || alike {
            return format!("{}/{}", self.registry, self.repository);
        }
        short.to_owned()
    }

    /// The one form under which it is in the store's list: `alpine:latest`, `alpine@sha256:...`.
    pub fn name(&self) -> String {
        self.after(self.short())
    }

    /// What stands in a registry's address: the digest, else the tag.
    pub fn target(&self) -> String {
        let tag = || self.tag.clone().unwrap_or_else(|| "latest".into());
        self.digest.as_ref().map_or_else(tag, Digest::to_string)
    }

    fn after(&self, path: String) -> String {
        match &self.digest {
            Some(digest) => format!("{path}@{digest}"),
            None => format!("{path}:{}", self.target()),
        }
    }
}

/// The whole name, with registry and all.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.after(format!("{}/{}", self.registry, self.repository)))
    }
}

/// Whether what stands before the first slash is a registry.
fn is_host(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':'])
}

fn good_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        Some((address, rest)) => {
            let address = address.parse::<std::net::Ipv6Addr>().is_ok();
            return address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(good_port));
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let label = |label: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(label.chars().next())
            && edge(label.chars().last())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.split('.').all(label) && port.is_none_or(good_port)
}

fn good_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|n| n > 0)
}

/// Letters and digits; between them one `.`, one or two `_`, or any number of `-`.
fn good_part(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let between = |s: &str| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-');
    text.starts_with(word) && text.ends_with(word) && text.split(word).all(between)
}

fn good_tag(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn defaults() {
        let d = format!("sha256:{}", "a".repeat(64));
        for (text, whole, name) in [
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("user/app:1", "docker.io/user/app:1", "user/app:1"),
            ("index.docker.io/a", "docker.io/library/a:latest", "a:latest"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            ("host:5000/a/b:T", "host:5000/a/b:T", "host:5000/a/b:T"),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("10.0.0.1/a", "10.0.0.1/a:latest", "10.0.0.1/a:latest"),
            ("a__b/c---d.e", "docker.io/a__b/c---d.e:latest", "a__b/c---d.e:latest"),
            ("[2001:DB8::1]/a", "[2001:db8::1]/a:latest", "[2001:db8::1]/a:latest"),
            ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
            ("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest"),
            (&format!("a:1@{d}"), &format!("docker.io/library/a@{d}"), &format!("a@{d}")),
            (&format!("h.x/a@{d}"), &format!("h.x/a@{d}"), &format!("h.x/a@{d}")),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.to_string().as_str(), reference.name().as_str()), (whole, name));
            assert_eq!(Reference::parse(name).unwrap().to_string(), whole);
        }
        let both = Reference::parse(&format!("h:1/a:t@{d}")).unwrap();
        assert_eq!((both.tag.as_deref(), both.target()), (Some("t"), d.clone()));
        assert_eq!(Reference::parse(&format!("a@{d}")).unwrap().tag, None);
    }

    #[test]
    fn no_names() {
        let (long, longer) = ("a".repeat(238), "a".repeat(256));
        for bad in [
            "",
            "Alpine",
            "a b",
            "a:",
            ":t",
            "a//b",
            "/a",
            "a/",
            "../x",
            "a/../b",
            "a..b",
            "a:b:c",
            "a@b",
            "-a",
            "a:.x",
            "a___b",
            "a.-b",
            "h:x/a",
            "h:/a",
            "h:99999/a",
            "h:5000/",
            "Host.x/a",
            "[::g]/a",
            "[::1/a",
            "a@sha256:12",
            "a\n",
            "a%2e",
            "ä",
            "https://h/a",
            &long,
            &longer,
        ] {
            let error = Reference::parse(bad).map(|r| r.to_string()).unwrap_err().to_string();
            assert!(!error.contains("panicked"), "{bad}");
        }
    }
}
