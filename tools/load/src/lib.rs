//! Images into the store: from an OCI layout, an OCI or docker archive, or a root file system as a
//! tar. Each starts a document.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use cli::Host;
use doc::Doc;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use store::{Choice, Input, Loaded, Platform, Store};

/// Put images into the store: OCI layout or archive, docker archive, root file system as a tar
#[derive(Parser, Debug)]
#[command(name = "stave-load", version)]
pub struct Words {
    /// A file or a layout's directory; `-` or none: stdin
    file: Option<PathBuf>,
    /// Name of the image; without it the one that the archive has, or the file
    #[arg(short = 't', long = "tag", value_name = "NAME[:TAG]")]
    tag: Option<String>,
    /// Of an image that is there for several platforms, this one's; else this machine's
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
}

/// The main of `stave load`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    let file = words.file.as_deref().filter(|f| *f != Path::new("-"));
    let platform = words.platform.as_deref().map(Platform::parse).transpose();
    let platform = platform.map_err(|e| cli::usage(format!("--platform: {e}")))?;
    for image in load(file, words.tag.as_deref(), platform, &host)? {
        cli::print_doc(&document(&image)?)?;
    }
    Ok(0)
}

/// The document that an image begins.
pub fn document(image: &Loaded) -> Result<Doc> {
    let mut doc = Doc::default();
    doc.set_stave("image", serde_json::to_value(image.document()).context("write the document")?)?;
    Ok(doc)
}

/// Loads a file, a directory, or stdin; `tag` names the one image that there is then to be.
pub fn load(
    file: Option<&Path>,
    tag: Option<&str>,
    platform: Option<Platform>,
    host: &Host,
) -> Result<Vec<Loaded>> {
    let tag = tag.map(store::normal).transpose().map_err(|e| cli::usage(format!("-t: {e}")))?;
    let shown = file.map_or("stdin".into(), |f| f.display().to_string());
    let stdin = std::io::stdin();
    let reader: Box<dyn Read + Send>;
    let input = match file {
        None if stdin.is_terminal() => {
            return Err(cli::usage("stdin is a terminal: name a file, or pipe an archive in"));
        }
        None => Input::Stream(Box::new(stdin)),
        Some(file) if file.is_dir() => Input::Dir(file),
        Some(file) => {
            reader = Box::new(File::open(file).with_context(|| format!("open {shown}"))?);
            Input::Stream(reader)
        }
    };
    let base = file.and_then(|f| f.canonicalize().ok());
    let base = base.as_ref().and_then(|f| f.file_name()).and_then(|f| f.to_str());
    let store = Store::new(&host.roots.root);
    let _work = store.work()?;
    let mut incoming = match store::ingest(&store, input, &Choice { base, platform }) {
        // The stage that broke has spoken.
        Err(e) if file.is_none() && e.is::<store::Empty>() && is_pipe() => return Err(cli::fail()),
        other => other.with_context(|| format!("load {shown}"))?,
    };
    if let Some(tag) = tag {
        let [image] = incoming.images.as_mut_slice() else {
            return Err(cli::usage(format!(
                "-t {tag}: {shown} has {} images, and a name is for one",
                incoming.images.len()
            )));
        };
        image.names = vec![tag];
    }
    incoming.commit().with_context(|| format!("load {shown}"))
}

fn is_pipe() -> bool {
    sys::io::kind(std::io::stdin().as_fd()).is_ok_and(|k| k.is_fifo() || k.is_socket())
}
