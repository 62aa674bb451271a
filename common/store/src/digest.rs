//! Digests (image-spec descriptor.md): sha256 only, which is all that images use.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::fmt;
use std::io::{self, Read, Write};

/// `sha256:` and 64 hexadecimal digits, lower case: checked, so that it is one safe path component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// Of a text such as `sha256:ab...`.
    pub fn parse(text: &str) -> Result<Digest> {
        let Some(hex) = text.strip_prefix("sha256:") else {
            bail!("digest '{text}' is not sha256:HEX");
        };
        if hex.len() != 64 || !is_hex(hex) {
            bail!("digest '{text}' is not sha256: and 64 hexadecimal digits");
        }
        Ok(Digest(hex.to_owned()))
    }

    /// Of bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The digits alone.
    pub fn hex(&self) -> &str {
        &self.0
    }

    /// The chain id (image-spec config.md) of this layer on top of a chain.
    pub fn chain(below: Option<&Digest>, diff_id: &Digest) -> Digest {
        match below {
            None => diff_id.clone(),
            Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
        }
    }
}

/// Whether a text has only lower-case hexadecimal digits.
pub fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = String;
    fn try_from(text: String) -> std::result::Result<Digest, String> {
        Digest::parse(&text).map_err(|e| e.to_string())
    }
}

impl From<Digest> for String {
    fn from(d: Digest) -> String {
        d.to_string()
    }
}

/// sha256 and the count of what went by.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    hash: sha2::Sha256,
    size: u64,
}

impl Hasher {
    /// Takes some bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// How many bytes there were.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of them all.
    pub fn finish(self) -> Digest {
        let mut hex = String::with_capacity(64);
        for byte in self.hash.finalize() {
            hex.push_str(&format!("{byte:02x}"));
        }
        Digest(hex)
    }
}

/// Hashes what is read or written through it.
#[derive(Debug)]
pub struct Hashing<T> {
    /// The reader or writer.
    pub inner: T,
    /// Of all that went by.
    pub hasher: Hasher,
}

impl<T> Hashing<T> {
    /// Around a reader or a writer.
    pub fn new(inner: T) -> Hashing<T> {
        Hashing { inner, hasher: Hasher::default() }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn digests() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(Digest::parse(empty).unwrap(), Digest::of(b""));
        for bad in ["", "sha256:", "sha512:00", "sha256:../../x", &empty.to_uppercase(), &empty[..70]] {
            assert!(Digest::parse(bad).is_err(), "{bad}");
        }
    }
}
