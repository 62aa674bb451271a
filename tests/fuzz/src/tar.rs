//! Archives as a list of blocks: made, taken apart, and put together with right checksums.

use crate::{Rng, mutate};

/// A header and what follows it.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) header: [u8; 512],
    pub(crate) data: Vec<u8>,
}

/// Where a field lies in the header.
type Field = (usize, usize);
const NAME: Field = (0, 100);
const MODE: Field = (100, 8);
const SIZE: Field = (124, 12);
const KIND: usize = 156;
const LINK: Field = (157, 100);
const PREFIX: Field = (345, 155);
const NUMBERS: [Field; 7] = [MODE, (108, 8), (116, 8), SIZE, (136, 12), (329, 8), (337, 8)];
const KINDS: &[u8] = b"01234567\x000xgLKSDMVNA?";

impl Entry {
    pub(crate) fn new(kind: u8, name: &str, link: &str, data: &[u8]) -> Entry {
        let mut e = Entry { header: [0; 512], data: data.to_vec() };
        e.header[257..265].copy_from_slice(b"ustar\x0000");
        e.header[KIND] = kind;
        e.text(NAME, name.as_bytes());
        e.text(LINK, link.as_bytes());
        for (field, value) in [(MODE, 0o644), (NUMBERS[1], 0), (NUMBERS[2], 0), (NUMBERS[4], 1_700_000_000)] {
            e.octal(field, value);
        }
        e
    }

    pub(crate) fn with(mut self, mode: u64, owner: u64, device: (u64, u64)) -> Entry {
        for (field, value) in NUMBERS[..3].iter().zip([mode, owner, owner]) {
            self.octal(*field, value);
        }
        self.octal(NUMBERS[5], device.0);
        self.octal(NUMBERS[6], device.1);
        self
    }

    pub(crate) fn name(&self) -> String {
        let name = &self.header[..NAME.1];
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        String::from_utf8_lossy(&name[..end]).into_owned()
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self.header[KIND], b'0' | 0)
    }

    pub(crate) fn text(&mut self, (at, length): Field, text: &[u8]) {
        let field = &mut self.header[at..at + length];
        field.fill(0);
        let n = text.len().min(length);
        field[..n].copy_from_slice(&text[..n]);
    }

    pub(crate) fn named(&mut self, name: &str) {
        self.text(NAME, name.as_bytes());
    }

    fn octal(&mut self, field: Field, value: u64) {
        let width = field.1 - 1;
        self.text(field, format!("{value:0width$o}").as_bytes());
    }

    /// What does not fit into octal digits, as GNU writes it.
    fn binary(&mut self, (at, length): Field, value: i64) {
        let field = &mut self.header[at..at + length];
        field.fill(if value < 0 { 0xff } else { 0 });
        let n = length.min(8);
        field[length - n..].copy_from_slice(&value.to_be_bytes()[8 - n..]);
        field[0] = if value < 0 { 0xff } else { 0x80 };
    }

    /// The size says how much data there is.
    pub(crate) fn sized(&mut self) {
        self.octal(SIZE, self.data.len() as u64);
    }
}

/// Records before an entry.
pub(crate) fn pax(records: &[(&str, &[u8])]) -> Entry {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        data.extend_from_slice(format!("{length} {key}=").as_bytes());
        data.extend_from_slice(value);
        data.push(b'\n');
    }
    Entry::new(b'x', "pax", "", &data)
}

/// A well-formed archive.
pub(crate) fn archive(mut entries: Vec<Entry>) -> Vec<u8> {
    entries.iter_mut().for_each(Entry::sized);
    [join(&entries), vec![0; 1024]].concat()
}

/// Headers get their checksums; data its padding.
pub(crate) fn join(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let mut header = entry.header;
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&entry.data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes
}

/// As far as it goes: a size that says too much takes what there is.
pub(crate) fn split(mut bytes: &[u8]) -> (Vec<Entry>, Vec<u8>) {
    let mut entries = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<512>() {
        if header.iter().all(|b| *b == 0) {
            break;
        }
        let digits = &header[SIZE.0..SIZE.0 + SIZE.1];
        let size = digits.iter().filter(|b| b.is_ascii_digit());
        let size = size.fold(0_usize, |n, b| n.wrapping_mul(8).wrapping_add(usize::from(b - b'0')));
        let bare = matches!(header[KIND], b'1'..=b'6');
        let size = if bare { 0 } else { size.min(rest.len()) };
        entries.push(Entry { header: *header, data: rest[..size].to_vec() });
        bytes = &rest[size.next_multiple_of(512).min(rest.len())..];
    }
    (entries, bytes.to_vec())
}

/// One change to an archive, the checksums right afterwards.
pub(crate) fn change(rng: &mut Rng, bytes: &[u8], other: &[u8], data: fn(&mut Rng, &mut Vec<u8>)) -> Vec<u8> {
    let (mut entries, tail) = split(bytes);
    for _ in 0..=rng.below(3) {
        one(rng, &mut entries, other, data);
    }
    let mut all = join(&entries);
    all.extend_from_slice(&tail);
    if rng.one_in(30) {
        mutate::bytes(rng, &mut all);
    }
    all
}

fn one(rng: &mut Rng, entries: &mut Vec<Entry>, other: &[u8], data: fn(&mut Rng, &mut Vec<u8>)) {
    let others = split(other).0;
    if entries.is_empty() {
        entries.extend(others);
        return;
    }
    let at = rng.below(entries.len());
    let from = rng.below(entries.len());
    match rng.below(14) {
        0 => entries.swap(at, from),
        1 => entries.insert(at, entries[from].clone()),
        2 if entries.len() > 1 => drop(entries.remove(at)),
        3 | 4 if !others.is_empty() => entries.insert(at, rng.of(&others).clone()),
        5 => entries[at].header[KIND] = rng.pick(KINDS),
        6 | 7 => {
            let name = name(rng, entries);
            entries[at].text(NAME, &name);
        }
        8 => {
            let name = name(rng, entries);
            entries[at].text(LINK, &name);
        }
        9 => number(rng, &mut entries[at]),
        10 => entries.insert(at, records(rng)),
        11 => {
            let name = [&name(rng, entries)[..], &vec![b'x'; rng.below(300)], b"\0"].concat();
            let mut long = Entry::new(rng.pick(b"LK"), "././@LongLink", "", &name);
            long.sized();
            entries.insert(at, long);
        }
        12 => {
            data(rng, &mut entries[at].data);
            if !rng.one_in(8) {
                entries[at].sized();
            }
        }
        _ => {
            let field =
                rng.pick(&[NAME, LINK, MODE, SIZE, PREFIX, (136, 12), (257, 8), (386, 96), (482, 13)]);
            let byte = field.0 + rng.below(field.1);
            entries[at].header[byte] = rng.byte();
        }
    }
}

fn number(rng: &mut Rng, entry: &mut Entry) {
    let field = rng.pick(&NUMBERS);
    let edges = [-1, 0, 1, 511, 512, 513, 0o777, 0o4755, 0o7777, 65535, 1 << 20, 1 << 31, (1 << 32) - 1];
    let far = [1 << 32, 1 << 33, i64::MAX, i64::MIN, i64::MAX - 511, 253_402_300_800, -(1 << 40)];
    let value = if rng.one_in(3) { rng.pick(&far) } else { rng.pick(&edges) };
    match value {
        _ if rng.one_in(6) => {
            entry.text(field, rng.pick(&[&b"-1"[..], b"", b"  7 ", b"9", b"0x1", b"77777777777 "]))
        }
        0.. if rng.one_in(2) => entry.octal(field, value as u64),
        _ => entry.binary(field, value),
    }
}

fn name(rng: &mut Rng, entries: &[Entry]) -> Vec<u8> {
    let word = |rng: &mut Rng| -> Vec<u8> {
        match rng.below(3) {
            0 => rng.of(entries).name().into_bytes(),
            _ => rng.pick(NAMES).to_vec(),
        }
    };
    let mut name = word(rng);
    if rng.one_in(2) {
        name.push(b'/');
        name.extend(word(rng));
    }
    name
}

fn records(rng: &mut Rng) -> Entry {
    let mut list: Vec<(&str, &[u8])> = Vec::new();
    for _ in 0..=rng.below(3) {
        let values = if rng.one_in(3) { NAMES } else { VALUES };
        list.push((rng.pick(KEYS), rng.pick(values)));
    }
    let mut entry = pax(&list);
    if rng.one_in(8) {
        mutate::bytes(rng, &mut entry.data);
    }
    entry.sized();
    entry
}

const NAMES: &[&[u8]] = &[
    b"",
    b".",
    b"..",
    b"/",
    b"../../../../outside",
    b"/stave-fuzz-escaped",
    b"a",
    b"d",
    b"d/f",
    b"d/s",
    b"f",
    b"h",
    b"l",
    b"up",
    b"abs",
    b"loop",
    b"dots",
    b"low",
    b"low/f",
    b"low/up",
    b".wh.f",
    b".wh.low",
    b".wh.d",
    b".wh..wh..opq",
    b"low/.wh..wh..opq",
    b".wh..wh.plnk",
    b".wh.",
    b".wh..",
    b".wh...",
    b"d/.wh.up",
    b"x\ny",
    b"\xff\xfe",
    b"a\x1b[1m",
    b"kept",
    b"secret",
    b"dir/secret",
    b"up/secret",
    b"abs/secret",
    b"low/abs/secret",
    b"./",
    b"d//f",
    b"GNUSparseFile.0/f",
];
const KEYS: &[&str] = &[
    "path",
    "linkpath",
    "size",
    "uid",
    "gid",
    "mtime",
    "atime",
    "ctime",
    "uname",
    "SCHILY.xattr.user.a",
    "SCHILY.xattr.security.capability",
    "SCHILY.xattr.trusted.overlay.opaque",
    "SCHILY.xattr.trusted.overlay.redirect",
    "SCHILY.xattr.user.overlay.whiteout",
    "SCHILY.xattr.",
    "LIBARCHIVE.xattr.user.b",
    "SCHILY.realsize",
    "GNU.sparse.major",
    "GNU.sparse.minor",
    "GNU.sparse.name",
    "GNU.sparse.realsize",
    "GNU.sparse.map",
    "GNU.sparse.size",
    "GNU.sparse.numblocks",
    "GNU.sparse.offset",
    "GNU.sparse.numbytes",
    "comment",
    "hdrcharset",
    "",
];
const VALUES: &[&[u8]] = &[
    b"",
    b"0",
    b"1",
    b"-1",
    b"512",
    b"1000",
    b"65536",
    b"4294967295",
    b"4294967296",
    b"9223372036854775807",
    b"18446744073709551615",
    b"18446744073709551616",
    b"1.5",
    b"-1.5",
    b"1700000000.123456789",
    b"-9223372036854775808.5",
    b"y",
    b"0,1,5,1",
    b"0,512,1024,512",
    b"5,5,0,9",
    b"0,9223372036854775807",
    b"1e9",
    b" 1",
    b"a\nb\n",
    b"0 1",
    b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
];
