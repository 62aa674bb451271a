//! What a stream is: seen in its first bytes, since names lie.

use crate::archive::Archive;
use crate::compress::{Format, plain};
use crate::digest::is_hex;
use crate::extract::clean;
use anyhow::{Context, Result, bail};
use std::io;

/// Enough to see what an archive's first file is called.
pub(super) const PEEK: usize = 256 << 10;

/// What there is to be read.
pub(super) enum Kind {
    /// Images, in a tar.
    Archive(Format),
    /// A root file system, in a tar.
    Rootfs(Format),
}

impl Kind {
    /// By the first name in the archive: those of images' archives are no root's.
    pub(super) fn of(head: &[u8]) -> Result<Kind> {
        foreign(head)?;
        let format = Format::of(head);
        let mut tar = Archive::new(plain(format, head)?);
        loop {
            match tar.next() {
                Ok(Some(entry)) => {
                    let path = clean(&entry.path);
                    match path.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned()) {
                        None => {}
                        Some(first) if of_image(&first) => return Ok(Kind::Archive(format)),
                        Some(_) => return Ok(Kind::Rootfs(format)),
                    }
                }
                Ok(None) if tar.ended() => bail!("it is an archive with nothing in it"),
                Ok(None) => bail!("it is no archive"),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && head.len() < 512 => {
                    bail!("it is no archive")
                }
                Err(e) => return Err(e).context("it is no archive"),
            }
        }
    }
}

/// What others would read and we do not, by its magic number.
fn foreign(head: &[u8]) -> Result<()> {
    match head {
        [b'P', b'K', 3, 4, ..] => bail!("it is a zip archive, and no tar"),
        [b'B', b'Z', b'h', ..] => bail!("it is compressed by bzip2: pipe it in, through bzip2 -dc"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => bail!("it is compressed by xz: pipe it in, through xz -dc"),
        _ => Ok(()),
    }
}

fn of_image(first: &str) -> bool {
    let stem = first.split('.').next().unwrap_or_default();
    let stem = stem.strip_prefix("sha256:").unwrap_or(stem);
    let fixed = ["blobs", "index.json", "oci-layout", "manifest.json", "repositories"];
    fixed.contains(&first) || (stem.len() == 64 && is_hex(stem))
}
