//! How a layer or an archive is compressed: told by its first bytes, as media types lie.

use anyhow::{Result, bail};
use flate2::read::MultiGzDecoder;
use std::io::Read;

/// The compressions that are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// None.
    Plain,
    /// RFC 1952; may be of several members.
    Gzip,
    /// RFC 8878: known, and not read.
    Zstd,
}

impl Format {
    /// By the magic number.
    pub fn of(head: &[u8]) -> Format {
        match head {
            [0x1f, 0x8b, ..] => Format::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::Zstd,
            // A skippable frame first.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Format::Zstd,
            _ => Format::Plain,
        }
    }
}

/// Reads what is compressed as plain bytes.
pub fn plain<'a, R: Read + Send + 'a>(format: Format, input: R) -> Result<Box<dyn Read + Send + 'a>> {
    match format {
        Format::Plain => Ok(Box::new(input)),
        Format::Gzip => Ok(Box::new(MultiGzDecoder::new(std::io::BufReader::with_capacity(64 << 10, input)))),
        Format::Zstd => bail!("zstd is not supported yet"),
    }
}

/// The first bytes, up to `most`, and the reader behind them; a pipe may give them in pieces.
pub fn peek<R: Read>(mut input: R, most: usize) -> std::io::Result<(Vec<u8>, R)> {
    let mut head = Vec::new();
    (&mut input).take(most as u64).read_to_end(&mut head)?;
    Ok((head, input))
}
