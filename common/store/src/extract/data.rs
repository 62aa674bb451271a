//! The data of a file, from the archive's buffer.

use crate::archive::Sparse;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, BufRead, Seek, SeekFrom, Write};

/// At most so many bytes of the data; that of an entry ends by itself.
pub(super) fn copy(data: &mut impl BufRead, file: &mut File, mut most: u64) -> Result<()> {
    while most > 0 {
        let bytes = match data.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other.context("read the archive")?,
        };
        let n = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        if n == 0 {
            break;
        }
        file.write_all(&bytes[..n]).context("write it")?;
        data.consume(n);
        most -= n as u64;
    }
    Ok(())
}

/// Holes stay holes.
pub(super) fn holes(data: &mut impl BufRead, file: &mut File, sparse: &Sparse) -> Result<()> {
    for (offset, length) in &sparse.pieces {
        file.seek(SeekFrom::Start(*offset)).context("lseek")?;
        copy(data, file, *length)?;
    }
    file.set_len(sparse.size).with_context(|| format!("ftruncate to {} bytes", sparse.size))
}
