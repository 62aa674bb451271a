//! Changes to inputs, such that the result still looks like what it was.

use crate::{Form, Rng, json, redigest, tar};
use serde_json::Value;

/// An input made of another; `other` gives parts.
pub fn mutate(form: Form, rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    match form {
        Form::Tar => tar::change(rng, input, other, bytes),
        Form::Images => {
            let changed = tar::change(rng, input, other, file);
            if rng.one_in(8) { changed } else { redigest::all(&changed) }
        }
        Form::Json => {
            let mut all = input.to_vec();
            if rng.one_in(4) {
                bytes(rng, &mut all);
            } else {
                let other = serde_json::from_slice(other).unwrap_or_default();
                tree(rng, &mut all, &other);
            }
            all
        }
        Form::Text | Form::Bytes => {
            let mut all = input.to_vec();
            if rng.one_in(6) && !other.is_empty() {
                let (from, to) = (rng.below(other.len()), rng.below(all.len() + 1));
                all.truncate(to);
                all.extend_from_slice(&other[from..]);
            }
            bytes(rng, &mut all);
            all
        }
    }
}

/// Checksums, and digests where there are some, are made right after somebody else's change.
pub fn repair(form: Form, input: &[u8]) -> Vec<u8> {
    match form {
        Form::Tar => {
            let (entries, tail) = tar::split(input);
            [tar::join(&entries), tail].concat()
        }
        Form::Images => redigest::all(input),
        _ => input.to_vec(),
    }
}

/// A file of an archive of images: JSON, a layer, or anything.
fn file(rng: &mut Rng, data: &mut Vec<u8>) {
    if data.first().is_some_and(|b| b"{[".contains(b)) && !rng.one_in(6) {
        tree(rng, data, &Value::Null);
    } else if data.len() >= 512 && data.len().is_multiple_of(512) && !rng.one_in(6) {
        *data = tar::change(rng, data, &[], bytes);
    } else {
        bytes(rng, data);
    }
}

fn tree(rng: &mut Rng, text: &mut Vec<u8>, other: &Value) {
    match serde_json::from_slice::<Value>(text) {
        Ok(mut value) => {
            json::change(rng, &mut value, other);
            *text = value.to_string().into_bytes();
        }
        Err(_) => bytes(rng, text),
    }
}

/// Some changes that know nothing.
pub(crate) fn bytes(rng: &mut Rng, all: &mut Vec<u8>) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(all.len() + 1);
        let length = rng.below(1 + (all.len() - at).min(40));
        match rng.below(8) {
            0 if at < all.len() => all[at] ^= 1 << rng.below(8),
            1 if at < all.len() => {
                all[at] = rng.pick(&[0, 1, 0x7f, 0x80, 0xff, b'/', b'.', b':', b'@', b'"', b'-'])
            }
            2 => all.insert(at, rng.byte()),
            3 => drop(all.drain(at..at + length)),
            4 => {
                let piece = all[at..at + length].to_vec();
                let to = rng.below(all.len() + 1);
                all.splice(to..to, piece);
            }
            5 if rng.one_in(4) => all.truncate(at),
            6 => {
                let word = rng.pick(&[
                    &b"../"[..],
                    b":latest",
                    b"localhost:5000/",
                    b"@sha256:",
                    b"__",
                    b"[::1]",
                    b"A",
                    b"%2f",
                    b"null",
                    b"\0\0\0\0",
                ]);
                all.splice(at..at, word.iter().copied());
            }
            _ if at < all.len() => all[at] = rng.byte(),
            _ => {}
        }
    }
}

/// The first header alone gets its checksum.
pub(crate) fn repair_header(bytes: &mut [u8]) {
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|b| u32::from(*b)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
