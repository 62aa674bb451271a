//! An image of the store to a registry, byte for byte.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::Host;
use registry::{Event, Net, Origin, Parcel, Progress, Push, Which};
use store::{Image, Platform, Reference, Store};

/// Send an image of the store to a registry
#[derive(Parser, Debug)]
#[command(name = "stave-push", version)]
pub struct Words {
    /// Show the requests as shell, and send nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// No progress bars
    #[arg(short, long)]
    quiet: bool,
    /// One JSON object a line about what happens, on this descriptor [default: 2]
    #[arg(long, value_name = "FD", num_args = 0..=1, require_equals = true, default_missing_value = "2")]
    json: Option<i32>,
    /// Copy from this name in a registry, without the store
    #[arg(long, value_name = "SRC", conflicts_with = "dry_run", requires = "image")]
    from: Option<String>,
    /// With --from, of an image for several platforms: the one for this; without it, for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", requires = "from")]
    platform: Option<String>,
    /// With --from, of an image for several platforms: all
    #[arg(long, requires = "from", conflicts_with = "platform")]
    all: bool,
    /// Name or digest of the image; `-` or none: that of the document on stdin
    image: Option<String>,
    /// NAME[:TAG] to send it to; without it, the image's own name
    dest: Option<String>,
}

/// The main of `stave push`.
pub fn run(words: &Words) -> Result<u8> {
    if let Some(from) = &words.from {
        return copy(words, from);
    }
    let dest = words.dest.as_deref().map(Reference::parse).transpose();
    let dest = dest.map_err(|e| cli::usage(e.to_string()))?;
    let host = Host::gather()?;
    let store = Store::new(&host.roots.root);
    let image = match words.image.as_deref().filter(|i| *i != "-") {
        Some(word) => store.image(word)?,
        None => match cli::input::document()?.image()? {
            Some(image) => store.image_of(&image)?,
            None => bail!("the document has no image: name one"),
        },
    };
    let dest = match (dest, &image.name) {
        (Some(dest), _) => dest,
        (None, Some(name)) => Reference::parse(name)?,
        (None, None) => return Err(cli::usage("the image has no name: say where it is to go")),
    };
    let net = Net::new(Progress::new(words.quiet || words.dry_run, words.json)?)?;
    let done = push(&net, &store, &image, &dest, words.dry_run);
    ended(words, &net, done.with_context(|| format!("push {}", dest.name())))
}

/// Registry to registry.
fn copy(words: &Words, from: &str) -> Result<u8> {
    let name = |text: &str| Reference::parse(text).map_err(|e| cli::usage(e.to_string()));
    let (Some(dest), None) = (&words.image, &words.dest) else {
        return Err(cli::usage("--from SRC goes with DST alone"));
    };
    let (from, dest) = (name(from)?, name(dest)?);
    let platform = words.platform.as_deref().map(Platform::parse).transpose();
    let platform =
        platform.map_err(|e| cli::usage(format!("--platform: {e}")))?.unwrap_or_else(Platform::host);
    let which = if words.all { Which::All } else { Which::One(platform) };
    let net = Net::new(Progress::new(words.quiet, words.json)?)?;
    let send = || {
        let (origin, parcel) =
            Origin::open(&net, &from, &which, &dest).with_context(|| format!("read {}", from.name()))?;
        let digest = Push::new(&net, &dest)?.send(&parcel, &origin)?;
        net.progress.aside(|| cli::print(&format!("{}@{digest}\n", dest.short())))
    };
    let done = send().with_context(|| format!("copy to {}", dest.name()));
    ended(words, &net, done)
}

/// The bars are gone, and an error is told where it is listened to.
fn ended(words: &Words, net: &Net, done: Result<()>) -> Result<u8> {
    net.progress.clear();
    let Err(e) = done else { return Ok(0) };
    net.progress.tell(&Event::Error { text: &cli::line(&e) });
    // Who reads JSON there has it.
    if words.json == Some(2) { Err(cli::fail()) } else { Err(e) }
}

fn push(net: &Net, store: &Store, image: &Image, dest: &Reference, dry_run: bool) -> Result<()> {
    let work = store.work()?;
    work.hold(&image.descriptor.digest)?;
    let parcel = Parcel::of(store, image, dest)?;
    let push = Push::new(net, dest)?;
    if dry_run {
        return push.show(&parcel, store)?.iter().try_for_each(|line| cli::print(&format!("{line}\n")));
    }
    let digest = push.send(&parcel, store)?;
    net.progress.aside(|| cli::print(&format!("{}@{digest}\n", dest.short())))
}
