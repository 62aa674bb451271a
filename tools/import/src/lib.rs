//! A root file system as a tar becomes an image of one layer, and begins a document.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use cli::Host;
use doc::Doc;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use store::{Loaded, Platform, Root, Store, changes};

/// Make an image of a root file system in a tar
#[derive(Parser, Debug)]
#[command(name = "stave-import", version)]
pub struct Words {
    /// Name of the image; without it only its digest names it
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: Option<String>,
    /// A line of a Dockerfile that says how it is run: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK,
    /// LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR; more than once
    #[arg(short, long, value_name = "LINE")]
    change: Vec<String>,
    /// Why, for its history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// What it runs on; else this machine's
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// The tar, plain or compressed by gzip or zstd; `-` or none: stdin
    file: Option<PathBuf>,
}

/// The main of `stave import`.
pub fn run(words: &Words) -> Result<u8> {
    let tag = words.tag.as_deref().map(store::normal).transpose();
    let tag = tag.map_err(|e| cli::usage(format!("-t: {e}")))?;
    let root = root(words)?;
    let file = words.file.as_deref().filter(|f| *f != Path::new("-"));
    let shown = file.map_or("stdin".into(), |f| f.display().to_string());
    let input = open(file, &shown)?;
    let store = Store::new(&Host::gather()?.roots.root);
    let _work = store.work()?;
    let mut incoming = match store::import(&store, input, root) {
        // The stage that broke has spoken.
        Err(e) if file.is_none() && e.is::<store::Empty>() && is_pipe() => return Err(cli::fail()),
        other => other.with_context(|| format!("import {shown}"))?,
    };
    if let ([image], Some(tag)) = (incoming.images.as_mut_slice(), tag) {
        image.names = vec![tag];
    }
    for image in incoming.commit().with_context(|| format!("import {shown}"))? {
        cli::print_doc(&document(&image)?)?;
    }
    Ok(0)
}

fn open(file: Option<&Path>, shown: &str) -> Result<Box<dyn Read + Send>> {
    let stdin = std::io::stdin();
    Ok(match file {
        None if stdin.is_terminal() => {
            return Err(cli::usage("stdin is a terminal: name a file, or pipe a tar in"));
        }
        None => Box::new(stdin),
        Some(file) => Box::new(File::open(file).with_context(|| format!("open {shown}"))?),
    })
}

fn is_pipe() -> bool {
    sys::io::kind(std::io::stdin().as_fd()).is_ok_and(|k| k.is_fifo() || k.is_socket())
}

/// What the words say of the image.
fn root(words: &Words) -> Result<Root> {
    let mut config: Map<String, Value> = Map::new();
    changes::apply(&mut config, &words.change).map_err(|e| cli::usage(cli::line(&e)))?;
    let platform = words.platform.as_deref().map(Platform::parse).transpose();
    let platform = platform.map_err(|e| cli::usage(format!("--platform: {e}")))?;
    let created = created()?;
    let mut history = json!({ "created": created, "created_by": "stave import" });
    if let Some(message) = &words.message {
        history["comment"] = json!(message);
    }
    Ok(Root { platform, config, history: vec![history], created: Some(created) })
}

/// Now, or SOURCE_DATE_EPOCH (reproducible-builds.org).
fn created() -> Result<String> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if !text.is_empty() => {
            let seconds = text.parse().ok().and_then(state::moment);
            seconds.with_context(|| format!("SOURCE_DATE_EPOCH '{text}': not a number of seconds"))
        }
        _ => Ok(state::now()),
    }
}

fn document(image: &Loaded) -> Result<Doc> {
    let mut doc = Doc::default();
    doc.set_stave("image", serde_json::to_value(image.document()).context("write the document")?)?;
    Ok(doc)
}
