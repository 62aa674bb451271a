//! Entries of a tar archive (pax(1); GNU long names, large numbers and sparse files), read as a
//! stream.
//!
//! The tar crate knows the headers' layout. Its own iterator is not used because it ends PAX
//! records at newlines, which binary extended attributes hold, and because it cannot tell an
//! archive that stops between two entries from one that ends.

mod field;
mod pax;
mod sparse;

use field::{blank, number};
use std::io::{self, BufRead, BufReader, Read};
use tar::{EntryType, Header};

pub use sparse::Sparse;

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
    header: Header,
    /// Its name as the archive has it.
    pub path: Vec<u8>,
    /// Target of a link.
    pub link: Vec<u8>,
    /// Bytes of data in the archive.
    pub size: u64,
    /// Where they belong, if the file has holes.
    pub sparse: Option<Sparse>,
    /// PAX records, in order.
    pax: Vec<pax::Record>,
}

impl Entry {
    /// The entry's type.
    pub fn kind(&self) -> EntryType {
        self.header.entry_type()
    }

    /// The last PAX record of a key; an empty one takes back what was said before.
    pub(crate) fn record(&self, key: &str) -> Option<&[u8]> {
        pax::last(&self.pax, key)
    }

    /// User and group, as numbers; names are of no machine but the one that wrote them.
    pub fn owner(&self) -> io::Result<(u32, u32)> {
        let old = self.header.as_old();
        let one = |key, field: &[u8]| {
            let id = match self.record(key) {
                Some(text) => field::decimal(text).ok_or_else(|| not_a_number(key))?,
                None => number(field).ok_or_else(|| not_a_number(key))?,
            };
            // The last one means "as it is" to the kernel, and is nobody's.
            let fits = u32::try_from(id).ok().filter(|id| *id != u32::MAX);
            fits.ok_or_else(|| bad(format!("{key} {id} is out of range")))
        };
        Ok((one("uid", &old.uid)?, one("gid", &old.gid)?))
    }

    /// Permission bits.
    pub fn mode(&self) -> io::Result<u32> {
        let field = &self.header.as_old().mode;
        if blank(field) {
            return Ok(if self.kind().is_dir() { 0o755 } else { 0o644 });
        }
        Ok(number(field).ok_or_else(|| not_a_number("mode"))? as u32 & 0o7777)
    }

    /// Major and minor number of a device.
    pub fn device(&self) -> io::Result<(u32, u32)> {
        let bytes = self.header.as_bytes();
        let one = |key, field: &[u8]| {
            let n = number(field).ok_or_else(|| not_a_number(key))?;
            u32::try_from(n).map_err(|_| bad(format!("{key} {n} is out of range")))
        };
        Ok((one("device major", &bytes[329..337])?, one("device minor", &bytes[337..345])?))
    }

    /// Modification time: seconds, nanoseconds.
    pub fn mtime(&self) -> io::Result<(i64, u32)> {
        match self.record("mtime") {
            Some(text) => {
                std::str::from_utf8(text).ok().and_then(pax::seconds).ok_or_else(|| not_a_number("mtime"))
            }
            None => Ok((number(&self.header.as_old().mtime).ok_or_else(|| not_a_number("mtime"))?, 0)),
        }
    }

    /// Extended attributes, names and values.
    pub fn xattrs(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        pax::xattrs(&self.pax)
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

fn bad(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn not_a_number(what: &str) -> io::Error {
    bad(format!("{what} is not a number"))
}

impl<R: Read> Archive<BufReader<R>> {
    /// From the start of an archive.
    pub fn new(input: R) -> Archive<BufReader<R>> {
        Archive::over(BufReader::with_capacity(64 << 10, input))
    }

    /// The input, wherever it stands; all of it was read if the archive was drained.
    pub fn into_inner(self) -> R {
        self.input.into_inner()
    }
}

impl<R: BufRead> Archive<R> {
    /// From the start of an archive, whose data is handed on as it stands in the reader's buffer.
    pub fn over(input: R) -> Archive<R> {
        Archive { input, left: 0, padding: 0, ended: false }
    }

    /// Whether the mark that ends an archive, a block of zeros, was seen.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The next entry; what was left of the last one's data is passed over.
    #[expect(clippy::should_implement_trait, reason = "an entry's data is read before the next one")]
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
            let size = number(&header.as_old().size).ok_or_else(|| not_a_number("size"))?;
            self.begin(u64::try_from(size).map_err(|_| bad(format!("size {size} is out of range")))?);
            match kind {
                EntryType::GNULongName => path = Some(self.name()?),
                EntryType::GNULongLink => link = Some(self.name()?),
                EntryType::XHeader => pax = pax::records(&self.small()?)?,
                // Comments, as git writes them; nothing that a layer needs.
                EntryType::XGlobalHeader => self.skip()?,
                _ => return self.entry(header, path, link, pax).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header: Header,
        path: Option<Vec<u8>>,
        link: Option<Vec<u8>>,
        pax: Vec<pax::Record>,
    ) -> io::Result<Entry> {
        let kind = header.entry_type();
        let mut entry = Entry { path: Vec::new(), link: Vec::new(), size: 0, sparse: None, header, pax };
        if let Some(size) = entry.record("size") {
            let size = field::decimal(size).and_then(|n| u64::try_from(n).ok());
            self.begin(size.ok_or_else(|| not_a_number("size"))?);
        }
        if header_only(kind) {
            // Some writers give a link the size of its target, without the data.
            self.begin(0);
        }
        entry.sparse = sparse::of(&entry, self)?;
        entry.size = self.left;
        let own = || entry.header.path_bytes().into_owned();
        let name = entry.sparse.as_mut().and_then(|s| s.name.take());
        let name = name.or_else(|| entry.record("path").map(<[u8]>::to_vec));
        entry.path = name.or(path).unwrap_or_else(own);
        let own = || entry.header.link_name_bytes().unwrap_or_default().into_owned();
        entry.link = entry.record("linkpath").map(<[u8]>::to_vec).or(link).unwrap_or_else(own);
        Ok(entry)
    }

    /// Reads to the end of the input, so that whoever hashes it has seen it all.
    pub fn drain(&mut self) -> io::Result<()> {
        loop {
            match fill(&mut self.input)?.len() {
                0 => return Ok(()),
                n => self.input.consume(n),
            }
        }
    }

    /// All data of the current entry, which must be small.
    fn small(&mut self) -> io::Result<Vec<u8>> {
        if self.left > LIMIT {
            return Err(bad(format!("a header of {} bytes where at most {LIMIT} make sense", self.left)));
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
        pass(&mut self.input, self.left)?;
        pass(&mut self.input, self.padding)?;
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    fn header(&mut self) -> io::Result<Option<Header>> {
        if self.ended {
            return Ok(None);
        }
        self.skip()?;
        if fill(&mut self.input)?.is_empty() {
            return Ok(None);
        }
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        self.input.read_exact(block).map_err(|e| match e.kind() {
            // Without words of the buffer.
            io::ErrorKind::UnexpectedEof => io::ErrorKind::UnexpectedEof.into(),
            _ => e,
        })?;
        if block.iter().all(|b| *b == 0) {
            self.ended = true;
            return Ok(None);
        }
        if !field::checksum_is_right(block) {
            return Err(bad("not a tar header (checksum)".into()));
        }
        Ok(Some(header))
    }
}

/// What the reader has, after reading where it has nothing; empty at the end.
fn fill<R: BufRead>(input: &mut R) -> io::Result<&[u8]> {
    loop {
        match input.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
            Ok(_) => break,
        }
    }
    input.fill_buf()
}

fn pass(input: &mut impl BufRead, mut bytes: u64) -> io::Result<()> {
    while bytes > 0 {
        match fill(input)?.len() {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                let n = bytes.min(n as u64);
                input.consume(n as usize);
                bytes -= n;
            }
        }
    }
    Ok(())
}

/// The data of the current entry; an input that ends within it is an error.
impl<R: BufRead> BufRead for Archive<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let bytes = fill(&mut self.input)?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(&bytes[..bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))])
    }

    fn consume(&mut self, n: usize) {
        self.input.consume(n);
        self.left -= n as u64;
    }
}

impl<R: BufRead> Read for Archive<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        self.consume(n);
        Ok(n)
    }
}
