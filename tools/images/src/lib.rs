//! The images of the store: list, name, take away, look into; and collect what nobody uses.
#![forbid(unsafe_code)]

mod account;
mod collect;
mod copy;
mod history;
mod list;
mod tree;
mod why;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use cli::Host;
use serde_json::{Value, json};
use store::Store;

/// List, name, remove and inspect images; collect what nobody uses
#[derive(Parser, Debug)]
#[command(name = "stave-images", version, args_conflicts_with_subcommands = true)]
pub struct Words {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

/// How the list is written.
#[derive(Args, Debug, Default)]
struct List {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Digests alone
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List them
    Ls {
        #[command(flatten)]
        list: List,
    },
    /// Give an image one more name
    Tag {
        /// Name or digest
        old: String,
        /// NAME[:TAG]
        new: String,
    },
    /// Take names away; with the last name of an image, the image
    Rm {
        /// Names; a digest stands for all names of its image
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Print the manifest and the config
    Inspect {
        /// Names or digests
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Show how an image came to be, newest step first
    History {
        /// Name or digest
        image: String,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Whole commands
        #[arg(long)]
        no_trunc: bool,
    },
    /// Show layers: who shares them, and what of them later layers hide
    Tree {
        /// Names or digests, also with the largest hidden files; without any, all images
        images: Vec<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Say what keeps a blob or an unpacked layer; status 1: nothing does
    Why {
        /// Digest or its first digits, a diff_id, a path; an image's name is its manifest
        digest: String,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Copy an image from one registry to another, without the store
    Cp(Copy),
    /// Remove what no image, no container and no process at work uses
    Gc {
        /// Account for every byte: what would go as shell, what stays as its comments
        #[arg(short = 'n', long)]
        dry_run: bool,
        /// With -n: one JSON object a line
        #[arg(long, requires = "dry_run")]
        json: bool,
    },
}

/// Words of `cp`.
#[derive(Args, Debug)]
struct Copy {
    /// Of an image for several platforms, the one for this; without it, for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all")]
    platform: Option<String>,
    /// Of an image for several platforms, all
    #[arg(long)]
    all: bool,
    /// No progress bars
    #[arg(short, long)]
    quiet: bool,
    /// One JSON object a line about what happens, on this descriptor [default: 2]
    #[arg(long, value_name = "FD", num_args = 0..=1, require_equals = true, default_missing_value = "2")]
    json: Option<i32>,
    /// NAME[:TAG] or NAME@DIGEST in a registry
    src: String,
    /// NAME[:TAG] in a registry
    dst: String,
}

/// The main of `stave images`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    let store = Store::new(&host.roots.root);
    match &words.verb {
        None => list::print(&store, words.list.json, words.list.quiet)?,
        Some(Verb::Ls { list }) => list::print(&store, list.json, list.quiet)?,
        Some(Verb::Tag { old, new }) => tag(&store, old, new)?,
        Some(Verb::Rm { images }) => return collect::remove(&store, &host, images),
        Some(Verb::Inspect { images }) => return inspect(&store, images),
        Some(Verb::History { image, json, no_trunc }) => history::print(&store, image, *json, *no_trunc)?,
        Some(Verb::Tree { images, json }) => tree::print(&store, images, *json)?,
        Some(Verb::Why { digest, json }) => return why::print(&store, &host, digest, *json),
        Some(Verb::Cp(words)) => copy::exec(words)?,
        Some(Verb::Gc { dry_run: true, json }) => account::show(&store, &host, *json)?,
        Some(Verb::Gc { .. }) => collect::gc(&store, &host)?,
    }
    Ok(0)
}

fn tag(store: &Store, old: &str, new: &str) -> Result<()> {
    let name = store::normal(new).map_err(|e| cli::usage(e.to_string()))?;
    let found = store.find(old)?;
    let _work = store.work()?;
    store.change(|index| {
        index.put(&found.descriptor, Some(&name));
        Ok(())
    })
}

/// One object an image; what has a digest is shown as it is, not as we understand it.
fn inspect(store: &Store, words: &[String]) -> Result<u8> {
    let mut status = 0;
    for word in words {
        match look(store, word) {
            Ok(value) => {
                cli::print(&(serde_json::to_string_pretty(&value).context("print")? + "\n"))?;
            }
            Err(e) => {
                cli::say("images", &cli::line(&e));
                status = 1;
            }
        }
    }
    Ok(status)
}

fn look(store: &Store, word: &str) -> Result<Value> {
    let image = store.image(word)?;
    let read = |digest| -> Result<Value> {
        serde_json::from_slice(&store.read_blob(digest)?).with_context(|| format!("read {digest}"))
    };
    Ok(json!({
        "manifest": read(&image.descriptor.digest)?,
        "config": read(&image.manifest.config.digest)?,
    }))
}
