//! Files with holes (GNU tar's manual, "Storing Sparse Files"): the old form in the header and the
//! blocks after it, PAX forms 0.0 and 0.1 in the records, form 1.0 before the data.

use super::{Archive, Entry, bad, field, pax};
use std::io::{self, BufRead, Read};

/// More pieces than any honest file has; a piece takes 16 bytes of memory.
const MOST: usize = 1 << 20;

/// Where the data of a file with holes belongs.
#[derive(Debug, PartialEq)]
pub struct Sparse {
    /// Bytes of the file.
    pub size: u64,
    /// Offset and length of each piece of data, in order, apart from each other.
    pub pieces: Vec<(u64, u64)>,
    /// The file's name where the header has a made-up one.
    pub(super) name: Option<Vec<u8>>,
}

/// What the headers, and what stands before the data, say; `None`: it has no holes.
pub(super) fn of<R: BufRead>(entry: &Entry, archive: &mut Archive<R>) -> io::Result<Option<Sparse>> {
    let record = |key: &str| entry.record(&format!("GNU.sparse.{key}"));
    let mut sparse = Sparse { size: 0, pieces: Vec::new(), name: None };
    if entry.kind().is_gnu_sparse() {
        old(entry, archive, &mut sparse)?;
    } else if !entry.kind().is_file() {
        return Ok(None);
    } else if let Some(major) = record("major") {
        if (major, record("minor")) != (b"1", Some(b"0")) {
            return Err(bad("an unknown form of sparse file".into()));
        }
        sparse.size = size(record("realsize"))?;
        in_data(archive, &mut sparse)?;
    } else if let Some(map) = record("map") {
        sparse.size = size(record("size"))?;
        add_all(&mut sparse, map.split(|b| *b == b','))?;
    } else if record("numblocks").is_some() {
        sparse.size = size(record("size"))?;
        let of_piece = |k: &[u8]| [&b"GNU.sparse.offset"[..], b"GNU.sparse.numbytes"].contains(&k);
        let all: &[pax::Record] = &entry.pax;
        add_all(&mut sparse, all.iter().filter(|(k, _)| of_piece(k)).map(|(_, v)| v.as_slice()))?;
    } else {
        return Ok(None);
    }
    sparse.name = record("name").map(<[u8]>::to_vec);
    check(&sparse, archive.left)?;
    Ok(Some(sparse))
}

fn wrong() -> io::Error {
    bad("malformed map of a sparse file".into())
}

fn size(text: Option<&[u8]>) -> io::Result<u64> {
    text.and_then(field::decimal).and_then(|n| n.try_into().ok()).ok_or_else(wrong)
}

fn add(sparse: &mut Sparse, offset: Option<i64>, length: Option<i64>) -> io::Result<()> {
    let value = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).ok_or_else(wrong);
    if sparse.pieces.len() == MOST {
        return Err(bad(format!("a sparse file in more than {MOST} pieces")));
    }
    sparse.pieces.push((value(offset)?, value(length)?));
    Ok(())
}

fn add_all<'a>(sparse: &mut Sparse, mut numbers: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    while let Some(offset) = numbers.next() {
        let length = numbers.next().ok_or_else(wrong)?;
        add(sparse, field::decimal(offset), field::decimal(length))?;
    }
    Ok(())
}

/// Pieces of 24 bytes, four in the header and 21 in each block that follows.
fn old<R: BufRead>(entry: &Entry, archive: &mut Archive<R>, sparse: &mut Sparse) -> io::Result<()> {
    let header = entry.header.as_bytes();
    sparse.size = field::number(&header[483..495]).and_then(|n| n.try_into().ok()).ok_or_else(wrong)?;
    let mut block = [0; 512];
    let (mut pieces, mut more) = (&header[386..482], header[482] != 0);
    loop {
        for piece in pieces.chunks_exact(24).filter(|p| p[0] != 0) {
            add(sparse, field::number(&piece[..12]), field::number(&piece[12..]))?;
        }
        if !more {
            return Ok(());
        }
        archive.input.read_exact(&mut block)?;
        (pieces, more) = (&block[..504], block[504] != 0);
    }
}

/// Decimal numbers, one a line: how many pieces, then their offsets and lengths; padded to a block.
fn in_data<R: BufRead>(archive: &mut Archive<R>, sparse: &mut Sparse) -> io::Result<()> {
    let before = archive.left;
    let count = line(archive)?;
    for _ in 0..count {
        let (offset, length) = (line(archive)?, line(archive)?);
        add(sparse, Some(offset), Some(length))?;
    }
    let padding = (512 - (before - archive.left) % 512) % 512;
    let mut rest = [0; 512];
    archive.read_exact(&mut rest[..padding as usize])
}

fn line<R: BufRead>(archive: &mut Archive<R>) -> io::Result<i64> {
    let mut text = Vec::new();
    loop {
        let mut byte = [0];
        archive.read_exact(&mut byte)?;
        match byte {
            [b'\n'] => return field::decimal(&text).ok_or_else(wrong),
            _ if text.len() > 20 => return Err(wrong()),
            [byte] => text.push(byte),
        }
    }
}

/// In order, apart, within the file, and all of the data.
fn check(sparse: &Sparse, data: u64) -> io::Result<()> {
    let (mut end, mut sum) = (0_u64, 0_u64);
    for (offset, length) in &sparse.pieces {
        let stop = offset.checked_add(*length).filter(|stop| *offset >= end && *stop <= sparse.size);
        end = stop.ok_or_else(wrong)?;
        sum += length;
    }
    if sum != data {
        return Err(bad(format!("a sparse file with {data} bytes of data, whose map says {sum}")));
    }
    Ok(())
}
