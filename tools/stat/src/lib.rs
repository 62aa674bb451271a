//! What containers use, and what they may: read from their cgroups, of nobody else.
#![forbid(unsafe_code)]

mod bar;
mod eye;
mod json;
mod network;
mod size;
mod table;
mod watch;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use eye::{Eye, Seen};
use std::io::IsTerminal;
use std::time::Duration;

/// Show what containers use: processors, memory, tasks, disks, network
#[derive(Parser, Debug)]
#[command(name = "stave-stat", version)]
pub struct Words {
    /// Those too that do not run
    #[arg(short = 'a', long)]
    all: bool,
    /// Look again and again, with SECONDS between; on a terminal the table stays in place
    #[arg(short = 'w', long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
        default_missing_value = "1", value_parser = seconds)]
    watch: Option<Duration>,
    /// One look, as without --watch
    #[arg(long, conflicts_with = "watch")]
    no_stream: bool,
    /// One JSON object a line for each container
    #[arg(long)]
    json: bool,
    /// Who uses most comes first, or by name
    #[arg(long, value_name = "KEY")]
    sort: Option<Key>,
    /// Containers, by name or id; without one all that run
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// What is sorted by.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Key {
    /// Share of a processor.
    Cpu,
    /// Memory in use.
    Mem,
    /// Tasks.
    Pids,
    /// Name, or id where there is none.
    Name,
}

/// The shortest pause that tells anything: the period of a quota.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok().filter(|n| (0.1..=1e6).contains(n));
    number.map(Duration::from_secs_f64).ok_or_else(|| "not a number of seconds from 0.1 on".to_owned())
}

/// The main of `stave stat`.
pub fn run(words: &Words) -> Result<u8> {
    let (mut eye, status) = Eye::new(words)?;
    if eye.blind() {
        return Ok(status);
    }
    if let Some(every) = words.watch
        && !words.json
        && std::io::stdout().is_terminal()
        && let Some(look) = table::Look::of_terminal()
    {
        return watch::watch(&mut eye, every, look, words.sort);
    }
    eye.glance()?;
    std::thread::sleep(eye.pause());
    loop {
        let mut list = eye.look()?;
        sort(&mut list, words.sort);
        cli::print(&text(&list, words))?;
        let Some(every) = words.watch else { return Ok(status) };
        eye.wait(every);
    }
}

fn text(list: &[Seen], words: &Words) -> String {
    if words.json {
        let at = state::now();
        return list.iter().map(|s| format!("{}\n", json::object(s, &at))).collect();
    }
    let mut out = table::Look::once().table(list).join("\n") + "\n";
    if words.watch.is_some() {
        out.push('\n');
    }
    out
}

/// Those without the figure come last.
fn sort(list: &mut [Seen], key: Option<Key>) {
    let most = |n: Option<f64>| n.map_or(f64::INFINITY, |n| -n);
    match key {
        None => {}
        Some(Key::Name) => list.sort_by(|a, b| a.called().cmp(b.called())),
        Some(Key::Cpu) => list.sort_by(|a, b| most(a.cpu).total_cmp(&most(b.cpu))),
        Some(Key::Mem) => {
            let bytes = |s: &Seen| most(s.look.memory.as_ref().map(|m| m.working_set() as f64));
            list.sort_by(|a, b| bytes(a).total_cmp(&bytes(b)));
        }
        Some(Key::Pids) => {
            let tasks = |s: &Seen| most(s.look.pids.map(|n| n as f64));
            list.sort_by(|a, b| tasks(a).total_cmp(&tasks(b)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "0.05", "-1", "x", "", "nan", "inf", "1e9"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn words() {
        let watch =
            |words: &[&str]| Words::try_parse_from([&["stave-stat"], words].concat()).map(|w| w.watch);
        assert_eq!(watch(&["-w", "web"]).ok(), Some(Some(Duration::from_secs(1))));
        assert_eq!(watch(&["--watch=2.5"]).ok(), Some(Some(Duration::from_millis(2500))));
        assert_eq!(watch(&["--no-stream", "web"]).ok(), Some(None));
        assert!(watch(&["-w", "--no-stream"]).is_err() && watch(&["--watch=x"]).is_err());
    }
}
