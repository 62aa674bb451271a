//! Platforms, and which entry of an index is for one: what containerd's platforms package does.

use crate::{Descriptor, Index};
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// So many platforms of an index stand in an error; more are not read by anybody.
const SHOWN: usize = 20;

/// What machine an image runs on.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Platform {
    /// As Go names it: `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// Of the processor: `v7`. Empty: the usual one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// All else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Platform {
    fn new(os: &str, architecture: &str, variant: &str) -> Platform {
        let (os, architecture, variant) = (os.into(), architecture.into(), variant.into());
        Platform { architecture, os, variant, extra: Map::new() }
    }

    /// This machine's.
    pub fn host() -> Platform {
        let architecture = architecture();
        let variant = if architecture == "arm" { arm_variant() } else { String::new() };
        Platform::new("linux", architecture, &variant)
    }

    /// Of a text `OS/ARCH[/VARIANT]`; an architecture alone is linux'.
    pub fn parse(text: &str) -> Result<Platform> {
        let parts: Vec<&str> = text.split('/').collect();
        let good =
            |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        let platform = match parts.as_slice() {
            all if !all.iter().all(good) => None,
            [arch] => Some(Platform::new("linux", arch, "")),
            [os, arch] => Some(Platform::new(os, arch, "")),
            [os, arch, variant] => Some(Platform::new(os, arch, variant)),
            _ => None,
        };
        match platform {
            Some(platform) => Ok(platform.usual()),
            None => bail!("'{text}' is not a platform (OS/ARCH[/VARIANT], as linux/arm/v7)"),
        }
    }

    /// As people write it.
    pub fn text(&self) -> String {
        let slash = if self.variant.is_empty() { "" } else { "/" };
        format!("{}/{}{slash}{}", self.os, self.architecture, self.variant)
    }

    /// The one form of several: `aarch64` and `arm64/v8` are `arm64`, `armhf` is `arm/v7`.
    fn usual(&self) -> Platform {
        let (os, arch) = (self.os.to_ascii_lowercase(), self.architecture.to_ascii_lowercase());
        let variant = self.variant.to_ascii_lowercase();
        let (arch, variant) = match (arch.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", v) => ("amd64", v),
            ("i386" | "i486" | "i586" | "i686" | "x86" | "386", _) => ("386", ""),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64", v) => ("arm64", v),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            (a, v) => (a, v),
        };
        Platform::new(&os, arch, variant)
    }

    /// What runs on it, the best first.
    fn accepts(&self) -> Vec<Platform> {
        let on = |arch: &str, variant: &str| Platform::new(&self.os, arch, variant);
        let down = |arch: &str, from: u32, to: u32| -> Vec<Platform> {
            (to..=from).rev().map(|n| on(arch, &format!("v{n}"))).collect()
        };
        let number = self.variant.strip_prefix('v').and_then(|v| v.split('.').next()?.parse::<u32>().ok());
        let mut list = vec![self.usual()];
        match (self.architecture.as_str(), number) {
            ("amd64", n) => {
                list.extend(down("amd64", n.unwrap_or(1).min(9), 2));
                list.extend([on("amd64", ""), on("386", "")]);
            }
            ("arm64", _) => {
                list.push(on("arm64", ""));
                list.extend(down("arm", 8, 5));
            }
            ("arm", n) => list.extend(down("arm", n.unwrap_or(7).min(9), 5)),
            _ => {}
        }
        list
    }
}

/// The machine's architecture as Go names it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// The kernel says it; v7 where it does not.
fn arm_variant() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let number = text.lines().find_map(|l| {
        l.strip_prefix("CPU architecture")?.split_once(':')?.1.trim().get(..1)?.parse::<u32>().ok()
    });
    format!("v{}", number.filter(|n| (5..=8).contains(n)).unwrap_or(7))
}

impl Index {
    /// The entry for this machine.
    pub(crate) fn for_host(&self) -> Result<&Descriptor> {
        self.choose(&Platform::host())
    }

    /// The entry for a platform, or for the nearest that runs on it; one entry that says nothing is
    /// for all.
    pub fn choose(&self, platform: &Platform) -> Result<&Descriptor> {
        for wanted in platform.accepts() {
            let fits = |d: &&Descriptor| d.platform.as_ref().is_some_and(|p| p.usual() == wanted);
            if let Some(d) = self.manifests.iter().find(fits) {
                return Ok(d);
            }
        }
        if let [only] = self.manifests.as_slice()
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let known = self.manifests.iter().filter_map(|d| d.platform.as_ref());
        let known: Vec<String> = known.filter(|p| p.os != "unknown").map(Platform::text).collect();
        let there = match known.len() {
            0 => "there is none that says what it is for".to_owned(),
            n if n > SHOWN => format!("there are: {}, and {} more", known[..SHOWN].join(", "), n - SHOWN),
            _ => format!("there are: {}", known.join(", ")),
        };
        bail!("no image for {} ({there})", platform.text());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Digest;

    fn index(platforms: &[&str]) -> Index {
        let entry = |text: &&str| {
            let mut d = Descriptor::new("m", Digest::of(text.as_bytes()), 1);
            let parts: Vec<&str> = text.split('/').collect();
            d.platform = Some(Platform::new(parts[0], parts[1], parts.get(2).unwrap_or(&"")));
            d
        };
        Index { schema_version: 2, manifests: platforms.iter().map(entry).collect(), extra: Map::new() }
    }

    #[test]
    fn the_best_that_runs() {
        let all = index(&["linux/arm/v6", "linux/arm/v7", "linux/386", "linux/amd64", "linux/arm64/v8"]);
        let old =
            index(&["unknown/unknown", "linux/arm/v5", "linux/arm/v6", "windows/amd64", "linux/amd64/v3"]);
        for (index, wanted, text) in [
            (&all, "linux/arm/v7", "linux/arm/v7"),
            (&all, "linux/arm", "linux/arm/v7"),
            (&all, "linux/arm/v6", "linux/arm/v6"),
            (&old, "linux/arm/v7", "linux/arm/v6"),
            (&all, "arm64", "linux/arm64/v8"),
            (&all, "linux/aarch64", "linux/arm64/v8"),
            (&old, "linux/arm64", "linux/arm/v6"),
            (&all, "linux/amd64/v3", "linux/amd64"),
            (&old, "linux/amd64/v3", "linux/amd64/v3"),
            (&index_of_386(), "linux/amd64", "linux/386"),
        ] {
            let chosen = index.choose(&Platform::parse(wanted).unwrap()).unwrap();
            assert_eq!(chosen.platform.as_ref().unwrap().text(), text, "{wanted}");
        }
        let error = old.choose(&Platform::parse("linux/amd64").unwrap()).unwrap_err().to_string();
        assert_eq!(
            error,
            "no image for linux/amd64 (there are: linux/arm/v5, linux/arm/v6, windows/amd64, linux/amd64/v3)"
        );
        for bad in ["", "/", "linux/", "a/b/c/d", "li nux/amd64"] {
            assert!(Platform::parse(bad).is_err(), "{bad}");
        }
    }

    fn index_of_386() -> Index {
        index(&["linux/386", "linux/s390x"])
    }

    #[test]
    fn keys_are_kept() {
        let text = r#"{"architecture":"arm","os":"linux","variant":"v7","os.version":"1"}"#;
        let platform: Platform = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&platform).unwrap(), text);
    }
}
