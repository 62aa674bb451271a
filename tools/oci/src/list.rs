//! list: every container below the root. One that cannot be read is said and passed over.

use crate::container::Container;
use crate::log::{Level, say};
use crate::state::{Facts, facts};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The words of `list`.
#[derive(Args, Debug)]
pub struct List {
    /// table or json
    #[arg(short = 'f', long, value_name = "FORMAT", default_value = "table")]
    format: String,
    /// Ids alone
    #[arg(short = 'q', long)]
    quiet: bool,
}

/// The verb; `own`: the root was not given, so it need not be there.
pub fn list(words: &List, root: &Path, own: bool) -> Result<u8> {
    if !words.quiet && !matches!(words.format.as_str(), "table" | "json") {
        bail!("invalid format option");
    }
    let all = match fs::read_dir(root) {
        Err(e) if e.kind() == ErrorKind::NotFound && own => Vec::new(),
        Err(e) => return Err(e).with_context(|| format!("open {}", root.display())),
        Ok(entries) => gather(root, entries)?,
    };
    if words.quiet {
        cli::print(&all.iter().map(|f| f.id.clone() + "\n").collect::<String>())?;
    } else if words.format == "json" {
        // None is null, as runc prints it and its clients read it.
        let text = if all.is_empty() { "null".into() } else { serde_json::to_string(&all)? };
        cli::print(&(text + "\n"))?;
    } else {
        cli::print(&table(&all))?;
    }
    Ok(0)
}

fn gather(root: &Path, entries: fs::ReadDir) -> Result<Vec<Facts>> {
    let mut all = Vec::new();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    for entry in entries {
        let entry = entry.with_context(|| format!("read {}", root.display()))?;
        let Ok(meta) = entry.metadata() else { continue };
        if !meta.is_dir() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        match Container::new(root, &name).and_then(|c| facts(&c)) {
            Ok(mut facts) => {
                facts.owner = owner(&passwd, meta.uid());
                all.push(facts);
            }
            // Deleted meanwhile.
            Err(_) if !root.join(&name).exists() => {}
            Err(e) => say(Level::Warning, &format!("load container {name}: {}", cli::line(&e))),
        }
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

/// A user's name, or its number with a mark (passwd(5)).
fn owner(passwd: &str, uid: u32) -> String {
    let text = uid.to_string();
    let line = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>());
    let found = line.into_iter().find(|f| f.get(2) == Some(&text.as_str()));
    found.map_or_else(|| format!("#{uid}"), |f| f[0].to_owned())
}

/// Columns as wide as their widest cell and three more, at least twelve; the last as it is.
fn table(all: &[Facts]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from);
    let row = |f: &Facts| {
        let pid = f.pid.to_string();
        [f.id.clone(), pid, f.status.into(), f.bundle.clone(), f.created.clone(), f.owner.clone()]
    };
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(all.iter().map(row)).collect();
    let width = |n: usize| rows.iter().map(|r| r[n].chars().count() + 3).max().unwrap_or(0).max(12);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            out += &format!("{cell:width$}");
        }
        out += &row[5];
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn owners() {
        let passwd = "root:x:0:0:r:/root:/bin/sh\nweb:x:33:34::/srv:\n";
        assert_eq!(super::owner(passwd, 33), "web");
        assert_eq!(super::owner(passwd, 7), "#7");
    }
}
