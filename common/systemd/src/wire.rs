//! Values of D-Bus as bytes (D-Bus specification, Marshaling), in the order of bytes of this machine.

/// Why some words are no value of a signature.
pub type Wrong = String;

/// Bytes under way: every value is aligned from the beginning.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// To the next multiple.
    pub fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    /// A number of 32 bits.
    pub fn u32(&mut self, n: u32) {
        self.align(4);
        self.0.extend(n.to_ne_bytes());
    }

    /// A string, or the path of an object.
    pub fn string(&mut self, s: &str) {
        self.u32(s.len() as u32);
        self.0.extend(s.bytes().chain([0]));
    }

    /// A signature.
    pub fn signature(&mut self, s: &str) {
        self.0.push(s.len() as u8);
        self.0.extend(s.bytes().chain([0]));
    }

    /// The values of a signature from words, as busctl(1) has them.
    pub fn values(&mut self, signature: &str, words: &[String]) -> Result<(), Wrong> {
        let mut words = words.iter().map(String::as_str);
        let mut rest = signature;
        while !rest.is_empty() {
            let (one, more) = first(rest)?;
            self.value(one, &mut words)?;
            rest = more;
        }
        words.next().map_or(Ok(()), |word| Err(format!("'{word}' is more than {signature} has")))
    }

    fn value<'a>(&mut self, kind: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<(), Wrong> {
        if let Some(fields) = kind.strip_prefix(['(', '{']) {
            self.align(8);
            let mut rest = &fields[..fields.len() - 1];
            while !rest.is_empty() {
                let (one, more) = first(rest)?;
                self.value(one, words)?;
                rest = more;
            }
            return Ok(());
        }
        let word = words.next().ok_or_else(|| format!("nothing is there for {kind}"))?;
        let wrong = |_| format!("'{word}' is no {}", name(kind));
        macro_rules! number {
            ($kind:ty) => {{
                self.align(size_of::<$kind>());
                self.0.extend(word.parse::<$kind>().map_err(|_| wrong(()))?.to_ne_bytes());
            }};
        }
        match kind {
            "y" => number!(u8),
            "n" => number!(i16),
            "q" => number!(u16),
            "i" => number!(i32),
            "u" => number!(u32),
            "x" => number!(i64),
            "t" => number!(u64),
            "d" => number!(f64),
            "b" => self.u32(match word {
                "true" => 1,
                "false" => 0,
                _ => return Err(wrong(())),
            }),
            "s" | "o" => self.string(word),
            "g" => self.signature(word),
            "v" => {
                first(word).ok().filter(|(_, more)| more.is_empty()).ok_or_else(|| wrong(()))?;
                self.signature(word);
                self.value(word, words)?;
            }
            array => {
                let element = array.strip_prefix('a').ok_or_else(|| wrong(()))?;
                let count: u32 = word.parse().map_err(|_| wrong(()))?;
                self.u32(0);
                let at = self.0.len() - 4;
                self.align(alignment(element));
                let begin = self.0.len();
                for _ in 0..count {
                    self.value(element, words)?;
                }
                let len = (self.0.len() - begin) as u32;
                self.0[at..at + 4].copy_from_slice(&len.to_ne_bytes());
            }
        }
        Ok(())
    }
}

/// The first complete type of a signature, and the rest.
pub fn first(signature: &str) -> Result<(&str, &str), Wrong> {
    let wrong = || format!("'{signature}' is no signature");
    let mut depth = 0;
    for (at, c) in signature.char_indices() {
        match c {
            'a' => continue,
            '(' | '{' => depth += 1,
            ')' | '}' if depth > 0 => depth -= 1,
            'y' | 'b' | 'n' | 'q' | 'i' | 'u' | 'x' | 't' | 'd' | 's' | 'o' | 'g' | 'v' => {}
            _ => return Err(wrong()),
        }
        if depth == 0 {
            return Ok(signature.split_at(at + 1));
        }
    }
    Err(wrong())
}

fn alignment(kind: &str) -> usize {
    match kind.as_bytes().first() {
        Some(b'y' | b'g' | b'v') => 1,
        Some(b'n' | b'q') => 2,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 4,
    }
}

fn name(kind: &str) -> &str {
    match kind {
        "y" => "byte",
        "b" => "boolean",
        "n" | "i" | "x" => "integer",
        "q" | "u" | "t" => "number from 0 on",
        "d" => "number",
        "v" => "signature of one type",
        _ => "length",
    }
}

/// Reads what a [`Writer`] writes. What is not there is `None`.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// From a place of a message on.
    pub fn new(bytes: &'a [u8], at: usize) -> Reader<'a> {
        Reader { bytes, at }
    }

    /// Where it is.
    pub fn at(&self) -> usize {
        self.at
    }

    /// To the next multiple.
    pub fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(bytes)
    }

    /// A byte.
    pub fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4)?.try_into().ok().map(u32::from_ne_bytes)
    }

    /// A string, or the path of an object.
    pub fn string(&mut self) -> Option<String> {
        let len = self.u32()? as usize;
        let bytes = self.take(len.checked_add(1)?)?;
        Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
    }

    /// A signature.
    pub fn signature(&mut self) -> Option<String> {
        let len = self.u8()? as usize;
        let bytes = self.take(len + 1)?;
        Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bytes(signature: &str, words: &str) -> Result<Vec<u8>, Wrong> {
        let words: Vec<String> = words.split_whitespace().map(String::from).collect();
        let mut w = Writer::default();
        w.values(signature, &words).map(|()| w.0)
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn values() {
        assert_eq!(bytes("yq", "1 2").unwrap(), [1, 0, 2, 0]);
        assert_eq!(bytes("sb", "ab true").unwrap(), [2, 0, 0, 0, b'a', b'b', 0, 0, 1, 0, 0, 0]);
        assert_eq!(bytes("v", "t 7").unwrap(), [1, b't', 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        // The padding before the first element of an array is not in its length.
        assert_eq!(bytes("at", "1 9").unwrap(), [8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes("a(sv)", "0").unwrap(), [0; 8]);
        let one = bytes("a(sv)", "1 P u 3").unwrap();
        assert_eq!(one[..4], [16, 0, 0, 0]);
        assert_eq!(one[8..], [1, 0, 0, 0, b'P', 0, 1, b'u', 0, 0, 0, 0, 3, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_value() {
        for (signature, words, says) in [
            ("u", "-1", "'-1' is no number from 0 on"),
            ("b", "yes", "'yes' is no boolean"),
            ("s", "", "nothing is there for s"),
            ("a(sv)", "1 P u 3 4", "'4' is more than a(sv) has"),
            ("au", "x", "'x' is no length"),
            ("v", "uu 1", "'uu' is no signature of one type"),
            ("h", "1", "'h' is no signature"),
            ("(u", "1", "'(u' is no signature"),
        ] {
            assert_eq!(bytes(signature, words).unwrap_err(), says);
        }
    }

    #[test]
    fn read_back() {
        let mut w = Writer::default();
        w.u32(7);
        w.string("job");
        w.signature("ao");
        let mut r = Reader::new(&w.0, 0);
        assert_eq!((r.u32(), r.string(), r.signature()), (Some(7), Some("job".into()), Some("ao".into())));
        assert_eq!((r.u32(), Reader::new(&[255; 6], 0).string()), (None, None));
    }
}
