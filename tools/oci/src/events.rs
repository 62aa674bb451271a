//! events: what a container uses, as JSON lines.

use crate::container::{Container, host};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use sys::process;

/// The words of `events`.
#[derive(Args, Debug)]
pub struct Events {
    /// Once, and no more
    #[arg(long)]
    stats: bool,
    /// How often: 5s, 1m30s, 500ms
    #[arg(long, value_name = "TIME", default_value = "5s")]
    interval: String,
    /// The container
    pub id: String,
}

/// The verb.
pub fn events(container: &Container, words: &Events) -> Result<u8> {
    let every = duration(&words.interval).filter(|d| !d.is_zero());
    let Some(every) = every else { bail!("duration interval must be greater than 0") };
    let record = container.record()?;
    let Some(pid) = record.and_then(|r| r.running()) else {
        bail!("container with id {} is not running", container.id);
    };
    let dirs = container.cgroups(&container.doc()?, &host()?)?;
    let stats = || line(&container.id, "stats", Some(&cgroup::stats(&dirs)));
    if words.stats {
        stats()?;
        return Ok(0);
    }
    let pidfd = process::pidfd(pid).context("container not running")?;
    let mut oom = cgroup::Oom::watch(&dirs).context("watch for the end of memory")?;
    let mut next = Instant::now() + every;
    loop {
        let ms = next.saturating_duration_since(Instant::now()).as_millis().try_into().unwrap_or(i32::MAX);
        let mut fds = vec![(pidfd.as_fd(), false)];
        fds.extend(oom.as_ref().map(|o| (o.as_fd(), false)));
        let ready = sys::io::poll(&fds, ms.max(1))?;
        if ready.get(1) == Some(&true) {
            match oom.as_mut().and_then(cgroup::Oom::take) {
                // Its end counts as one, too.
                Some(n) => (0..n).try_for_each(|_| line(&container.id, "oom", None))?,
                None => return Ok(0),
            }
        }
        if ready.first() == Some(&true) {
            let last = oom.as_mut().map_or(0, cgroup::Oom::last);
            (0..last).try_for_each(|_| line(&container.id, "oom", None))?;
            return Ok(0);
        }
        if Instant::now() >= next {
            stats()?;
            next += every;
        }
    }
}

/// One event, written at once.
fn line(id: &str, kind: &str, data: Option<&cgroup::Stats>) -> Result<()> {
    let mut event = json!({ "type": kind, "id": id });
    if let Some(data) = data {
        event["data"] = serde_json::to_value(data)?;
    }
    cli::print(&(event.to_string() + "\n"))
}

/// As Go writes it: numbers with their units, one after another.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..at].parse().ok()?;
        let unit = &rest[at..];
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        sum += number
            * match &unit[..end] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &unit[end..];
    }
    Duration::try_from_secs_f64(sum).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(duration("1m1.5s"), Some(Duration::from_millis(61_500)));
        assert_eq!(duration("100ms"), Some(Duration::from_millis(100)));
        assert!(duration("5").is_none() && duration("x").is_none() && duration("-1s").is_none());
    }
}
