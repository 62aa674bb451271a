//! What goes wrong, for people on stderr and for the engine in `--log`: one line each. As JSON the
//! file holds nothing but objects of level, msg and time, which engines read back.

use crate::words::Global;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;

static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    file: Option<File>,
    json: bool,
    level: Level,
}

/// How bad it is; what is less than asked for is not said.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Level {
    /// The verb failed.
    Error,
    /// It goes on nevertheless.
    Warning,
    /// What is being done.
    Debug,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Debug => "debug",
        }
    }
}

/// Opens the log as the flags say; what is said before goes to stderr alone.
pub fn open(global: &Global) -> Result<()> {
    let json = match global.log_format.as_str() {
        "" | "text" => false,
        "json" => true,
        other => bail!("invalid log-format: {other}"),
    };
    let level = match global.log_level.as_deref().unwrap_or_default() {
        _ if global.debug => Level::Debug,
        "error" => Level::Error,
        "" | "warning" | "warn" | "info" => Level::Warning,
        "debug" | "trace" => Level::Debug,
        other => bail!("invalid log-level: {other}"),
    };
    let file = match global.log.as_deref().filter(|p| !p.is_empty()) {
        Some(path) => {
            let path = path.strip_prefix("file:").unwrap_or(path);
            let mut how = File::options();
            let file = how.create(true).append(true).mode(0o644).open(path);
            Some(file.with_context(|| format!("open the log {path}"))?)
        }
        None => None,
    };
    let _ = LOG.set(Log { file, json, level });
    Ok(())
}

/// Whether what is being done is to be said.
pub fn debugs() -> bool {
    LOG.get().is_some_and(|l| l.level == Level::Debug)
}

/// One message, in one write.
pub fn say(level: Level, text: &str) {
    let told = || cli::say("oci", &format!("{}: {text}", level.word()));
    let Some(log) = LOG.get() else { return told() };
    if level > log.level {
        return;
    }
    match (&log.file, level) {
        (None, Level::Debug) => {
            let _ = std::io::stderr().write_all(line(level, text, log.json).as_bytes());
        }
        // Stderr is the workload's as well: what goes on nevertheless is for the log, where there is one.
        (Some(_), Level::Debug | Level::Warning) => {}
        (None, _) if log.json => {
            let _ = std::io::stderr().write_all(line(level, text, true).as_bytes());
        }
        _ => told(),
    }
    log.write(level, text);
}

/// An error whose line on stderr is another than the log's, and stands alone.
pub fn say_apart(line: &str, text: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
    if let Some(log) = LOG.get() {
        log.write(Level::Error, text);
    }
}

impl Log {
    fn write(&self, level: Level, text: &str) {
        if let Some(mut file) = self.file.as_ref() {
            let _ = file.write_all(line(level, text, self.json).as_bytes());
        }
    }
}

/// A line of the log.
fn line(level: Level, text: &str, as_json: bool) -> String {
    let word = level.word();
    let time = state::now();
    if as_json {
        return json!({ "level": word, "msg": text, "time": time }).to_string() + "\n";
    }
    format!("time=\"{time}\" level={word} msg={}\n", json!(text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_one_object_a_line() {
        let text = line(Level::Error, "a \"b\"\nc", true);
        assert_eq!(text.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["msg"], "a \"b\"\nc");
        assert_eq!(value["level"], "error");
        assert!(line(Level::Debug, "x", false).contains(" level=debug msg=\"x\""));
    }
}
