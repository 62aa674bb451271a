//! An image from a registry into the store. It starts a document, which is there before the layers
//! are, so that the next stage unpacks while they come.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use cli::Host;
use doc::Doc;
use registry::{Event, Net, Progress, Pull};
use serde_json::json;
use store::{Platform, Reference, Store};

/// Fetch an image from a registry into the store
#[derive(Parser, Debug)]
#[command(name = "stave-pull", version)]
pub struct Words {
    /// Show the requests as shell, and fetch nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// No progress bars
    #[arg(short, long)]
    quiet: bool,
    /// One JSON object a line about what happens, on this descriptor [default: 2]
    #[arg(long, value_name = "FD", num_args = 0..=1, require_equals = true, default_missing_value = "2")]
    json: Option<i32>,
    /// Of an image for several platforms, the one for this; without it, for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// NAME[:TAG] or NAME@DIGEST; without a registry in it docker.io's
    image: String,
}

/// The main of `stave pull`.
pub fn run(words: &Words) -> Result<u8> {
    let reference = Reference::parse(&words.image).map_err(|e| cli::usage(e.to_string()))?;
    let platform = words.platform.as_deref().map(Platform::parse).transpose();
    let platform =
        platform.map_err(|e| cli::usage(format!("--platform: {e}")))?.unwrap_or_else(Platform::host);
    let host = Host::gather()?;
    let net = Net::new(Progress::new(words.quiet || words.dry_run, words.json)?)?;
    let done = pull(&net, &Store::new(&host.roots.root), &reference, &platform, words.dry_run);
    net.progress.clear();
    let Err(e) = done.with_context(|| format!("pull {}", reference.name())) else { return Ok(0) };
    net.progress.tell(&Event::Error { text: &cli::line(&e) });
    // Who reads JSON there has it.
    if words.json == Some(2) { Err(cli::fail()) } else { Err(e) }
}

fn pull(net: &Net, store: &Store, reference: &Reference, platform: &Platform, dry_run: bool) -> Result<()> {
    let work = store.work()?;
    let pull = Pull::resolve(net, store, &work, reference, platform)?;
    if dry_run {
        return pull.show()?.iter().try_for_each(|line| cli::print(&format!("{line}\n")));
    }
    let changed = !pull.is_here();
    pull.begin()?;
    let doc = document(&pull, reference)?;
    net.progress.aside(|| cli::print_doc(&doc))?;
    pull.layers()?;
    pull.name(changed)
}

/// The document that the image begins.
fn document(pull: &Pull, reference: &Reference) -> Result<Doc> {
    let mut doc = Doc::default();
    let image = &pull.descriptor;
    let value = json!({
        "mediaType": image.media_type, "digest": image.digest, "size": image.size,
        "annotations": { store::REF_NAME: reference.name() },
    });
    doc.set_stave("image", value)?;
    Ok(doc)
}
