//! Images of the store as one archive, which docker, podman and skopeo read as well as stave load.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use cli::Host;
use std::path::PathBuf;
use store::{Digest, Form, Saved, Store, Work};

/// Write images as one archive that stave, docker, podman and skopeo load
#[derive(Parser, Debug)]
#[command(name = "stave-save", version)]
pub struct Words {
    /// Into a file, which is there once it is whole; `-`: stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// For old programs that want one form alone: no OCI layout, or no manifest.json of docker's
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Names or digests; without one the document on stdin says which
    images: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// docker's manifest.json alone
    Docker,
    /// An OCI layout alone
    Oci,
}

/// The main of `stave save`.
pub fn run(words: &Words) -> Result<u8> {
    let place = cli::archive::place(words.output.as_deref())?;
    let host = Host::gather()?;
    let store = Store::new(&host.roots.root);
    let form = match words.format {
        None => Form::Both,
        Some(Format::Docker) => Form::Docker,
        Some(Format::Oci) => Form::Oci,
    };
    let work = store.work()?;
    let asked = match words.images.as_slice() {
        [] => vec![of_document(&store, &work)?],
        images => images.iter().map(|w| named(&store, &work, w)).collect::<Result<_>>()?,
    };
    let images = merged(asked);
    cli::archive::write(place, host.umask, |file| store.save(&images, form, file))?;
    Ok(0)
}

/// By a name, with that name; by a digest, without one.
fn named(store: &Store, work: &Work, word: &str) -> Result<Saved> {
    let found = store.find(word)?;
    work.hold(&found.descriptor.digest)?;
    let image = store.open(&found.descriptor, None).with_context(|| format!("open image {word}"))?;
    let names = if found.by_digest { Vec::new() } else { found.name.into_iter().collect() };
    Ok(Saved { image, names })
}

fn of_document(store: &Store, work: &Work) -> Result<Saved> {
    let doc = cli::input::document()?;
    let Some(image) = doc.image()? else {
        bail!("the document has no image: name one, or pipe one in from stave load");
    };
    work.hold(&Digest::parse(&image.digest)?)?;
    let image = store.image_of(&image)?;
    let names = image.name.clone().and_then(|n| store::normal(&n).ok());
    Ok(Saved { image, names: names.into_iter().collect() })
}

/// Each image once, with all names that it was asked for under.
fn merged(asked: Vec<Saved>) -> Vec<Saved> {
    let mut all: Vec<Saved> = Vec::new();
    for one in asked {
        match all.iter_mut().find(|s| s.image.descriptor.digest == one.image.descriptor.digest) {
            None => all.push(one),
            Some(same) => {
                let new = one.names.into_iter().filter(|n| !same.names.contains(n)).collect::<Vec<_>>();
                same.names.extend(new);
            }
        }
    }
    all
}
