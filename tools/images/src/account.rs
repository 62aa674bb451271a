//! Every byte below the root directory, and what keeps it.

use anyhow::{Context, Result};
use cli::Host;
use serde_json::json;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use store::{Item, Kind, Store};
use sys::usage::Usage;

/// One thing, what it occupies, and what keeps it.
pub(crate) struct Line {
    pub(crate) path: PathBuf,
    pub(crate) kind: &'static str,
    pub(crate) is_dir: bool,
    pub(crate) bytes: u64,
    pub(crate) kept_by: Vec<Vec<String>>,
}

impl Line {
    pub(crate) fn json(&self) -> serde_json::Value {
        json!({ "path": self.path, "kind": self.kind, "bytes": self.bytes, "keptBy": self.kept_by })
    }
}

/// The store's things, measured. A file that several layers share counts for the first of them.
pub(crate) fn measure(items: Vec<Item>, usage: &mut Usage) -> Result<Vec<Line>> {
    let line = |item: Item| {
        let whole = item.kind != Kind::Own;
        let bytes = if whole { usage.tree(&item.path) } else { usage.alone(&item.path) };
        let bytes = bytes.or_else(gone).with_context(|| format!("measure {}", item.path.display()))?;
        let kind = item.kind.text();
        Ok(Line { kind, is_dir: item.is_dir, bytes, kept_by: item.kept_by, path: item.path })
    };
    items.into_iter().map(line).collect()
}

fn gone(e: sys::Errno) -> Result<u64, sys::Errno> {
    if e == sys::Errno(sys::ENOENT) { Ok(0) } else { Err(e) }
}

/// What is beside the store: containers, names, volumes. With `only`, the one at that path.
pub(crate) fn beside(host: &Host, only: Option<&Path>, usage: &mut Usage) -> Result<Vec<Line>> {
    let root = &host.roots.root;
    let mut lines = Vec::new();
    let mut put = |path: PathBuf, kind, whole: bool, by: Vec<String>| -> Result<()> {
        if only.is_some_and(|o| o != path) {
            return Ok(());
        }
        let bytes = if whole { usage.tree(&path) } else { usage.alone(&path) };
        let bytes = bytes.or_else(gone).with_context(|| format!("measure {}", path.display()))?;
        lines.push(Line { path, kind, is_dir: true, bytes, kept_by: vec![by] });
        Ok(())
    };
    put(root.clone(), "store", false, vec!["the store".into()])?;
    for path in children(root)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match name.as_str() {
            // Their parts are accounted for one by one.
            "store" | "layers" => put(path, "store", false, vec!["the store".into()])?,
            "c" => {
                for container in children(&path)? {
                    let id = container.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let doc = state::read(&host.roots, &id).ok();
                    let name = doc.as_ref().and_then(|d| d.name().ok().flatten()).map(str::to_owned);
                    put(container, "container", true, vec![format!("container {}", name.unwrap_or(id))])?;
                }
                put(path, "store", false, vec!["the store".into()])?;
            }
            other => {
                let by = vec![other.to_owned()];
                put(path, "other", true, by)?;
            }
        }
    }
    Ok(lines)
}

fn children(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("read {}", dir.display()))?,
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|e| e.map(|e| e.path())).collect();
    let mut paths = paths.with_context(|| format!("read {}", dir.display()))?;
    paths.sort();
    Ok(paths)
}

/// What would be collected as shell that can be run; what stays as its comments, and the sum.
pub(crate) fn show(store: &Store, host: &Host, as_json: bool) -> Result<()> {
    let alone = store.alone()?;
    let items = store.account(&crate::collect::users(host)?)?;
    drop(alone);
    let mut usage = Usage::default();
    let mut lines = measure(items, &mut usage)?;
    lines.extend(beside(host, None, &mut usage)?);
    lines.sort_by(|a, b| a.path.cmp(&b.path));
    let mut out = String::new();
    let (mut kept, mut garbage) = ((0, 0), (0, 0));
    for line in &lines {
        let sum = if line.kept_by.is_empty() { &mut garbage } else { &mut kept };
        *sum = (sum.0 + line.bytes, sum.1 + 1);
        if as_json {
            writeln!(out, "{}", line.json())?;
            continue;
        }
        let path = step::quote(&line.path.to_string_lossy());
        let size = cli::parse::human(line.bytes);
        match line.kept_by.split_first() {
            None => {
                let flag = if line.is_dir { "rf" } else { "f" };
                writeln!(out, "rm -{flag} {path}  # {size}: {}, nothing keeps it", line.kind)?;
            }
            Some((by, more)) => {
                let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
                writeln!(out, "# keep {path}  {size}: {}, {}{more}", line.kind, by.join(" > "))?;
            }
        }
    }
    if !as_json {
        let (all, human) = (kept.0 + garbage.0, cli::parse::human);
        writeln!(
            out,
            "# {} bytes in all: {} ({}) kept, {} things; {} ({}) to collect, {} things",
            all,
            kept.0,
            human(kept.0),
            kept.1,
            garbage.0,
            human(garbage.0),
            garbage.1
        )?;
    }
    cli::print(&out)
}
