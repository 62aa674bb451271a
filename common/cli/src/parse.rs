//! Sizes, counts and environment as people type them.

/// Bytes in docker's binary units: `512`, `64M`, `1.5g`, `2GiB`; case does not matter.
pub fn size(text: &str) -> Result<i64, String> {
    let bad = || "not a size (a number and b, k, m, g, t or p)".to_owned();
    let lower = text.to_ascii_lowercase();
    let split = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(split);
    let shift = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(bad()),
    };
    if unit == "ib" {
        return Err(bad());
    }
    let number: f64 = number.parse().map_err(|_| bad())?;
    let bytes = number * (1_i64 << shift) as f64;
    if !(bytes.is_finite() && bytes < i64::MAX as f64) {
        return Err("too large".to_owned());
    }
    Ok(bytes as i64)
}

/// A size above zero.
pub fn some_size(text: &str) -> Result<i64, String> {
    match size(text)? {
        0 => Err("nothing runs in 0 bytes".to_owned()),
        n => Ok(n),
    }
}

/// A size above zero, or -1 for no limit.
pub fn some_size_or_none(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { some_size(text) }
}

/// A size, or -1 for no limit.
pub fn size_or_none(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { size(text) }
}

/// Processors, as a fraction: more than zero.
pub fn cpus(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n.is_finite() && n > 0.0 && n <= 1e6 => Ok(n),
        _ => Err("not a number of processors above 0".to_owned()),
    }
}

/// Bytes for people: `64MiB`.
pub fn human(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value.fract() < 0.05 || unit == 0 {
        format!("{value:.0}{}", units[unit])
    } else {
        format!("{value:.1}{}", units[unit])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("512", 512),
            ("1k", 1024),
            ("64M", 64 << 20),
            ("1.5g", 3 << 29),
            ("2GiB", 2 << 30),
            ("3kb", 3072),
            ("9b", 9),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["64Q", "", "M", "-1", "1..2", "ib", "5ib", "1e3", "99999p", "4 k", "0x10"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(some_size("0").is_err());
        assert!(cpus("-1").is_err() && cpus("0").is_err() && cpus("nan").is_err());
        assert_eq!(human(64 << 20), "64MiB");
    }
}
