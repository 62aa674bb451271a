//! GVariant's text form (glib, "GVariant Text Format"), in which annotations give properties of a unit:
//! `uint64 5`, `'text'`, `[1, 2]`, `@as []`. What comes out are a D-Bus signature and busctl's words.

use anyhow::{Result, bail};

/// A value: its signature, and its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    /// D-Bus signature.
    pub kind: String,
    /// As busctl(1) writes it.
    pub words: Vec<String>,
}

/// The value that a text stands for.
pub fn parse(text: &str) -> Result<Typed> {
    let mut parser = Parser { rest: text };
    let value = parser.value(None)?;
    parser.space();
    if !parser.rest.is_empty() {
        bail!("'{}' is too much", parser.rest);
    }
    Ok(value)
}

/// Words that say a type.
const TYPES: [(&str, &str); 12] = [
    ("boolean", "b"),
    ("byte", "y"),
    ("int16", "n"),
    ("uint16", "q"),
    ("int32", "i"),
    ("uint32", "u"),
    ("int64", "x"),
    ("uint64", "t"),
    ("double", "d"),
    ("string", "s"),
    ("objectpath", "o"),
    ("signature", "g"),
];

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether this comes next; it is taken.
    fn takes(&mut self, token: char) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn due(&mut self, token: char) -> Result<()> {
        if !self.takes(token) {
            bail!("'{token}' is due at '{}'", self.rest);
        }
        Ok(())
    }

    /// A word up to what cannot be in a number, a type or a name.
    fn word(&mut self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let end = self.rest.find(|c| !plain(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    /// `kind`: what is expected.
    fn value(&mut self, kind: Option<&str>) -> Result<Typed> {
        self.space();
        if self.takes('@') {
            let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
            let (given, rest) = self.rest.split_at(end);
            self.rest = rest;
            return self.value(Some(given));
        }
        match self.rest.chars().next() {
            None => bail!("a value is missing"),
            Some('\'' | '"') => {
                let text = self.string()?;
                let kind = kind.unwrap_or("s");
                if !matches!(kind, "s" | "o" | "g") {
                    bail!("'{text}' is no {}", called(kind));
                }
                Ok(Typed { kind: kind.into(), words: vec![text] })
            }
            Some('[') => self.array(kind),
            Some('(') => self.tuple(kind),
            Some('<') => {
                self.due('<')?;
                let inner = self.value(None)?;
                self.due('>')?;
                let words = std::iter::once(inner.kind).chain(inner.words).collect();
                Ok(Typed { kind: "v".into(), words })
            }
            Some(c) if c.is_ascii_alphanumeric() || "+-.".contains(c) => self.plain(kind),
            Some(_) => bail!("'{}' is no value", self.rest),
        }
    }

    /// A number, a truth, or a type before a value.
    fn plain(&mut self, kind: Option<&str>) -> Result<Typed> {
        let word = self.word();
        if let Some((_, given)) = TYPES.iter().find(|(name, _)| *name == word) {
            return self.value(Some(given));
        }
        let real = |w: &str| {
            let digits = w.trim_start_matches(['+', '-']);
            let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            let real = begins && !digits.starts_with("0x") && digits.contains(['.', 'e', 'E']);
            real || matches!(digits, "inf" | "nan")
        };
        let kind = match (kind, word.as_str()) {
            (Some(kind), _) => kind,
            (None, "true" | "false") => "b",
            (None, w) if real(w) => "d",
            (None, _) => "i",
        };
        let Some(value) = scalar(kind, &word) else { bail!("'{word}' is no {}", called(kind)) };
        Ok(Typed { kind: kind.into(), words: vec![value] })
    }

    fn string(&mut self) -> Result<String> {
        let mut chars = self.rest.chars();
        let quote = chars.next();
        let mut out = String::new();
        loop {
            match chars.next() {
                None => bail!("{} has no end", self.rest),
                c if c == quote => break,
                Some('\\') => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('u') => {
                        let hex: String = chars.by_ref().take(4).collect();
                        let c = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                        let Some(c) = c.filter(|c| *c != '\0') else { bail!("\\u{hex} is no character") };
                        out.push(c);
                    }
                    Some(c) => out.push(c),
                    None => bail!("{} has no end", self.rest),
                },
                Some('\0') => bail!("a string holds no NUL"),
                Some(c) => out.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(out)
    }

    /// Elements of one type: the expected one, or the first's.
    fn array(&mut self, kind: Option<&str>) -> Result<Typed> {
        self.due('[')?;
        let mut element = match kind {
            Some(kind) => match kind.strip_prefix('a') {
                Some(element) => Some(element.to_owned()),
                None => bail!("a list is no {}", called(kind)),
            },
            None => None,
        };
        let mut list = Vec::new();
        while !self.takes(']') {
            if !list.is_empty() {
                self.due(',')?;
            }
            let value = self.value(element.as_deref())?;
            element.get_or_insert_with(|| value.kind.clone());
            if element.as_deref() != Some(value.kind.as_str()) {
                bail!("{} among {}", called(&value.kind), called(element.as_deref().unwrap_or_default()));
            }
            list.push(value.words);
        }
        let Some(element) = element else { bail!("an empty list needs its type: @as []") };
        let words = std::iter::once(list.len().to_string()).chain(list.into_iter().flatten()).collect();
        Ok(Typed { kind: format!("a{element}"), words })
    }

    fn tuple(&mut self, kind: Option<&str>) -> Result<Typed> {
        self.due('(')?;
        let mut expected = match kind {
            Some(kind) => match kind.strip_prefix('(').and_then(|k| k.strip_suffix(')')) {
                Some(fields) => Some(fields.to_owned()),
                None => bail!("a tuple is no {}", called(kind)),
            },
            None => None,
        };
        let mut out = Typed { kind: "(".into(), words: Vec::new() };
        while !self.takes(')') {
            if out.kind.len() > 1 {
                self.due(',')?;
                if self.takes(')') {
                    break;
                }
            }
            let field = match expected.as_mut() {
                Some(fields) => {
                    let Ok((one, rest)) = systemd::first(fields) else {
                        bail!("a tuple with too many fields")
                    };
                    let (one, rest) = (one.to_owned(), rest.to_owned());
                    *fields = rest;
                    Some(one)
                }
                None => None,
            };
            let value = self.value(field.as_deref())?;
            out.kind += &value.kind;
            out.words.extend(value.words);
        }
        if expected.is_some_and(|fields| !fields.is_empty()) {
            bail!("a tuple with too few fields");
        }
        out.kind.push(')');
        Ok(out)
    }
}

/// A word as a value of a type; `None`: it is none.
fn scalar(kind: &str, word: &str) -> Option<String> {
    if kind == "b" {
        return matches!(word, "true" | "false").then(|| word.to_owned());
    }
    if kind == "d" {
        return word.parse::<f64>().ok().map(|n| n.to_string());
    }
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let (digits, radix) = match digits.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    let n = i128::from(u64::from_str_radix(digits, radix).ok()?) * sign;
    let range = match kind {
        "y" => 0..=i128::from(u8::MAX),
        "n" => i128::from(i16::MIN)..=i128::from(i16::MAX),
        "q" => 0..=i128::from(u16::MAX),
        "i" => i128::from(i32::MIN)..=i128::from(i32::MAX),
        "u" => 0..=i128::from(u32::MAX),
        "x" => i128::from(i64::MIN)..=i128::from(i64::MAX),
        "t" => 0..=i128::from(u64::MAX),
        _ => return None,
    };
    range.contains(&n).then(|| n.to_string())
}

/// GVariant's word for a type.
fn called(kind: &str) -> &str {
    TYPES.iter().find(|(_, k)| *k == kind).map_or(kind, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, kind, words) in [
            ("uint64 123456789", "t", "123456789"),
            ("'inactive-or-failed'", "s", "inactive-or-failed"),
            (r#""it's""#, "s", "it's"),
            (r"'a\'b\u0041'", "s", "a'bA"),
            ("true", "b", "true"),
            ("5", "i", "5"),
            ("-0x10", "i", "-16"),
            ("010", "i", "8"),
            ("byte 255", "y", "255"),
            ("2.5", "d", "2.5"),
            ("double 3", "d", "3"),
            ("[1, 2]", "ai", "2 1 2"),
            ("@as []", "as", "0"),
            ("@at [7]", "at", "1 7"),
            ("[uint16 1, 2]", "aq", "2 1 2"),
            ("('x', 3)", "(si)", "x 3"),
            ("('x',)", "(s)", "x"),
            ("@a(st) [('x', 3)]", "a(st)", "1 x 3"),
            ("<'x'>", "v", "s x"),
            ("objectpath '/a'", "o", "/a"),
        ] {
            let words = words.split(' ').map(String::from).collect();
            assert_eq!(parse(text).ok(), Some(Typed { kind: kind.into(), words }), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for (text, says) in [
            ("", "a value is missing"),
            ("uint16 65536", "'65536' is no uint16"),
            ("byte -1", "'-1' is no byte"),
            ("3000000000", "'3000000000' is no int32"),
            ("'x", "'x has no end"),
            ("covfefe", "'covfefe' is no int32"),
            ("[1, 'x']", "'x' is no int32"),
            ("[]", "an empty list needs its type"),
            ("1 2", "'2' is too much"),
            ("@(si) ('x',)", "too few fields"),
            ("uint32 'x'", "'x' is no uint32"),
            ("{1: 2}", "'{1: 2}' is no value"),
        ] {
            let e = parse(text).map_or_else(|e| e.to_string(), |t| format!("{t:?}"));
            assert!(e.contains(says), "{text}: {e}");
        }
    }
}
