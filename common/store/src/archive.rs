//! Entries of a tar archive (pax(1), GNU long names), read as a stream.
//!
//! The tar crate reads the headers' fields. Its own iterator is not used because it ends PAX
//! records at newlines, which binary extended attributes hold, and because it cannot tell an
//! archive that stops between two entries from one that ends.

use std::io::{self, Read};
use tar::{EntryType, Header};

/// More than any long name or set of extended attributes.
const LIMIT: u64 = 1 << 20;

/// An archive being read. Reading from it gives the data of the current entry.
pub struct Archive<R> {
    input: R,
    left: u64,
    padding: u64,
    ended: bool,
}

/// What the headers say of one entry.
pub struct Entry {
    /// The last header, with owner, mode, time and device numbers.
    pub header: Header,
    /// Its name as the archive has it.
    pub path: Vec<u8>,
    /// Target of a link.
    pub link: Vec<u8>,
    /// Bytes of data.
    pub size: u64,
    /// PAX records, in order.
    pub pax: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// The entry's type.
    pub fn kind(&self) -> EntryType {
        self.header.entry_type()
    }

    /// The last PAX record of a key.
    pub fn record(&self, key: &str) -> Option<&[u8]> {
        self.pax.iter().rev().find(|(k, _)| k == key.as_bytes()).map(|(_, v)| v.as_slice())
    }

    /// User and group.
    pub fn owner(&self) -> io::Result<(u32, u32)> {
        let old = self.header.as_old();
        let one = |key, field: &[u8], value: fn(&Header) -> io::Result<u64>| {
            let id = match self.record(key) {
                Some(text) => decimal(text)?,
                None if blank(field) => 0,
                None => value(&self.header)?,
            };
            u32::try_from(id).map_err(|_| bad(format!("{key} {id} is too large")))
        };
        Ok((one("uid", &old.uid, Header::uid)?, one("gid", &old.gid, Header::gid)?))
    }

    /// Permission bits.
    pub fn mode(&self) -> io::Result<u32> {
        if blank(&self.header.as_old().mode) {
            return Ok(if self.kind().is_dir() { 0o755 } else { 0o644 });
        }
        Ok(self.header.mode()? & 0o7777)
    }

    /// Major and minor number of a device.
    pub fn device(&self) -> io::Result<(u32, u32)> {
        let of = |number: io::Result<Option<u32>>| number.map(Option::unwrap_or_default);
        Ok((of(self.header.device_major())?, of(self.header.device_minor())?))
    }

    /// Modification time: seconds, nanoseconds.
    pub fn mtime(&self) -> io::Result<(i64, u32)> {
        match self.record("mtime") {
            Some(text) => std::str::from_utf8(text)
                .ok()
                .and_then(seconds)
                .ok_or_else(|| bad("mtime is not a number".into())),
            None if blank(&self.header.as_old().mtime) => Ok((0, 0)),
            None => Ok((self.header.mtime()? as i64, 0)),
        }
    }
}

fn header_only(kind: EntryType) -> bool {
    kind.is_hard_link()
        || kind.is_symlink()
        || kind.is_character_special()
        || kind.is_block_special()
        || kind.is_dir()
        || kind.is_fifo()
}

fn blank(field: &[u8]) -> bool {
    field.iter().all(|b| *b == 0 || *b == b' ')
}

fn decimal(text: &[u8]) -> io::Result<u64> {
    let number = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
    number.ok_or_else(|| bad("a PAX record is not a number".into()))
}

/// `-1.5` is 2 seconds before the epoch and half a second after that.
fn seconds(text: &str) -> Option<(i64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: u32 = format!("{fraction:0<9}")[..9].parse().ok()?;
    if whole.starts_with('-') && nanos > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos));
    }
    Some((seconds, nanos))
}

fn bad(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl<R: Read> Archive<R> {
    /// From the start of an archive.
    pub fn new(input: R) -> Archive<R> {
        Archive { input, left: 0, padding: 0, ended: false }
    }

    /// The input, wherever it stands.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Whether the mark that ends an archive, a block of zeros, was seen.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The next entry; what was left of the last one's data is passed over.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        let (mut path, mut link, mut pax) = (None, None, Vec::new());
        loop {
            let Some(header) = self.header()? else {
                if path.is_some() || link.is_some() || !pax.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                return Ok(None);
            };
            let kind = header.entry_type();
            self.begin(header.entry_size()?);
            match kind {
                EntryType::GNULongName => path = Some(self.name()?),
                EntryType::GNULongLink => link = Some(self.name()?),
                EntryType::XHeader => pax = records(&self.small()?)?,
                // Comments, as git writes them; nothing that a layer needs.
                EntryType::XGlobalHeader => self.skip()?,
                _ => {
                    let mut entry =
                        Entry { path: Vec::new(), link: Vec::new(), size: self.left, header, pax };
                    if let Some(size) = entry.record("size") {
                        entry.size = decimal(size)?;
                        self.begin(entry.size);
                    }
                    if header_only(kind) {
                        // Some writers give a link the size of its target, without the data.
                        entry.size = 0;
                        self.begin(0);
                    }
                    let own = || entry.header.path_bytes().into_owned();
                    entry.path = entry.record("path").map(<[u8]>::to_vec).or(path).unwrap_or_else(own);
                    let own = || entry.header.link_name_bytes().unwrap_or_default().into_owned();
                    entry.link = entry.record("linkpath").map(<[u8]>::to_vec).or(link).unwrap_or_else(own);
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// Reads to the end of the input, so that whoever hashes it has seen it all.
    pub fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.input, &mut io::sink()).map(drop)
    }

    /// All data of the current entry, which must be small.
    pub fn small(&mut self) -> io::Result<Vec<u8>> {
        if self.left > LIMIT {
            return Err(bad(format!("an entry of {} bytes where at most {LIMIT} make sense", self.left)));
        }
        let mut bytes = Vec::with_capacity(self.left as usize);
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn name(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = self.small()?;
        if let Some(end) = bytes.iter().position(|b| *b == 0) {
            bytes.truncate(end);
        }
        Ok(bytes)
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = (512 - size % 512) % 512;
    }

    fn skip(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink())?;
        let padding = self.padding;
        self.padding = 0;
        if io::copy(&mut (&mut self.input).take(padding), &mut io::sink())? < padding {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn header(&mut self) -> io::Result<Option<Header>> {
        if self.ended {
            return Ok(None);
        }
        self.skip()?;
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut got = 0;
        while got < block.len() {
            match self.input.read(&mut block[got..]) {
                Ok(0) if got == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if block.iter().all(|b| *b == 0) {
            self.ended = true;
            return Ok(None);
        }
        let sum: u32 = block[..148].iter().chain(&block[156..]).map(|b| u32::from(*b)).sum::<u32>() + 8 * 32;
        if header.cksum().ok() != Some(sum) {
            return Err(bad("not a tar header (checksum)".into()));
        }
        Ok(Some(header))
    }
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = self.left.min(buf.len() as u64) as usize;
        if most == 0 {
            return Ok(0);
        }
        match self.input.read(&mut buf[..most])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.left -= n as u64;
                Ok(n)
            }
        }
    }
}

/// `LENGTH KEY=VALUE\n`, the length counting all of it: a value may hold anything.
fn records(mut bytes: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let wrong = || bad("malformed PAX record".into());
    let mut all = Vec::new();
    while bytes.first().is_some_and(|b| *b != 0) {
        let space = bytes.iter().position(|b| *b == b' ').ok_or_else(wrong)?;
        let length = decimal(&bytes[..space])? as usize;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pax_values_hold_newlines() {
        let all = records(b"13 a.b=x\ny=z\n5 c=\n").unwrap();
        assert_eq!(all, [(b"a.b".to_vec(), b"x\ny=z".to_vec()), (b"c".to_vec(), vec![])]);
        for wrong in [&b"99 a=b\n"[..], b"3 a\n", b"x a=b\n", b"6 a=bc"] {
            assert!(records(wrong).is_err());
        }
    }

    #[test]
    fn times() {
        assert_eq!(seconds("1.5"), Some((1, 500_000_000)));
        assert_eq!(seconds("-1.5"), Some((-2, 500_000_000)));
        assert_eq!(seconds("-0.25"), Some((-1, 750_000_000)));
        assert_eq!(seconds("7.1234567891"), Some((7, 123_456_789)));
        assert_eq!(seconds("x"), None);
    }
}
