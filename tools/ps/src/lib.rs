//! The containers, from their files alone: it waits for none of them.
#![forbid(unsafe_code)]

use anyhow::Result;
use clap::Parser;
use cli::Host;
use doc::Doc;
use serde_json::{Value, json};
use state::{Entry, Exit, Record, Status, ago};

/// List containers
#[derive(Parser, Debug)]
#[command(name = "stave-ps", version)]
pub struct Words {
    /// Those too that do not run
    #[arg(short = 'a', long)]
    all: bool,
    /// Ids only
    #[arg(short = 'q', long)]
    quiet: bool,
    /// The N made last, running or not
    #[arg(short = 'n', long, value_name = "N")]
    last: Option<usize>,
    /// One JSON object a line
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Whole commands
    #[arg(long)]
    no_trunc: bool,
}

/// The main of `stave ps`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    let mut list = state::list(&host.roots)?;
    list.sort_by_key(|e| std::cmp::Reverse(created(e).map(String::from)));
    if let Some(n) = words.last {
        list.truncate(n);
    } else if !words.all {
        list.retain(Entry::runs);
    }
    if words.quiet {
        return cli::print(&list.iter().map(|e| format!("{}\n", e.id)).collect::<String>()).map(|()| 0);
    }
    if words.json {
        return cli::print(&list.iter().map(|e| format!("{}\n", object(e, &host))).collect::<String>())
            .map(|()| 0);
    }
    let head = ["ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PID", "NAME"];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(list.iter().map(|e| row(e, words, &host)));
    cli::print(&cli::table(&rows)).map(|()| 0)
}

fn document(e: &Entry) -> Option<&Doc> {
    e.doc.as_ref().ok()
}

fn created(e: &Entry) -> Option<&str> {
    document(e)?.get("/stave/created")?.as_str()
}

fn image(e: &Entry) -> Option<String> {
    let doc = document(e)?;
    match doc.image_name() {
        Some(name) => Some(name.to_owned()),
        None if doc.stave_flag("host") => Some("(host)".into()),
        None => doc.layers().ok()?.first().map(|l| l.dir.clone()),
    }
}

fn row(e: &Entry, words: &Words, host: &Host) -> Vec<String> {
    let Some(doc) = document(e) else {
        let why = e.doc.as_ref().err().map(cli::line).unwrap_or_default();
        return vec![e.id.clone(), String::new(), String::new(), String::new(), why];
    };
    let command = doc.args().unwrap_or_default().join(" ");
    let command: String = if words.no_trunc || command.chars().count() <= 30 {
        command
    } else {
        command.chars().take(29).chain(['…']).collect()
    };
    let pid = e.record.as_ref().and_then(Record::running).map(|p| p.to_string()).unwrap_or_default();
    vec![
        e.id.clone(),
        image(e).unwrap_or_default().escape_debug().to_string(),
        command.escape_debug().to_string(),
        created(e).map(|at| ago(at) + " ago").unwrap_or_default(),
        said(e, host),
        pid,
        doc.name().ok().flatten().unwrap_or_default().to_owned(),
    ]
}

/// The status for people.
fn said(e: &Entry, host: &Host) -> String {
    let status = e.status(host);
    match (&status, &e.record) {
        (Status::Running | Status::Paused, Some(r)) => {
            let monitor = if r.monitor().is_none() { ", no monitor" } else { "" };
            format!("{} {}{monitor}", status.word(), ago(&r.stave.at))
        }
        (Status::Stopped(Some(exit)), _) => ended(exit),
        (Status::Stopped(None), _) => "ended unseen".into(),
        _ => "created".into(),
    }
}

/// Also of one that went on when the kernel had killed others of it.
fn ended(exit: &Exit) -> String {
    let how = match exit.signal {
        Some(n) => format!("killed by {}", sys::process::signal_name(n)),
        None => format!("exited {}", exit.code),
    };
    let more = match exit.cause.as_str() {
        "oom" => ", out of memory",
        _ if exit.oom_kills > 0 => ", was out of memory",
        _ => "",
    };
    format!("{how} {} ago{more}", ago(&exit.at))
}

fn object(e: &Entry, host: &Host) -> Value {
    let doc = document(e);
    let (status, exit) = match e.status(host) {
        Status::Stopped(exit) => ("stopped", exit),
        other => (other.word(), None),
    };
    json!({
        "id": e.id,
        "name": doc.and_then(|d| d.name().ok().flatten()),
        "image": image(e),
        "command": doc.and_then(|d| d.args().ok()),
        "created": created(e),
        "status": status,
        "pid": e.record.as_ref().and_then(Record::running),
        "started": e.record.as_ref().map(|r| r.stave.at.clone()),
        "monitor": e.record.as_ref().and_then(Record::monitor),
        "exit": exit,
        "error": e.doc.as_ref().err().map(cli::line),
    })
}
