//! What a container changed, from its upper directory: nothing runs, nothing is mounted.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::Host;
use serde_json::json;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use store::Change;

/// List what a container added (A), changed (C) and deleted (D)
#[derive(Parser, Debug)]
#[command(name = "stave-diff", version)]
pub struct Words {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// A container, by name or id; `-`: the document on stdin
    container: String,
}

/// The main of `stave diff`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    let (id, doc) = if words.container == "-" {
        let doc = cli::input::document()?;
        (doc.id()?.context("the document has no container yet")?.to_owned(), doc)
    } else {
        let id = state::find(&host.roots, &words.container)?;
        let doc = state::read(&host.roots, &id)?;
        (id, doc)
    };
    let overlays = store::overlays(&doc, &host.roots.bundle(&id))?;
    if overlays.is_empty() {
        bail!("{id} has no root of layers, so what it writes is not kept apart");
    }
    let mut out = String::new();
    for change in store::diff(&overlays).with_context(|| format!("compare {id} with its layers"))? {
        if words.json {
            writeln!(out, "{}", object(&change))?;
        } else {
            writeln!(out, "{} {}", change.kind, escaped(&change.path))?;
        }
    }
    cli::print(&out)?;
    Ok(0)
}

/// The path as text where it is UTF-8, else also as bytes.
fn object(change: &Change) -> serde_json::Value {
    let mut object = json!({ "kind": change.kind.to_string(), "path": change.path.to_string_lossy() });
    if change.path.to_str().is_none() {
        object["bytes"] = json!(change.path.as_os_str().as_bytes());
    }
    object
}

/// One line whatever the name is: control characters, a backslash and bytes that are no UTF-8 as
/// ls -b has them.
fn escaped(path: &Path) -> String {
    let mut out = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out += "\\\\",
                '\n' => out += "\\n",
                '\t' => out += "\\t",
                '\r' => out += "\\r",
                c if c.is_control() => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        let _ = write!(out, "\\{byte:03o}");
                    }
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\{byte:03o}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn names_on_one_line() {
        let path = Path::new(OsStr::from_bytes(b"/a\nb\\\xff\x1b[\xc3\xa4 c"));
        assert_eq!(escaped(path), "/a\\nb\\\\\\377\\033[\u{e4} c");
        let object = object(&Change { path: path.to_owned(), kind: 'A' });
        assert_eq!(object["kind"], "A");
        assert_eq!(object["bytes"].as_array().map(Vec::len), Some(12));
    }
}
