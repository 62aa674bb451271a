//! The root: an overlay of the layers under a directory of the container's own; volumes and
//! tmpfs as entries of `mounts`, which the process to be mounts in its own namespace.
#![forbid(unsafe_code)]

use anyhow::{Result, bail};
use clap::Args;
use cli::Host;
use doc::{Doc, Mount as Entry};
use std::path::Path;
use step::{Act, Step};
use sys::mount::Words;

/// The flags of `stave mount`.
#[derive(Args, Debug, Default)]
pub struct Mount {
    /// A host path that the container sees: SRC:DST[:ro,rprivate,...]
    #[arg(short = 'v', long = "volume", value_name = "SRC:DST[:OPTIONS]", help_heading = "Mount")]
    pub volume: Vec<String>,
    /// An empty file system in memory: DST[:size=64m,mode=1777,...]
    #[arg(long, value_name = "DST[:OPTIONS]", help_heading = "Mount")]
    pub tmpfs: Vec<String>,
    /// Leave out the sync at umount; such a root is mounted once only
    #[arg(long, help_heading = "Mount")]
    pub volatile: bool,
}

impl cli::Stage for Mount {
    const NAME: &'static str = "mount";
    const ABOUT: &'static str = "Mount a container's root: its layers, copy-on-write";

    fn edit(&self, doc: &mut Doc, _host: &Host) -> Result<()> {
        for text in &self.volume {
            let volume = volume(text)?;
            // What is mounted in it comes out only of a root that is not cut off.
            if volume.options.iter().any(|o| o == "shared" || o == "rshared") {
                doc.set_default("/linux/rootfsPropagation", "shared")?;
            }
            doc.put_mount(&volume)?;
        }
        for text in &self.tmpfs {
            doc.put_mount(&tmpfs(text)?)?;
        }
        if self.volatile {
            doc.set_stave("volatile", true)?;
        }
        Ok(())
    }

    fn plan(doc: &Doc, host: &Host) -> Result<Vec<Step>> {
        // Who cannot leave a mount behind has it made in the process's own tree.
        if !host.is_able() {
            return Ok(Vec::new());
        }
        Ok(launch::overlay(doc, host)?.map(Step::parent).into_iter().collect())
    }

    fn view(doc: &Doc, host: &Host) -> Result<String> {
        let mut rows = vec![["DESTINATION", "SOURCE", "OPTIONS"].map(String::from).to_vec()];
        for s in Self::plan(doc, host)? {
            if let Act::Overlay { lower, at, .. } = s.act {
                rows.push(vec!["/".into(), format!("{} layers", lower.len()), at.display().to_string()]);
            }
        }
        for m in doc.mounts()? {
            let source = m.source.or(m.kind).unwrap_or_default();
            rows.push(vec![m.destination, source, m.options.join(",")]);
        }
        Ok(cli::table(&rows))
    }
}

/// `SRC:DST[:OPTIONS]` as docker has it. The source must be there: a typing error should not
/// become an empty directory of root's.
fn volume(text: &str) -> Result<Entry> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, options) = match parts.as_slice() {
        [s, d] if !s.is_empty() => (*s, *d, ""),
        [s, d, o] if !s.is_empty() => (*s, *d, *o),
        _ => return Err(cli::usage(format!("-v {text}: not SRC:DST[:OPTIONS]"))),
    };
    if !destination.starts_with('/') || destination == "/" {
        return Err(cli::usage(format!(
            "-v {text}: the place in the container is an absolute path, and not /"
        )));
    }
    if !source.contains('/') && source != "." && source != ".." {
        return Err(cli::usage(format!(
            "-v {text}: {source} is no path; write ./{source} for a directory here"
        )));
    }
    let Ok(source) = Path::new(source).canonicalize() else {
        bail!("-v {text}: {source} is not there");
    };
    let mut words = vec!["rbind".to_owned()];
    for word in options.split(',').filter(|w| !w.is_empty()) {
        match word {
            "bind" | "rbind" => words[0] = word.into(),
            _ if is_word(word) => words.push(word.into()),
            _ => return Err(cli::usage(format!("-v {text}: no option {word}"))),
        }
    }
    if !words.iter().any(|w| sys::mount::propagation(w).is_some()) {
        words.push("rprivate".into());
    }
    Ok(Entry {
        destination: destination.into(),
        kind: Some("bind".into()),
        source: Some(source.to_string_lossy().into_owned()),
        options: words,
        ..Entry::default()
    })
}

/// Whether it is an option of a bind mount (config.md, Linux mount options).
fn is_word(word: &str) -> bool {
    let words = Words::of(&[word]);
    words.data.is_empty() && !words.remount && !words.copy_up
}

/// `DST[:OPTIONS]`, with docker's defaults.
fn tmpfs(text: &str) -> Result<Entry> {
    let (destination, options) = text.split_once(':').unwrap_or((text, ""));
    if !destination.starts_with('/') || destination == "/" {
        return Err(cli::usage(format!(
            "--tmpfs {text}: the place in the container is an absolute path, and not /"
        )));
    }
    let mut words: Vec<String> = ["nosuid", "nodev", "noexec"].map(String::from).to_vec();
    words.extend(options.split(',').filter(|w| !w.is_empty()).map(String::from));
    Ok(Entry {
        destination: destination.into(),
        kind: Some("tmpfs".into()),
        source: Some("tmpfs".into()),
        options: words,
        ..Entry::default()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn volumes() {
        let v = volume("/tmp:/data:ro").unwrap();
        assert_eq!((v.destination.as_str(), v.source.as_deref()), ("/data", Some("/tmp")));
        assert_eq!(v.options, ["rbind", "ro", "rprivate"]);
        assert_eq!(volume("/tmp:/data:rro,nosymfollow,shared").unwrap().options.len(), 4);
        for bad in ["data:/x", "/tmp:rel", "/tmp", "/tmp:/", ":/x", "/tmp:/x:zz", "/no/such:/x"] {
            assert!(volume(bad).is_err(), "{bad}");
        }
    }
}
