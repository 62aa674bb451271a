//! An image becomes a root: its layers as directories, its config as the process of the document.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::Host;
use doc::Doc;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use store::{Execution, Image, Platform, Stop, Store};
use sys::io::Signals;

/// Unpack an image's layers, and write its config into the document
#[derive(Parser, Debug)]
#[command(name = "stave-unpack", version)]
pub struct Words {
    /// Show the steps as shell, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// All layers as one plain root file system in DIR, which is empty or is made
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Of an image for several platforms, the one for this; without it, for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// An image, by name or digest; without one the document is read from stdin
    image: Option<String>,
}

/// The main of `stave unpack`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    let store = Store::new(&host.roots.root);
    let platform = words.platform.as_deref().map(Platform::parse).transpose();
    let platform = platform.map_err(|e| cli::usage(format!("--platform: {e}")))?;
    let mut doc = match &words.image {
        Some(_) => Doc::default(),
        None => cli::input::document()?,
    };
    let image = find(words.image.as_deref(), &doc, &store, platform.as_ref())?;
    if words.dry_run {
        cli::print(&show(&image, &store, words.to.as_deref())?)?;
        return Ok(0);
    }
    until_signal(|stop| match &words.to {
        None => layers(&image, &mut doc, &store, stop),
        Some(dir) => plain(&image, dir, &mut doc, &store, stop),
    })?;
    cli::print_doc(&doc)?;
    Ok(0)
}

/// Unpacks what is missing of the named image, or of the document's own, and writes image, layers,
/// process and the default isolation into the document. What the document says already stays.
pub fn edit(image: Option<&str>, doc: &mut Doc, host: &Host) -> Result<()> {
    let store = Store::new(&host.roots.root);
    let image = find(image, doc, &store, None)?;
    layers(&image, doc, &store, &|| false)
}

fn layers(image: &Image, doc: &mut Doc, store: &Store, stop: Stop) -> Result<()> {
    let layers = {
        let work = store.work()?;
        work.hold(&image.descriptor.digest)?;
        store.unpack_until(image, stop)?
    };
    doc.set_stave("layers", serde_json::to_value(&layers).context("write the document")?)?;
    let dirs: Vec<PathBuf> = layers.iter().rev().map(|l| PathBuf::from(&l.dir)).collect();
    describe(image, &dirs, doc)
}

/// One plain tree, which is the root itself: nothing is to be mounted.
fn plain(image: &Image, dir: &Path, doc: &mut Doc, store: &Store, stop: Stop) -> Result<()> {
    // A document is text: what it cannot name is not begun.
    let path = std::path::absolute(dir).with_context(|| format!("open {}", dir.display()))?;
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    {
        let work = store.work()?;
        work.hold(&image.descriptor.digest)?;
        store.unpack_to(image, dir, stop)?;
    }
    let dir = dir.canonicalize().with_context(|| format!("open {}", dir.display()))?;
    let path = dir.to_str().with_context(|| format!("{} is not UTF-8", dir.display()))?;
    doc.remove("/stave/layers");
    doc.set("/root/path", path)?;
    describe(image, std::slice::from_ref(&dir), doc)
}

/// What the image says of its process, and the default isolation. `dirs`: of the root, topmost first.
fn describe(image: &Image, dirs: &[PathBuf], doc: &mut Doc) -> Result<()> {
    doc.set_stave("image", serde_json::to_value(image.descriptor()).context("write the document")?)?;
    let config = &image.config.config;
    process(config, doc)?;
    let own_user = doc.get("/process/user").is_some();
    let own_capabilities = doc.get("/process/capabilities").is_some();
    doc::isolate(doc)?;
    if own_user {
        return Ok(());
    }
    let user = if config.user.is_empty() { "0" } else { config.user.as_str() };
    if launch::flags::set_user(user, dirs, doc)? != 0 && !own_capabilities {
        launch::flags::nothing_in_force(doc);
    }
    Ok(())
}

const SIGNALS: [i32; 3] = [1, 2, 15];

/// SIGHUP, SIGINT and SIGTERM end the work early, so that it can take away what it made; the status
/// is then 128+n, as if the signal had ended the process.
fn until_signal(work: impl FnOnce(Stop) -> Result<()>) -> Result<()> {
    let signals = Signals::take_heeded(&SIGNALS).context("take signals")?;
    let signals = Mutex::new((signals, None));
    let came = || {
        let mut held = signals.lock().unwrap_or_else(PoisonError::into_inner);
        let (signals, came) = &mut *held;
        if came.is_none() {
            *came = signals.waiting().ok().flatten().map(|(n, _)| n);
        }
        *came
    };
    let done = work(&|| came().is_some());
    let (signals, came) = signals.into_inner().unwrap_or_else(PoisonError::into_inner);
    signals.give_back(&SIGNALS).context("give signals back")?;
    match (done, came) {
        (Err(_), Some(n)) => Err(cli::fail_with(128 + n as u8, format!("stopped by signal {n}"))),
        (done, _) => done,
    }
}

fn find(word: Option<&str>, doc: &Doc, store: &Store, platform: Option<&Platform>) -> Result<Image> {
    match word {
        Some(word) => store.image_for(word, platform),
        None => match doc.image()? {
            Some(image) => store.image_of_for(&image, platform),
            None => bail!("the document has no image: name one, or pipe one in from stave load"),
        },
    }
}

/// Arguments, environment, directory; and what OCI's runtime specification has no word for.
fn process(config: &Execution, doc: &mut Doc) -> Result<()> {
    let args: Vec<&String> = config.entrypoint.iter().chain(&config.cmd).collect();
    if !args.is_empty() {
        doc.set_default("/process/args", json!(args))?;
    }
    if !config.entrypoint.is_empty() {
        doc.set_stave("entrypoint", json!(config.entrypoint))?;
    }
    if !config.env.is_empty() {
        let own = doc.env()?;
        doc.set("/process/env", json!(config.env))?;
        for text in own {
            match text.split_once('=') {
                Some((name, value)) => doc.put_env(name, value)?,
                None => doc.put_env(&text, "")?,
            }
        }
    }
    if !config.working_dir.is_empty() {
        let dir = config.working_dir.as_str();
        let dir = if dir.starts_with('/') { dir.to_owned() } else { format!("/{dir}") };
        doc.set_default("/process/cwd", dir)?;
    }
    if !config.volumes.is_empty() {
        let paths: Vec<Value> = config.volumes.keys().map(|k| json!(k)).collect();
        doc.set_default("/stave/v", doc::VERSION)?;
        doc.set_default("/stave/volumes", paths)?;
    }
    if !config.stop_signal.is_empty() {
        doc.set_default("/stave/v", doc::VERSION)?;
        doc.set_default("/stave/stopSignal", config.stop_signal.as_str())?;
    }
    Ok(())
}

/// What is missing, as shell. tar knows no whiteouts, so a line says where it is only near.
fn show(image: &Image, store: &Store, to: Option<&Path>) -> Result<String> {
    let mut out = String::new();
    if let Some(to) = to {
        writeln!(out, "mkdir -p {}", step::quote(&to.to_string_lossy()))?;
    }
    for plan in store.plan(image)? {
        let blob = step::quote(&store.blob(&plan.digest).to_string_lossy());
        let read = match store.format(&plan.digest)? {
            store::Format::Gzip => format!("gzip -dc {blob}"),
            store::Format::Zstd => format!("zstd -dc {blob}"),
            store::Format::Plain => format!("cat {blob}"),
        };
        let tar = |dir: &Path| {
            let dir = step::quote(&dir.to_string_lossy());
            format!("{read} | tar -x -C {dir} --numeric-owner --xattrs --xattrs-include='*'")
        };
        match (to, plan.there) {
            (Some(to), _) => writeln!(out, "{}  # whiteouts remove what is there", tar(to))?,
            (None, Some(dir)) => writeln!(out, "# {} is there: {}", plan.diff_id, dir.display())?,
            (None, None) => {
                let dir = step::quote(&plan.alone.to_string_lossy());
                writeln!(out, "mkdir -p {dir}; {}  # whiteouts become overlayfs' own", tar(&plan.alone))?;
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_the_document_says_stays() {
        let config: Execution = serde_json::from_value(json!({
            "Entrypoint": ["/run"], "Cmd": ["a"], "Env": ["PATH=/bin", "A=1"], "WorkingDir": "srv",
            "Volumes": {"/data": {}}, "StopSignal": "SIGQUIT", "User": null,
        }))
        .unwrap();
        let mut doc = Doc::default();
        process(&config, &mut doc).unwrap();
        assert_eq!(doc.args().unwrap(), ["/run", "a"]);
        assert_eq!(doc.cwd(), "/srv");
        assert_eq!(doc.get("/stave/volumes"), Some(&json!(["/data"])));
        assert_eq!(doc.get("/stave/stopSignal"), Some(&json!("SIGQUIT")));
        assert_eq!(doc.get("/stave/entrypoint"), Some(&json!(["/run"])));
        let own = br#"{"process":{"args":["x"],"env":["A=2","B=3"],"cwd":"/"}}"#;
        let mut doc = Doc::parse(own).unwrap();
        process(&config, &mut doc).unwrap();
        assert_eq!(doc.args().unwrap(), ["x"]);
        assert_eq!(doc.env().unwrap(), ["PATH=/bin", "A=2", "B=3"]);
        assert_eq!(doc.cwd(), "/");
    }
}
