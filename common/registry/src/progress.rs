//! What is told while bytes go: bars on a terminal, JSON lines on a descriptor, or nothing.

use anyhow::{Context, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::Digest;

/// What happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// What a name stands for.
    Resolved {
        /// The whole name.
        name: &'a str,
        /// Of the image's manifest.
        digest: &'a Digest,
        /// Bytes of all layers.
        size: u64,
        /// How many there are.
        layers: usize,
    },
    /// What is to be done with a layer: `there`, `fetch`, `send`, `mounted`.
    Layer {
        /// Of the layer.
        digest: &'a Digest,
        /// In bytes.
        size: u64,
        /// Which of the words.
        state: &'static str,
    },
    /// So much of it is over.
    Moved {
        /// Of the layer.
        digest: &'a Digest,
        /// Bytes.
        at: u64,
        /// Bytes in all.
        size: u64,
    },
    /// A layer, or the whole image.
    Done {
        /// Of the layer or of the manifest.
        digest: &'a Digest,
    },
    /// Something did not succeed, and is tried again.
    Retry {
        /// Why.
        cause: &'a str,
        /// After this time.
        wait: Duration,
        /// How often it has been tried.
        tries: u32,
    },
    /// It did not succeed.
    Error {
        /// Why.
        text: &'a str,
    },
}

/// Who is told.
#[derive(Debug, Default)]
pub struct Progress {
    json: Option<OwnedFd>,
    bars: Option<Bars>,
    last: Mutex<HashMap<Digest, Instant>>,
}

/// How often one layer is spoken of.
const PAUSE: Duration = Duration::from_millis(100);

impl Progress {
    /// JSON on a descriptor where one is given, else bars where stderr is a terminal and they are
    /// wanted.
    pub fn new(quiet: bool, json: Option<i32>) -> Result<Progress> {
        let json =
            json.map(|fd| sys::io::inherited(fd).with_context(|| format!("--json={fd}"))).transpose()?;
        let wanted = !quiet && json.is_none() && std::io::stderr().is_terminal();
        Ok(Progress { json, bars: wanted.then(Bars::new), last: Mutex::default() })
    }

    /// Tells it. Nobody may be listening; that is no reason to fail.
    pub fn tell(&self, event: &Event) {
        if self.json.is_none() && self.bars.is_none() {
            return;
        }
        if let Event::Moved { digest, at, size } = event {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if at < size && last.get(*digest).is_some_and(|then| now.duration_since(*then) < PAUSE) {
                return;
            }
            last.insert((*digest).clone(), now);
        }
        if let Some(fd) = &self.json {
            let _ = sys::io::write_all(fd, format!("{}\n", line(event)).as_bytes());
        }
        if let Some(bars) = &self.bars {
            bars.tell(event);
        }
    }

    /// Does something, such as printing, while no bar is in the way.
    pub fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        match &self.bars {
            Some(bars) => bars.all.suspend(act),
            None => act(),
        }
    }

    /// Takes the bars away.
    pub fn clear(&self) {
        if let Some(bars) = &self.bars {
            bars.total.finish_and_clear();
            let _ = bars.all.clear();
        }
    }
}

/// One line of `--json`.
fn line(event: &Event) -> Value {
    match event {
        Event::Resolved { name, digest, size, layers } => {
            json!({"event": "resolved", "name": name, "digest": digest, "size": size, "layers": layers})
        }
        Event::Layer { digest, size, state } => {
            json!({"event": "layer", "digest": digest, "size": size, "state": state})
        }
        Event::Moved { digest, at, size } => {
            json!({"event": "progress", "digest": digest, "at": at, "size": size})
        }
        Event::Done { digest } => json!({"event": "done", "digest": digest}),
        Event::Retry { cause, wait, tries } => {
            json!({"event": "retry", "cause": cause, "wait_ms": wait.as_millis() as u64, "tries": tries})
        }
        Event::Error { text } => json!({"event": "error", "text": text}),
    }
}

/// One bar a layer on its way, and one for all; a layer that is done is a number in the last.
#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bars: HashMap<Digest, ProgressBar>,
    sizes: HashMap<Digest, u64>,
    done: usize,
}

impl Bars {
    fn new() -> Bars {
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(0));
        Bars { all, total, state: Mutex::default() }
    }

    fn tell(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Resolved { name, size, .. } => {
                self.total.set_style(style("{prefix} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}"));
                self.total.set_length(*size);
                self.total.set_prefix((*name).to_owned());
                self.total.enable_steady_tick(Duration::from_millis(250));
            }
            Event::Layer { digest, size, state: word } => {
                state.sizes.insert((*digest).clone(), *size);
                if !matches!(*word, "fetch" | "send") {
                    self.total.inc(*size);
                    state.done += 1;
                } else {
                    let bar = self.all.insert_before(&self.total, ProgressBar::new(*size));
                    bar.set_style(style("  {prefix} {bar:30} {bytes}/{total_bytes}"));
                    bar.set_prefix(digest.hex().chars().take(12).collect::<String>());
                    state.bars.insert((*digest).clone(), bar);
                }
            }
            Event::Moved { digest, at, .. } => {
                if let Some(bar) = state.bars.get(*digest) {
                    let before = bar.position();
                    bar.set_position(*at);
                    match at.checked_sub(before) {
                        Some(more) => self.total.inc(more),
                        None => self.total.dec(before - at),
                    }
                }
            }
            Event::Done { digest } => {
                if let Some(bar) = state.bars.remove(*digest) {
                    self.total.inc(bar.length().unwrap_or(0).saturating_sub(bar.position()));
                    bar.finish_and_clear();
                    state.done += 1;
                }
            }
            Event::Retry { cause, .. } => {
                let _ = self.all.println(format!("{cause}; again"));
            }
            Event::Error { .. } => {}
        }
        self.total.set_message(format!("{}/{} layers", state.done, state.sizes.len()));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let digest = Digest::of(b"");
        let event = Event::Moved { digest: &digest, at: 1, size: 2 };
        assert_eq!(
            line(&event).to_string(),
            format!(r#"{{"event":"progress","digest":"{digest}","at":1,"size":2}}"#)
        );
    }
}
