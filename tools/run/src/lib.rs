//! The whole pipeline in one process: the stages' own flags, edits and plans, one after another,
//! because what users feel is start-up. It defines no flag that is a stage's.
#![forbid(unsafe_code)]

mod pull;

use anyhow::{Context, Result};
use clap::{ArgMatches, CommandFactory, Parser};
use cli::{Drive, Driver, Host, Stage, bundle, words};
use doc::Doc;
use launch::Look;
use launch::flags::{First, Process};
use state::Record;
use stave_limit::Limit;
use stave_mount::Mount;
use stave_new::From;
use stave_ns::Ns;
use stave_spawn::Spawn;
use step::{Step, quote};

/// Run a command in a new container
#[derive(Parser, Debug)]
#[command(
    name = "stave-run",
    version,
    override_usage = "stave run [OPTIONS] IMAGE [COMMAND]...\n       stave run [OPTIONS] --host|--rootfs DIR [COMMAND]..."
)]
pub struct Words {
    #[command(flatten)]
    drive: Drive,
    /// In the background; prints the id
    #[arg(short = 'd', long, conflicts_with_all = ["interactive", "die_with_parent"])]
    detach: bool,
    /// Hand stdin on to the command
    #[arg(short = 'i', long)]
    interactive: bool,
    /// Name of the container
    #[arg(long)]
    name: Option<String>,
    /// When to fetch the image
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pull: pull::When,
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    mount: Mount,
    #[command(flatten)]
    ns: Ns,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    spawn: Spawn,
    /// The image (unless --host or --rootfs), then the command in place of the image's
    #[arg(trailing_var_arg = true, value_name = "IMAGE [COMMAND]")]
    words: Vec<String>,
}

impl Words {
    /// Image and command.
    fn split(&self) -> Result<(Option<&str>, &[String])> {
        if self.from.given() {
            return Ok((None, &self.words));
        }
        match self.words.split_first() {
            Some((image, command)) => Ok((Some(image), command)),
            None => Err(cli::usage("no image named, and neither --host nor --rootfs")),
        }
    }
}

/// The main of `stave run`.
pub fn run(mut words: Words) -> Result<u8> {
    // What will be taken away need not be safe on disk first.
    words.mount.volatile |= words.spawn.removes();
    if words.drive.dry_run == 1 {
        return cli::print(&pipeline(&words)?).map(|()| 0);
    }
    let host = Host::gather()?;
    let (doc, fetching) = document(&words, &host)?;
    let id = doc.id()?.context("the document has no id")?.to_owned();
    let steps = plan(&doc, &host)?;
    if words.drive.dry_run > 1 {
        cli::print(&cli::show(&steps))?;
        let end = if words.detach {
            stave_keep::show(&doc, &host)?
        } else {
            launch::show(&launch::init(&doc, &Look::planned(&doc, &host)?.here())?)
        };
        return cli::print(&end).map(|()| 0);
    }
    if let Some(fetching) = fetching {
        fetching.end()?;
    }
    let mut driver = Driver::new("run", &words.drive)?;
    driver.run(&steps)?;
    let result = if words.detach {
        stave_keep::detach(&doc, &host, &mut driver).and_then(|()| stave_keep::tell(&id))
    } else {
        stave_spawn::foreground(&doc, &host, &mut driver, words.interactive)
    };
    // One that never ran is of no use to anybody.
    if result.is_err() && matches!(Record::read(&host.roots, &id), Ok(None)) {
        bundle::remove(&id, &host)?;
    }
    result
}

/// What the stages write, in their order.
fn document(words: &Words, host: &Host) -> Result<(Doc, Option<pull::Fetching>)> {
    let (image, command) = words.split()?;
    let mut doc = Doc::default();
    let mut fetching = None;
    if let Some(image) = image {
        fetching = pull::begin(words.pull, image, host)?;
        let mut named = Some(image);
        if let Some(fetching) = &mut fetching {
            // The layers are unpacked while they come.
            (doc, named) = (fetching.document()?, None);
        }
        stave_unpack::edit(named, &mut doc, host).map_err(|e| pull::cause(&mut fetching, e))?;
    }
    stave_new::edit(&words.from, words.name.as_deref(), &mut doc, host)?;
    bundle::identify(&mut doc)?;
    words.mount.edit(&mut doc, host)?;
    words.ns.edit(&mut doc, host)?;
    words.limit.edit(&mut doc, host)?;
    stave_spawn::edit(&words.spawn, command, &mut doc, host)?;
    Ok((doc, fetching))
}

/// What the stages do, in their order.
fn plan(doc: &Doc, host: &Host) -> Result<Vec<Step>> {
    let mut steps = stave_new::plan(doc, host, !doc.stave_flag("rm"))?;
    steps.extend(Mount::plan(doc, host)?);
    steps.extend(Ns::plan(doc, host)?);
    steps.extend(Limit::plan(doc, host)?);
    Ok(steps)
}

/// The pipeline that does the same.
fn pipeline(words: &Words) -> Result<String> {
    let matches = Words::command().get_matches();
    let (image, command) = words.split()?;
    let name = words.name.as_deref().map(|n| format!(" {}", quote(n))).unwrap_or_default();
    let mut out = match image {
        Some(image) if pull::is_due(words.pull, image, &Host::gather()?)? => {
            format!("stave pull {} | stave unpack | stave new{name} -", quote(image))
        }
        Some(image) => format!("stave unpack {} | stave new{name} -", quote(image)),
        None => format!("stave new{}{name}", cli::words::<From>(&matches)),
    };
    let volatile = words.mount.volatile && !matches.get_flag("volatile");
    out += &flags(&matches, if volatile { " --volatile" } else { "" });
    if words.interactive && !words.spawn.terminal() {
        // What follows the document on stdin is the workload's.
        out = format!("{{ {out}; cat <&3; }} 3<&0");
    }
    out += " | ";
    out += &if words.detach {
        format!("stave keep{}{}", cli::words::<Process>(&matches), cli::words::<First>(&matches))
    } else {
        format!("stave spawn{}", cli::words::<Spawn>(&matches))
    };
    if !command.is_empty() {
        out += " --";
        for word in command {
            out += &format!(" {}", quote(word));
        }
    }
    Ok(out + "\n")
}

fn flags(matches: &ArgMatches, more: &str) -> String {
    let (mount, ns, limit) = (words::<Mount>(matches), words::<Ns>(matches), words::<Limit>(matches));
    let (mount, ns) = (format!(" | stave mount{more}{mount}"), format!(" | stave ns{ns}"));
    // The root is mounted in the light of the ids of its user namespace: they come first.
    let ids = ["userns", "uidmap", "gidmap"].iter().any(|f| matches.contains_id(f));
    let (first, then) = if ids { (ns, mount) } else { (mount, ns) };
    format!("{first}{then} | stave limit{limit}")
}
