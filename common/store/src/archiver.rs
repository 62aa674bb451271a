//! Writes a tar archive (pax(1)): ustar headers, and PAX records for what those cannot hold. What
//! goes in alone decides what comes out: no moment, no name of a user, no inode.

use std::io::{self, Read, Write};
use sys::walk::{Kind, Meta};

/// Extended attributes by name.
pub type Xattrs = [(Vec<u8>, Vec<u8>)];

/// What the headers of one entry say.
pub struct Head<'a> {
    /// Its name in the archive, without a leading slash; a directory's ends in one.
    pub path: &'a [u8],
    /// Type, mode, owner, time, size and device number.
    pub meta: Meta,
    /// Target of a symbolic link; with `hard`, the name of the entry that this is one more name of.
    pub link: &'a [u8],
    /// Whether it is a hard link.
    pub hard: bool,
    /// Extended attributes, sorted.
    pub xattrs: &'a Xattrs,
}

/// An archive being written.
pub struct Archiver<W> {
    out: W,
}

/// The largest numbers that fit a header's field of 8 and of 12 bytes.
const SMALL: u64 = 0o777_7777;
const LARGE: u64 = 0o777_7777_7777;

impl<W: Write> Archiver<W> {
    /// At the start of an archive.
    pub fn new(out: W) -> Archiver<W> {
        Archiver { out }
    }

    /// Where it goes.
    pub fn out(&self) -> &W {
        &self.out
    }

    /// The headers of an entry; data follow for a regular file alone.
    pub fn head(&mut self, head: &Head) -> io::Result<()> {
        let meta = &head.meta;
        let kind = if head.hard { b'1' } else { flag(meta.kind)? };
        let size = if kind == b'0' { meta.size } else { 0 };
        let mut pax = Vec::new();
        let path = field(&mut pax, "path", head.path, 100);
        let link = field(&mut pax, "linkpath", head.link, 100);
        let mtime = time(&mut pax, meta.mtime);
        let uid = number(&mut pax, "uid", meta.owner.0.into(), SMALL);
        let gid = number(&mut pax, "gid", meta.owner.1.into(), SMALL);
        let size = number(&mut pax, "size", size, LARGE);
        for (key, value) in head.xattrs {
            if key.contains(&b'=') {
                let key = String::from_utf8_lossy(key).into_owned();
                return Err(io::Error::other(format!(
                    "attribute {key}: an archive can hold no = in its name"
                )));
            }
            pax.push(([b"SCHILY.xattr.", key.as_slice()].concat(), value.clone()));
        }
        if !pax.is_empty() {
            pax.sort();
            let text: Vec<u8> = pax.iter().flat_map(|(key, value)| record(key, value)).collect();
            let length = number(&mut Vec::new(), "size", text.len() as u64, LARGE);
            self.out.write_all(&header(b"PaxHeaders/0", b"", b'x', 0o644, [0, 0, length, 0], (0, 0)))?;
            self.data(&mut text.as_slice(), text.len() as u64)?;
        }
        let block = header(path, link, kind, meta.mode, [uid, gid, size, mtime], meta.device);
        self.out.write_all(&block)
    }

    /// The data of a regular file: `size` bytes, as its header has it; fewer is an error.
    pub fn data(&mut self, input: &mut impl Read, size: u64) -> io::Result<()> {
        let mut buf = vec![0; (128 << 10).min(size) as usize];
        let mut left = size;
        while left > 0 {
            let most = left.min(buf.len() as u64) as usize;
            match input.read(&mut buf[..most]) {
                Ok(0) => {
                    let text = format!("it changed meanwhile: {} of {size} bytes", size - left);
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
                Ok(n) => {
                    self.out.write_all(&buf[..n])?;
                    left -= n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.out.write_all(&[0; 512][..(512 - size % 512) as usize % 512])
    }

    /// The end mark; gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 1024])?;
        Ok(self.out)
    }
}

fn flag(kind: Kind) -> io::Result<u8> {
    Ok(match kind {
        Kind::File => b'0',
        Kind::Symlink => b'2',
        Kind::Char => b'3',
        Kind::Block => b'4',
        Kind::Dir => b'5',
        Kind::Fifo => b'6',
        Kind::Socket => return Err(io::Error::other("an archive holds no sockets")),
    })
}

type Pax = Vec<(Vec<u8>, Vec<u8>)>;

/// What the header's field holds; where that is not all, a record does. Non-ASCII is always a
/// record's: of the field no charset is said.
fn field<'a>(pax: &mut Pax, key: &str, text: &'a [u8], most: usize) -> &'a [u8] {
    if text.len() <= most && text.is_ascii() {
        return text;
    }
    pax.push((key.into(), text.to_vec()));
    let ascii = text.iter().position(|b| !b.is_ascii()).unwrap_or(text.len());
    &text[..ascii.min(most)]
}

fn number(pax: &mut Pax, key: &str, value: u64, most: u64) -> u64 {
    if value <= most {
        return value;
    }
    pax.push((key.into(), value.to_string().into_bytes()));
    0
}

fn time(pax: &mut Pax, (seconds, nanos): (i64, u32)) -> u64 {
    match u64::try_from(seconds) {
        Ok(whole) if nanos == 0 && whole <= LARGE => whole,
        whole => {
            pax.push(("mtime".into(), decimal(seconds, nanos).into_bytes()));
            whole.ok().filter(|w| *w <= LARGE).unwrap_or(0)
        }
    }
}

/// The kernel counts nanoseconds forward from a second also before the epoch; a decimal fraction
/// counts from zero.
fn decimal(seconds: i64, nanos: u32) -> String {
    let (sign, whole, part) = match (seconds < 0, nanos) {
        (false, n) => ("", seconds.unsigned_abs(), n),
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, n) => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - n),
    };
    let fraction = format!("{part:09}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// `LENGTH KEY=VALUE\n`, the length counting its own digits too.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// One block: `numbers` are user, group, size and time.
fn header(name: &[u8], link: &[u8], kind: u8, mode: u32, numbers: [u64; 4], device: (u32, u32)) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    let [uid, gid, size, mtime] = numbers;
    put(0, name);
    put(100, format!("{mode:07o}").as_bytes());
    put(108, format!("{uid:07o}").as_bytes());
    put(116, format!("{gid:07o}").as_bytes());
    put(124, format!("{size:011o}").as_bytes());
    put(136, format!("{mtime:011o}").as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link);
    put(257, b"ustar\x0000");
    put(329, format!("{:07o}", device.0).as_bytes());
    put(337, format!("{:07o}", device.1).as_bytes());
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::archive::Archive;

    fn meta() -> Meta {
        Meta {
            kind: Kind::File,
            mode: 0o4755,
            owner: (7, 3_000_000_000),
            size: 0,
            mtime: (-2, 250_000_000),
            links: 1,
            inode: 9,
            disk: 0,
            device: (0, 0),
        }
    }

    #[test]
    fn read_again() {
        let long = [vec![b'd'; 120], vec![b'/'], "\u{e4}\n".as_bytes().to_vec(), vec![0xff]].concat();
        let xattrs = [(b"security.capability".to_vec(), vec![1, 0, b'\n', 2]), (b"user.x".to_vec(), vec![])];
        let mut tar = Archiver::new(Vec::new());
        let head = |path, link, hard, meta: Meta| Head {
            path,
            link,
            hard,
            meta,
            xattrs: if hard { &[] } else { &xattrs },
        };
        tar.head(&head(&long, b"", false, Meta { size: 3, ..meta() })).unwrap();
        tar.data(&mut &b"abc"[..], 3).unwrap();
        tar.head(&head(b"hard", &long, true, meta())).unwrap();
        tar.head(&head(b"dev", b"", false, Meta { kind: Kind::Block, device: (259, 300_000), ..meta() }))
            .unwrap();
        let bytes = tar.finish().unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let mut archive = Archive::new(bytes.as_slice());
        let file = archive.next().unwrap().unwrap();
        assert_eq!((file.path.as_slice(), file.size, file.mode().unwrap()), (long.as_slice(), 3, 0o4755));
        assert_eq!((file.owner().unwrap(), file.mtime().unwrap()), ((7, 3_000_000_000), (-2, 250_000_000)));
        assert_eq!(file.record("SCHILY.xattr.security.capability").unwrap(), [1, 0, b'\n', 2]);
        assert_eq!(file.record("SCHILY.xattr.user.x"), None);
        let mut data = Vec::new();
        archive.read_to_end(&mut data).unwrap();
        assert_eq!(data, b"abc");
        let hard = archive.next().unwrap().unwrap();
        assert!(hard.kind().is_hard_link() && hard.link == long);
        let device = archive.next().unwrap().unwrap();
        assert!(device.kind().is_block_special() && device.device().unwrap() == (259, 300_000));
        assert!(archive.next().unwrap().is_none() && archive.ended());
    }

    #[test]
    fn times_and_records() {
        for (time, text) in [
            ((1, 500_000_000), "1.5"),
            ((-2, 500_000_000), "-1.5"),
            ((-1, 750_000_000), "-0.25"),
            ((-3, 0), "-3"),
            ((7, 1), "7.000000001"),
        ] {
            assert_eq!(decimal(time.0, time.1), text);
        }
        assert_eq!(record(b"a", b"b"), b"6 a=b\n");
        assert_eq!(record(b"abc", b"d"), b"8 abc=d\n");
        assert_eq!(record(b"abcd", b"de"), b"11 abcd=de\n");
    }

    #[test]
    fn short_data_is_an_error() {
        let mut tar = Archiver::new(Vec::new());
        assert!(tar.data(&mut &b"ab"[..], 3).is_err());
    }
}
