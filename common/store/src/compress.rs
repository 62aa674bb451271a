//! How a layer or an archive is compressed: told by its first bytes, as media types lie.

use anyhow::{Context, Result};
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// The compressions that are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// None.
    Plain,
    /// RFC 1952; may be of several members.
    Gzip,
    /// RFC 8878; may be of several frames, skippable ones among them (zstd:chunked).
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

/// What is read at once of a compressed input.
const BUFFER: usize = 128 << 10;

/// Reads what is compressed as plain bytes.
pub fn plain<'a, R: Read + Send + 'a>(format: Format, input: R) -> Result<Box<dyn Read + Send + 'a>> {
    Ok(match format {
        Format::Plain => Box::new(input),
        Format::Gzip => Box::new(Gunzip::new(BufReader::with_capacity(BUFFER, input))),
        Format::Zstd => {
            let input = BufReader::with_capacity(BUFFER, input);
            Box::new(zstd::stream::read::Decoder::with_buffer(input).context("start zstd")?)
        }
    })
}

/// The first bytes, up to `most`, and the reader behind them; a pipe may give them in pieces.
pub fn peek<R: Read>(mut input: R, most: usize) -> io::Result<(Vec<u8>, R)> {
    let mut head = Vec::new();
    (&mut input).take(most as u64).read_to_end(&mut head)?;
    Ok((head, input))
}

/// Member after member. Zeros behind the last one are padding, as for gzip(1): tapes and some
/// writers leave them; anything else is an error.
struct Gunzip<R> {
    /// None once the end was reached, or an error was met.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gunzip<R> {
    fn new(input: R) -> Gunzip<R> {
        Gunzip { member: Some(GzDecoder::new(input)) }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            match member.read(buf) {
                Ok(0) if !buf.is_empty() => {}
                other => return other,
            }
            if let Some(ended) = self.member.take() {
                self.member = another(ended.into_inner())?.map(GzDecoder::new);
            }
        }
        Ok(0)
    }
}

/// The input at the start of one more member, if there is one.
fn another<R: BufRead>(mut input: R) -> io::Result<Option<R>> {
    let mut padded = false;
    loop {
        let bytes = match input.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        let zeros = bytes.iter().take_while(|b| **b == 0).count();
        match bytes.get(zeros) {
            Some(0x1f) if zeros == 0 && !padded => return Ok(Some(input)),
            Some(_) => {
                let text = "something that is not gzip follows the gzip data";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            None => input.consume(zeros),
        }
        padded = true;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut w = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        w.write_all(bytes).unwrap();
        w.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 1).unwrap()
    }

    /// A skippable frame, as zstd:chunked has for its table of contents.
    fn skip(bytes: &[u8]) -> Vec<u8> {
        [&[0x5e, 0x2a, 0x4d, 0x18][..], &(bytes.len() as u32).to_le_bytes(), bytes].concat()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        plain(Format::of(bytes), bytes).unwrap().read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn members_and_frames() {
        let (a, b) = (vec![b'a'; 300_000], b"b".to_vec());
        let both = [&a[..], &b].concat();
        assert_eq!(read(&[gzip(&a), gzip(&b)].concat()).unwrap(), both);
        assert_eq!(read(&[gzip(&a), gzip(b""), gzip(&b), vec![0; 200_000]].concat()).unwrap(), both);
        assert_eq!(
            read(&[zstd(&a), skip(b"x"), zstd(b""), zstd(&b), skip(&[7; 99])].concat()).unwrap(),
            both
        );
        assert_eq!(read(&[skip(b""), zstd(&both)].concat()).unwrap(), both);
        assert_eq!(read(b"").unwrap(), b"");
    }

    #[test]
    fn what_is_cut_or_damaged_is_an_error() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(|i| i.wrapping_mul(i).to_le_bytes()).collect();
        for whole in [gzip(&text), zstd(&text), [gzip(b"x"), gzip(&text)].concat()] {
            for cut in [1, 3, 8, 100, whole.len() / 2] {
                assert!(read(&whole[..whole.len() - cut]).is_err(), "{cut}");
            }
            for rest in [&b"garbage"[..], &[0, 0, 1], &[0x1f, 0x8b], &[0, 0x1f, 0x8b]] {
                assert!(read(&[&whole, rest].concat()).is_err(), "{rest:?}");
            }
            let mut wrong = whole.clone();
            let at = wrong.len() - 6;
            wrong[at] ^= 1;
            assert!(read(&wrong).is_err() || Format::of(&whole) == Format::Zstd);
        }
    }
}
