//! PAX records (pax(1)): of an extended header.

use super::{bad, field};
use std::io;

/// Key and value.
pub(super) type Record = (Vec<u8>, Vec<u8>);

/// `LENGTH KEY=VALUE\n`, the length counting all of it: a value may hold anything.
pub(super) fn records(mut bytes: &[u8]) -> io::Result<Vec<Record>> {
    let wrong = || bad("malformed PAX record".into());
    let mut all = Vec::new();
    while bytes.first().is_some_and(|b| *b != 0) {
        let space = bytes.iter().take(20).position(|b| *b == b' ').ok_or_else(wrong)?;
        let length = field::decimal(&bytes[..space]).and_then(|n| usize::try_from(n).ok());
        let length = length.ok_or_else(wrong)?;
        if length <= space + 1 || length > bytes.len() || bytes[length - 1] != b'\n' {
            return Err(wrong());
        }
        let record = &bytes[space + 1..length - 1];
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(wrong)?;
        all.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
        bytes = &bytes[length..];
    }
    Ok(all)
}

/// The last record of a key, if it is not empty.
pub(super) fn last<'a>(records: &'a [Record], key: &str) -> Option<&'a [u8]> {
    let found = records.iter().rev().find(|(k, _)| k == key.as_bytes());
    found.map(|(_, v)| v.as_slice()).filter(|v| !v.is_empty())
}

/// `-1.5` is 2 seconds before the epoch and half a second after that.
pub(super) fn seconds(text: &str) -> Option<(i64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = match whole {
        "" => 0,
        "-" | "-0" => 0,
        whole => field::decimal(whole.as_bytes())?,
    };
    let nanos: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    if whole.starts_with('-') && nanos > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos));
    }
    Some((seconds, nanos))
}

/// Extended attributes in star's and GNU tar's form; libarchive's own where there is no other.
pub(super) fn xattrs(records: &[Record]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for (key, value) in records {
        let (name, value) = if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            (name.to_vec(), value.clone())
        } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
            let name = unescape(name).ok_or_else(|| bad("malformed name of an attribute".into()))?;
            let schily = [b"SCHILY.xattr.", name.as_slice()].concat();
            if records.iter().any(|(k, _)| *k == schily) {
                continue;
            }
            (name, base64(value).ok_or_else(|| bad("malformed base64 of an attribute".into()))?)
        } else {
            continue;
        };
        all.retain(|(n, _)| *n != name);
        all.push((name, value));
    }
    Ok(all)
}

/// `%41` is `A`.
fn unescape(name: &[u8]) -> Option<Vec<u8>> {
    let mut parts = name.split(|b| *b == b'%');
    let mut all = parts.next()?.to_vec();
    for part in parts {
        let hex = part.get(..2).filter(|h| h.iter().all(u8::is_ascii_hexdigit))?;
        all.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
        all.extend(&part[2..]);
    }
    Some(all)
}

/// RFC 4648, padded or not.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii_end();
    let end = text.iter().rposition(|b| *b != b'=').map_or(0, |i| i + 1);
    let mut all = Vec::with_capacity(end * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in &text[..end] {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            all.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (held < 6).then_some(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_hold_newlines() {
        let all = records(b"13 a.b=x\ny=z\n5 c=\n").unwrap();
        assert_eq!(all, [(b"a.b".to_vec(), b"x\ny=z".to_vec()), (b"c".to_vec(), vec![])]);
        for wrong in [&b"99 a=b\n"[..], b"3 a\n", b"x a=b\n", b"6 a=bc", b"-6 a=b\n", b"0 a=b\n", b"a", b" "]
        {
            assert!(records(wrong).is_err());
        }
        assert_eq!(last(&all, "c"), None, "an empty record takes back what was said");
        assert_eq!(last(&all, "a.b"), Some(&b"x\ny=z"[..]));
    }

    #[test]
    fn times() {
        assert_eq!(seconds("1.5"), Some((1, 500_000_000)));
        assert_eq!(seconds("-1.5"), Some((-2, 500_000_000)));
        assert_eq!(seconds("-0.25"), Some((-1, 750_000_000)));
        assert_eq!(seconds("7.1234567891"), Some((7, 123_456_789)));
        assert_eq!(seconds("-7"), Some((-7, 0)));
        for bad in ["x", "1.x", "1.5.5", "--1", "1e9", "99999999999999999999"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn attributes() {
        let record = |k: &str, v: &[u8]| (k.as_bytes().to_vec(), v.to_vec());
        let all = xattrs(&[
            record("LIBARCHIVE.xattr.user.a%3db%25", b"aGVsbG8="),
            record("LIBARCHIVE.xattr.user.both", b"d3Jvbmc"),
            record("SCHILY.xattr.user.both", b"right"),
            record("SCHILY.xattr.user.empty", b""),
            record("comment", b"x"),
        ]);
        let want = [("user.a=b%", &b"hello"[..]), ("user.both", b"right"), ("user.empty", b"")];
        assert_eq!(all.unwrap(), want.map(|(k, v)| record(k, v)));
        for bad in
            [("LIBARCHIVE.xattr.a%4", &b""[..]), ("LIBARCHIVE.xattr.a", b"!"), ("LIBARCHIVE.xattr.a", b"a")]
        {
            assert!(xattrs(&[record(bad.0, bad.1)]).is_err());
        }
        assert_eq!(base64(b"AAECAwQ=").unwrap(), [0, 1, 2, 3, 4]);
    }
}
