//! What keeps a blob or an unpacked layer.

use crate::account;
use anyhow::{Result, bail};
use cli::Host;
use std::fmt::Write;
use std::path::Path;
use store::{Item, Kind, Store};
use sys::usage::Usage;

/// Prints each chain that leads to it; status 1 if there is none.
pub(crate) fn print(store: &Store, host: &Host, word: &str, as_json: bool) -> Result<u8> {
    let alone = store.alone()?;
    let items = store.account(&crate::collect::users(host)?)?;
    drop(alone);
    let path = Path::new(word);
    let mut usage = Usage::default();
    let lines = if path.is_absolute() && items.iter().all(|i| i.path != path) {
        let beside = account::beside(host, Some(path), &mut usage)?;
        if beside.is_empty() {
            bail!("{word} is nothing that gc accounts for");
        }
        beside
    } else {
        account::measure(find(store, items, word)?, &mut usage)?
    };
    let mut out = String::new();
    let mut status = 0;
    for line in &lines {
        if line.kept_by.is_empty() {
            status = 1;
        }
        if as_json {
            writeln!(out, "{}", line.json())?;
            continue;
        }
        writeln!(out, "{}  {}  {}", line.kind, cli::parse::human(line.bytes), line.path.display())?;
        for chain in &line.kept_by {
            writeln!(out, "  {}", chain.join(" > "))?;
        }
        if line.kept_by.is_empty() {
            writeln!(out, "  nothing keeps it: stave images gc takes it")?;
        }
    }
    cli::print(&out)?;
    Ok(status)
}

/// By the beginning of a digest (of a blob, or a diff_id), by a path, or by the name of an image,
/// which stands for its manifest.
fn find(store: &Store, items: Vec<Item>, word: &str) -> Result<Vec<Item>> {
    let hex = word.strip_prefix("sha256:").unwrap_or(word);
    let hex = hex.strip_suffix(".base").unwrap_or(hex);
    let digits = hex.len() >= 6 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let named = |item: &Item| {
        let name = item.path.file_name().unwrap_or_default().to_string_lossy();
        let wanted = matches!(item.kind, Kind::Blob | Kind::Layer | Kind::Partial);
        wanted && digits && name.trim_start_matches('.').starts_with(hex)
    };
    let is_path = |item: &Item| Path::new(word).is_absolute() && item.path == *word;
    let found: Vec<Item> = items.iter().filter(|i| named(i) || is_path(i)).cloned().collect();
    if !found.is_empty() {
        let stem = |i: &Item| {
            let name = i.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.trim_start_matches('.').split('.').next().unwrap_or_default().to_owned()
        };
        let first = stem(&found[0]);
        if found.iter().any(|i| stem(i) != first) {
            bail!("{word} is ambiguous: more digits, please");
        }
        return Ok(found);
    }
    if digits || word.starts_with("sha256:") {
        bail!("no blob and no layer {word} in the store");
    }
    let digest = store.find(word)?.descriptor.digest;
    let path = store.blob(&digest);
    Ok(items.into_iter().filter(|i| i.path == path).collect())
}
