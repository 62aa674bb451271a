//! The images of the store: list, name, take away, look into; and collect what nobody uses.
#![forbid(unsafe_code)]

mod collect;
mod list;

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
    /// Remove what no image and no container uses
    Gc {
        /// Show it as shell, and remove nothing
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
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
        Some(Verb::Gc { dry_run }) => collect::gc(&store, &host, *dry_run)?,
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
