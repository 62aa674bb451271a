//! What a container wrote becomes a layer, and an image of it: the inverse of unpack.
#![forbid(unsafe_code)]

mod pause;

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::Host;
use doc::Doc;
use pause::Freezer;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal};
use step::quote;
use store::{About, Compressor, Descriptor, Digest, How, Image, Overlay, Packing, REF_NAME, Store};

/// Make an image of what a container wrote
#[derive(Parser, Debug)]
#[command(name = "stave-pack", version)]
pub struct Words {
    /// Show the steps as shell, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Name of the image
    #[arg(short = 't', long = "tag", value_name = "NAME[:TAG]")]
    tag: Option<String>,
    /// A line of a Dockerfile that changes the image's config: CMD ["sh"], ENV A=1, ...
    #[arg(short = 'c', long = "change", value_name = "LINE")]
    change: Vec<String>,
    /// Comment in the image's history
    #[arg(short = 'm', long, value_name = "TEXT")]
    message: Option<String>,
    /// Author of the image
    #[arg(short = 'a', long, value_name = "NAME")]
    author: Option<String>,
    /// How the layer is compressed: gzip, zstd or none [default: gzip; none with --changes]
    #[arg(long, value_name = "HOW")]
    compress: Option<Packing>,
    /// How hard: gzip 1 to 9 [default: 6], zstd 1 to 22 [default: 3]
    #[arg(long, value_name = "N")]
    level: Option<u32>,
    /// The changes alone, as a layer's tar on stdout; nothing goes into the store
    #[arg(long, conflicts_with_all = ["tag", "change", "message", "author", "scratch"])]
    changes: bool,
    /// An image of the changes alone, on nothing, where the container has no image
    #[arg(long)]
    scratch: bool,
    /// Let a running container run on meanwhile
    #[arg(long)]
    no_pause: bool,
    #[arg(long, hide = true, num_args = 2, value_names = ["FILE", "WORD"], exclusive = true)]
    thaw: Option<Vec<String>>,
    /// A container, by name or id; without one the document is read from stdin
    container: Option<String>,
}

/// Who is packed.
struct Subject {
    doc: Doc,
    /// Absent: a document that has no container yet, in which nothing was written.
    id: Option<String>,
    overlays: Vec<Overlay>,
    /// Nobody takes it away, starts it or mounts it meanwhile.
    _lock: Option<File>,
}

/// The main of `stave pack`.
pub fn run(words: &Words) -> Result<u8> {
    if let Some([file, word]) = words.thaw.as_deref() {
        return pause::thaw(file.as_ref(), word).map(|()| 0);
    }
    let packing = packing(words)?;
    let tag =
        words.tag.as_deref().map(store::normal).transpose().map_err(|e| cli::usage(format!("-t: {e}")))?;
    let epoch = epoch()?;
    let host = Host::gather()?;
    let subject = subject(words.container.as_deref(), &host)?;
    if words.dry_run {
        cli::print(&show(words, packing, tag.as_deref(), &subject, &host)?)?;
        return Ok(0);
    }
    let how = How { packing, threads: threads()?, epoch };
    if words.changes {
        return changes(words, how, &subject, &host).map(|()| 0);
    }
    let store = Store::new(&host.roots.root);
    let work = store.work()?;
    let base = base(words, &subject, &store, &work)?;
    let layer = match root(&subject, base.is_none()) {
        None => None,
        Some(overlay) => {
            let _still = pause(words, &subject, &host)?;
            store.pack(&overlay, how).with_context(|| format!("pack {}", name(&subject)))?
        }
    };
    let created = match epoch {
        Some(seconds) => state::moment(seconds).context("SOURCE_DATE_EPOCH: no calendar has it")?,
        None => state::now(),
    };
    let about = About {
        changes: &words.change,
        message: words.message.as_deref(),
        author: words.author.as_deref(),
        created: &created,
    };
    let image = store.derive(base.as_ref(), layer, &about, tag.as_deref());
    let image = image.with_context(|| format!("pack {}", name(&subject)))?;
    drop(work);
    let doc = document(words, subject.doc, base.as_ref(), &image, tag.as_deref())?;
    cli::print_doc(&doc)?;
    Ok(0)
}

fn packing(words: &Words) -> Result<Packing> {
    let usual = if words.changes { Packing::None } else { Packing::Gzip(6) };
    let packing = words.compress.unwrap_or(usual);
    match words.level {
        None => Ok(packing),
        Some(level) => {
            packing.at(level).ok_or_else(|| cli::usage(format!("--level {level}: there is no such level")))
        }
    }
}

/// SOURCE_DATE_EPOCH (reproducible-builds.org): seconds.
fn epoch() -> Result<Option<i64>> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if !text.is_empty() => {
            let seconds = text.parse().ok().filter(|s| *s >= 0);
            seconds.map(Some).with_context(|| format!("SOURCE_DATE_EPOCH '{text}': not a number of seconds"))
        }
        _ => Ok(None),
    }
}

/// As many as there are processors, or as STAVE_THREADS says.
fn threads() -> Result<usize> {
    match std::env::var("STAVE_THREADS") {
        Ok(text) if !text.is_empty() => text
            .parse()
            .ok()
            .filter(|n| *n > 0)
            .with_context(|| format!("STAVE_THREADS '{text}': not a number of threads")),
        _ => Ok(store::threads()),
    }
}

fn subject(container: Option<&str>, host: &Host) -> Result<Subject> {
    let roots = &host.roots;
    let (mut doc, id) = match container.filter(|c| *c != "-") {
        Some(word) => (Doc::default(), Some(state::find(roots, word)?)),
        None => {
            let doc = cli::input::document()?;
            let id = doc.id()?.map(str::to_owned).filter(|id| roots.bundle(id).is_dir());
            (doc, id)
        }
    };
    let lock = id.as_deref().map(|id| state::lock(roots, id)).transpose()?;
    let mut overlays = Vec::new();
    if let Some(id) = &id {
        if container.is_some_and(|c| c != "-") {
            doc = state::read(roots, id)?;
        }
        overlays = store::overlays(&doc, &roots.bundle(id))?;
    }
    Ok(Subject { doc, id, overlays, _lock: lock })
}

fn name(subject: &Subject) -> String {
    let name = subject.doc.name().ok().flatten().or(subject.id.as_deref());
    name.unwrap_or("the document").to_owned()
}

/// The image below; `None` with --scratch. It is kept from here on.
fn base(words: &Words, subject: &Subject, store: &Store, work: &store::Work) -> Result<Option<Image>> {
    let name = name(subject);
    if subject.doc.stave_flag("host") {
        bail!("{name} is a copy of this machine, not of an image: --changes packs its changes alone");
    }
    match subject.doc.image()? {
        Some(_) if words.scratch => Err(cli::usage(format!("--scratch: {name} has an image below"))),
        Some(image) => {
            work.hold(&Digest::parse(&image.digest)?)?;
            store.image_of(&image).map(Some)
        }
        None if words.scratch => Ok(None),
        None => {
            bail!("{name} has no image: --scratch makes one of its changes alone, --changes a tar of them")
        }
    }
}

/// The root's overlay; on nothing, all that is in it is new.
fn root(subject: &Subject, scratch: bool) -> Option<Overlay> {
    let mut overlay = subject.overlays.iter().find(|o| o.at.as_os_str() == "/").cloned()?;
    if scratch {
        overlay.lower.clear();
    }
    Some(overlay)
}

fn pause(words: &Words, subject: &Subject, host: &Host) -> Result<Option<pause::Frozen>> {
    let Some(id) = &subject.id else { return Ok(None) };
    match Freezer::of(&subject.doc, id, host)? {
        None => Ok(None),
        Some(_) if words.no_pause => Ok(None),
        Some(Some(freezer)) => freezer.freeze().with_context(|| format!("pause {}", name(subject))),
        Some(None) => {
            cli::say(
                "pack",
                &format!("warning: {} runs on, as it has no cgroup to pause it by", name(subject)),
            );
            Ok(None)
        }
    }
}

fn changes(words: &Words, how: How, subject: &Subject, host: &Host) -> Result<()> {
    if subject.overlays.is_empty() {
        bail!("{} has no root of layers, so what it writes is not kept apart", name(subject));
    }
    let stdout = io::stdout();
    if stdout.is_terminal() {
        return Err(cli::usage("stdout is a terminal: --changes writes a tar"));
    }
    let _still = pause(words, subject, host)?;
    let shown = || format!("pack {}", name(subject));
    let out = Compressor::new(how.packing, how.threads, BufWriter::new(stdout)).with_context(shown)?;
    let written = store::archive(&subject.overlays, how.epoch, out).and_then(|(out, _)| {
        let mut out = out.finish().context("write to stdout")?;
        io::Write::flush(&mut out).context("write to stdout")
    });
    written.map_err(|e| match e.downcast_ref::<io::Error>() {
        Some(cause) if cause.kind() == io::ErrorKind::BrokenPipe => cli::fail(),
        _ => e.context(shown()),
    })
}

/// Of a container that was named: a document that the image begins. On stdin's: the image in it,
/// and its layers where they are still those.
fn document(
    words: &Words,
    doc: Doc,
    base: Option<&Image>,
    image: &Descriptor,
    tag: Option<&str>,
) -> Result<Doc> {
    let same = base.filter(|b| b.descriptor.digest == image.digest);
    let name = tag.or_else(|| same.and_then(|b| b.name.as_deref()));
    let named = name.map_or(serde_json::Value::Null, |n| serde_json::json!({ REF_NAME: n }));
    let view = doc::Image {
        media_type: image.media_type.clone(),
        digest: image.digest.to_string(),
        size: image.size,
        annotations: named,
    };
    let filter = words.container.as_deref().is_none_or(|c| c == "-");
    let mut doc = if filter { doc } else { Doc::default() };
    doc.set_stave("image", serde_json::to_value(view).context("write the document")?)?;
    if same.is_none() {
        doc.remove("/stave/layers");
    }
    Ok(doc)
}

/// As shell. tar and umoci know nothing of overlayfs' marks, so a line says where they are only near.
fn show(
    words: &Words,
    packing: Packing,
    tag: Option<&str>,
    subject: &Subject,
    host: &Host,
) -> Result<String> {
    let mut out = String::new();
    let freezer = match &subject.id {
        Some(id) if !words.no_pause => Freezer::of(&subject.doc, id, host)?.flatten(),
        _ => None,
    };
    if let Some(f) = &freezer {
        writeln!(out, "echo {} >{}", f.words().0, quote(&f.file.to_string_lossy()))?;
    }
    let base = subject.doc.image()?;
    if !words.changes && base.is_none() && !words.scratch {
        bail!(
            "{} has no image: --scratch makes one of its changes alone, --changes a tar of them",
            name(subject)
        );
    }
    let pipe = match packing {
        Packing::Gzip(level) => format!(" | gzip -n -{level}"),
        Packing::Zstd(level) => format!(" | zstd -q -{level}"),
        Packing::None => String::new(),
    };
    let mut tar = String::new();
    for overlay in &subject.overlays {
        if !words.changes && overlay.at.as_os_str() != "/" {
            continue;
        }
        let upper = quote(&overlay.upper.to_string_lossy());
        let line = format!("tar -C {upper} --sort=name --numeric-owner --format=pax --xattrs -cf - .");
        if words.changes {
            writeln!(tar, "{line}{pipe}  # overlayfs' whiteouts become .wh.NAME")?;
        } else {
            writeln!(tar, "{line} >layer.tar  # overlayfs' whiteouts become .wh.NAME")?;
        }
    }
    out += &tar;
    if let Some(f) = &freezer {
        writeln!(out, "echo {} >{}", f.words().1, quote(&f.file.to_string_lossy()))?;
    }
    if words.changes || tar.is_empty() {
        return Ok(out);
    }
    let store = Store::new(&host.roots.root).path();
    let store = store.to_string_lossy();
    let from = base.and_then(|i| i.annotations.get(REF_NAME).and_then(|n| n.as_str()).map(str::to_owned));
    let image = quote(&format!("{store}:{}", from.as_deref().unwrap_or("NAME")));
    let tag = tag.map_or(String::new(), |t| format!(" --tag {}", quote(t)));
    writeln!(
        out,
        "umoci raw add-layer --image {image}{tag} layer.tar  # what it is compressed by is umoci's"
    )?;
    for line in &words.change {
        writeln!(out, "# config: {}", line.replace('\n', " "))?;
    }
    Ok(out)
}
