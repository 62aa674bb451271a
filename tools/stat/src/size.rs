//! Numbers for people, as docker prints them.

/// Bytes of memory, by 1024: `64MiB`, `12.34MiB`.
pub fn memory(bytes: u64) -> String {
    scaled(bytes, 1024.0, 4, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// Bytes over a wire or to a disk, by 1000: `1.23kB`.
pub fn traffic(bytes: u64) -> String {
    scaled(bytes, 1000.0, 3, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

fn scaled(bytes: u64, base: f64, digits: usize, units: &[&str]) -> String {
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    significant(value, digits) + units[unit]
}

/// So many digits, and no zeros at the end (%g of printf(3)).
fn significant(value: f64, digits: usize) -> String {
    let whole = format!("{value:.0}").len();
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_docker() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (64 << 20, "64MiB"),
            (3 << 19, "1.5MiB"),
            (12_939_428, "12.34MiB"),
            (7_999_999_999, "7.451GiB"),
            (u64::MAX, "16EiB"),
        ] {
            assert_eq!(memory(bytes), text);
        }
        for (bytes, text) in [(0, "0B"), (999, "999B"), (1230, "1.23kB"), (56_780_000, "56.8MB")] {
            assert_eq!(traffic(bytes), text);
        }
    }
}
