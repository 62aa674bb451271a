//! The few forms that the files have.

use std::fs;
use std::path::Path;

/// One number; `max` is none (all ones), as is a file that is not there (`None`).
pub fn number(dir: &Path, file: &str) -> Option<u64> {
    let text = fs::read_to_string(dir.join(file)).ok()?;
    match text.trim() {
        "max" => Some(u64::MAX),
        text => text.parse().ok(),
    }
}

/// The whole of a file; one that is not there is empty.
pub fn text(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap_or_default()
}

/// Lines of `key value`.
pub fn pairs(dir: &Path, file: &str) -> Vec<(String, u64)> {
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    text(dir, file).lines().filter_map(pair).collect()
}

/// The value of a key in lines of `key value`.
pub fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The value of a key among such lines.
pub fn of(pairs: &[(String, u64)], key: &str) -> u64 {
    pairs.iter().find(|(k, _)| k == key).map_or(0, |(_, v)| *v)
}

/// A list of numbers and ranges: `0-3,7` (cpuset(7)).
pub fn list(dir: &Path, file: &str) -> Vec<u16> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
    };
    text(dir, file).split(',').filter_map(range).flatten().collect()
}
