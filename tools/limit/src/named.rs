//! A container that is named: its limits are changed while it runs, changed back, and looked at.

use crate::{Limit, flags, view};
use anyhow::{Context, Result, bail};
use clap::{Args, Parser};
use cli::{Driver, Filter, Host, Stage, bundle, usage};
use doc::{Doc, Resources};
use serde_json::{Map, Value, json};
use state::{CgroupDir, Place, Record};
use step::{Act, Setting, Step};

/// Make a container's cgroup and set its limits
#[derive(Parser, Debug)]
#[command(name = "stave-limit", version)]
pub struct Words {
    #[command(flatten)]
    filter: Filter<Limit>,
    #[command(flatten)]
    form: Form,
}

#[derive(Args, Debug)]
struct Form {
    /// What is in force as one JSON object
    #[arg(long)]
    json: bool,
}

/// How many updates can be undone.
const KEPT: usize = 16;

/// The main of `stave limit`.
pub fn run(words: &Words) -> Result<u8> {
    let changes = words.filter.stage != Limit::default();
    let Some(word) = &words.filter.container else {
        if words.form.json {
            return Err(usage("--json: no container is named"));
        }
        return cli::stage(&words.filter, changes);
    };
    if words.form.json && (changes || words.filter.undo) {
        return Err(usage("--json: it shows what is in force, and changes nothing"));
    }
    let host = Host::gather()?;
    let id = state::find(&host.roots, word)?;
    let lock = state::lock(&host.roots, &id)?;
    let mut doc = state::read(&host.roots, &id)?;
    let (_, at) = crate::cgroup(&doc)?;
    // Where there is no cgroup yet, this is the stage.
    let made = host.cgroup_dirs(&at.path, &doc.resources()?.controllers()).iter().any(|d| d.path.is_dir());
    let runs = Record::read(&host.roots, &id)?.is_some_and(|r| r.running().is_some());
    match (words.filter.undo, changes) {
        (true, _) if doc.get("/stave/was").is_some() => back(words, &mut doc, &host, &at),
        (true, _) if runs => bail!("undo the limits of {word}: it runs, and no update is left to undo"),
        (false, true) if runs && !made => {
            bail!("limit {word}: it runs, and was started without a cgroup of its own")
        }
        (false, true) if made => change(words, &mut doc, &host, &at),
        (false, false) if (made || runs) && words.filter.drive.dry_run == 0 => look(words, &doc, &host, &at),
        _ => {
            drop(lock);
            cli::stage(&words.filter, changes)
        }
    }
}

fn look(words: &Words, doc: &Doc, host: &Host, at: &Place) -> Result<u8> {
    let rows = view::rows(doc, host, &at.path)?;
    let text = if words.form.json { view::json(doc, &rows)? } else { view::table(&rows) };
    cli::print(&text).map(|()| 0)
}

/// An update. The document keeps what it and the kernel said before.
fn change(words: &Words, doc: &mut Doc, host: &Host, at: &Place) -> Result<u8> {
    let flags = &words.filter.stage;
    for (flag, word) in [("parent", &flags.cgroup_parent), ("driver", &flags.cgroup_driver)] {
        if let Some(word) = word.as_ref().filter(|w| !w.is_empty()) {
            bail!("--cgroup-{flag} {word}: the container has its cgroup already, at {}", at.path);
        }
    }
    let before = doc.clone();
    let asked = limits::write_down(doc, &flags::changes(flags, doc, host)?)?;
    // What makes no sense beside the limits that stay is said before anything is done.
    Limit::plan(doc, host)?;
    let whole = doc.resources()?;
    let dirs = dirs(&whole, host, at);
    let mut limits = limits::changed(&asked, &whole, host, at, &dirs)?;
    fits(asked.memory.limit, &dirs)?;
    let ready = structure(&asked, &dirs, host, at);
    let driver = &words.filter.drive;
    if driver.dry_run > 0 {
        limits.iter_mut().for_each(Act::remember);
        keep(doc, &before, &limits)?;
        let mut steps = ready;
        steps.extend(bundle::steps(doc, host, true)?);
        steps.extend(limits.into_iter().map(Step::parent));
        return cli::print(&cli::show(&steps)).map(|()| 0);
    }
    let mut driver = Driver::new("limit", driver)?;
    let made = driver.run(&ready)?;
    // A file may be there only now.
    limits.iter_mut().for_each(Act::remember);
    keep(doc, &before, &limits)?;
    let mut steps = bundle::steps(doc, host, true)?;
    steps.extend(limits.into_iter().map(Step::parent));
    let done = driver.run(&steps);
    if done.is_err() {
        cli::roll_back("limit", &ready, &made);
    }
    done.map(|_| 0)
}

/// The hierarchies of a cgroup that is there: of the others those that a limit asks for.
fn dirs(whole: &Resources, host: &Host, at: &Place) -> Vec<CgroupDir> {
    let asked = whole.controllers();
    let mut dirs = host.cgroup_dirs(&at.path, &asked);
    let name = |c: &String| if c == "blkio" { "io".to_owned() } else { c.clone() };
    dirs.retain(|d| d.path.is_dir() || d.controllers.iter().any(|c| asked.contains(&name(c))));
    dirs
}

/// What has to be there first: a hierarchy that it had no use for, a controller that was not handed down.
/// systemd hands down all that it has.
fn structure(asked: &Resources, dirs: &[CgroupDir], host: &Host, at: &Place) -> Vec<Step> {
    let mut acts = Vec::new();
    let wanted = asked.controllers();
    let handed =
        |d: &CgroupDir| at.unit.is_none() && d.v2 && d.controllers.iter().any(|c| wanted.contains(c));
    for dir in dirs.iter().filter(|d| handed(d) || !d.path.is_dir()) {
        limits::directory(dir, host, asked, &mut acts);
    }
    let usual = dirs.iter().find(|d| !d.v2 && d.usual());
    for dir in dirs.iter().filter(|d| !d.v2 && !d.usual() && !d.path.is_dir()) {
        let from = usual.map(|u| u.path.clone());
        acts.extend(from.map(|from| Act::Adopt { cgroup: dir.path.clone(), from }));
    }
    acts.into_iter().map(Step::parent).collect()
}

/// v2 takes any limit, and ends processes by it; v1 refuses what it cannot reclaim. Here both do.
fn fits(limit: Option<i64>, dirs: &[CgroupDir]) -> Result<()> {
    let Some(limit) = limit.filter(|n| *n > 0) else { return Ok(()) };
    let has = |d: &&CgroupDir| d.v2 && d.controllers.iter().any(|c| c == "memory");
    let Some(dir) = dirs.iter().find(has) else { return Ok(()) };
    let Some((usage, least)) = cgroup::least_memory(dir) else { return Ok(()) };
    if least > limit.unsigned_abs() {
        bail!(
            "write '{limit}' to {}: unable to set memory limit to {limit} (current usage: {usage}, of which \
             {least} cannot be reclaimed)",
            dir.path.join("memory.max").display()
        );
    }
    Ok(())
}

/// One more entry of `stave.was`: the former limits of the document, and what the files said. An update
/// that changes neither is none.
fn keep(doc: &mut Doc, before: &Doc, limits: &[Act]) -> Result<()> {
    let mut files: Map<String, Value> = Map::new();
    let mut differs = false;
    for act in limits {
        let Act::Limit { cgroup, set } = act else { continue };
        for s in set {
            let Some(former) = &s.former else { continue };
            differs |= *former != s.text;
            let or = s.or.as_ref().map_or(&s.file, |(file, _)| file);
            let file = if cgroup.join(&s.file).exists() { &s.file } else { or };
            let text = match files.get(file).and_then(Value::as_str) {
                Some(other) if other != former => format!("{other}\n{former}"),
                _ => former.clone(),
            };
            files.insert(file.clone(), text.into());
        }
    }
    let resources = before.get("/linux/resources");
    if !differs && resources == doc.get("/linux/resources") {
        return Ok(());
    }
    let mut entry = json!({ "files": files });
    if let Some(resources) = resources {
        entry["resources"] = resources.clone();
    }
    let mut was: Vec<Value> = before.read("/stave/was")?.unwrap_or_default();
    was.push(entry);
    let more = was.len().saturating_sub(KEPT);
    was.drain(..more);
    Ok(doc.set("/stave/was", was)?)
}

/// The last update undone: the document and the files say what they said before it.
fn back(words: &Words, doc: &mut Doc, host: &Host, at: &Place) -> Result<u8> {
    let now = doc.resources()?;
    let mut was: Vec<Value> = doc.read("/stave/was")?.unwrap_or_default();
    let entry = was.pop().context("stave.was is empty")?;
    match entry.get("resources") {
        Some(resources) => doc.set("/linux/resources", resources.clone())?,
        None => doc.remove("/linux/resources"),
    }
    if was.is_empty() {
        doc.remove("/stave/was")
    } else {
        doc.set("/stave/was", was)?
    }
    let then = doc.resources()?;
    let mut steps = bundle::steps(doc, host, true)?;
    let mut dirs = host.cgroup_dirs(&at.path, &now.controllers());
    dirs.retain(|d| d.path.is_dir());
    let kept = host.cgroup_dirs(&at.path, &then.controllers());
    let (stays, goes): (Vec<_>, Vec<_>) =
        dirs.into_iter().partition(|d| d.v2 || kept.iter().any(|k| k.path == d.path));
    let former = entry.pointer("/files/memory.max").and_then(Value::as_str);
    fits(former.and_then(|text| text.parse().ok()), &stays)?;
    let mut acts = restored(&entry, &stays, at)?;
    if now.devices != then.devices {
        for dir in &stays {
            acts.extend(limits::again(dir, &stays, &then.devices, host.filters_devices())?);
        }
    }
    acts.iter_mut().for_each(Act::remember);
    steps.extend(acts.into_iter().map(Step::parent));
    // Its processes go up, and the directory goes.
    let mut leaves = Vec::new();
    for dir in goes {
        leaves.push(Step::parent(Act::Cgroup { path: dir.path.clone(), shared: false }));
        leaves.push(Step::parent(Act::Adopt { cgroup: dir.path.clone(), from: dir.path }));
    }
    if words.filter.drive.dry_run > 0 {
        let undone = leaves.iter().rev().filter_map(|s| s.act.show_undo()).map(|line| line + "\n");
        return cli::print(&(cli::show(&steps) + &undone.collect::<String>())).map(|()| 0);
    }
    Driver::new("limit", &words.filter.drive)?.run(&steps)?;
    cli::undo_all(&leaves).map(|()| 0)
}

/// What the files of an entry are to say again, as far as they are there.
fn restored(entry: &Value, dirs: &[CgroupDir], at: &Place) -> Result<Vec<Act>> {
    let files = entry.get("files").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut acts = Vec::new();
    for dir in dirs {
        let mut set = Vec::new();
        for (file, text) in &files {
            let text = text.as_str().with_context(|| format!("stave.was: {file}: not a text"))?;
            let plain = file.contains('.') && !file.contains('/') && !file.starts_with("cgroup.");
            if !plain {
                bail!("stave.was: {file}: no file of a limit");
            }
            if dir.path.join(file).exists() {
                set.push(Setting { file: file.clone(), text: text.to_owned(), ..Setting::default() });
            }
        }
        if !set.is_empty() {
            acts.extend(at.unit.as_ref().and_then(|unit| limits::tell(unit, dir, &set)));
            acts.push(Act::Limit { cgroup: dir.path.clone(), set });
        }
    }
    Ok(acts)
}
