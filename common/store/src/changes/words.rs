//! Words as docker's builder reads them: quotes, backslashes and variables, no shell behind them.

use anyhow::{Context, Result, bail};
use std::iter::Peekable;
use std::str::Chars;

/// The words of a line as they are written; a quoted space does not part them.
pub(super) fn split(text: &str) -> Result<Vec<&str>> {
    let (mut words, mut start, mut quote) = (Vec::new(), None, None);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(start.take().map(|s: usize| &text[s..at])),
            (Some('\''), '\\') => {}
            (_, '\\') => {
                start.get_or_insert(at);
                chars.next();
            }
            (None, '\'' | '"') => {
                quote = Some(c);
                start.get_or_insert(at);
            }
            (Some(q), c) if q == c => quote = None,
            _ => drop(start.get_or_insert(at)),
        }
    }
    if quote.is_some() {
        bail!("a quote is not closed");
    }
    words.extend(start.map(|s| &text[s..]));
    Ok(words)
}

/// The word with quotes and backslashes taken away and variables replaced from NAME=VALUE texts.
pub(super) fn expand(word: &str, environment: &[String]) -> Result<String> {
    let mut expand = Expand { chars: word.chars().peekable(), environment };
    expand.until(None)
}

struct Expand<'a> {
    chars: Peekable<Chars<'a>>,
    environment: &'a [String],
}

impl Expand<'_> {
    fn until(&mut self, end: Option<char>) -> Result<String> {
        let mut out = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                c if Some(c) == end => return Ok(out),
                '\'' => loop {
                    match self.chars.next().context("a quote is not closed")? {
                        '\'' => break,
                        c => out.push(c),
                    }
                },
                '"' => self.double(&mut out)?,
                '\\' => out.extend(self.chars.next().or(Some('\\'))),
                '$' => out += &self.variable()?,
                c => out.push(c),
            }
        }
        match end {
            None => Ok(out),
            Some(end) => bail!("{end} is missing"),
        }
    }

    fn double(&mut self, out: &mut String) -> Result<()> {
        loop {
            match self.chars.next().context("a quote is not closed")? {
                '"' => return Ok(()),
                '$' => *out += &self.variable()?,
                '\\' => match self.chars.peek() {
                    Some('"' | '$' | '\\') => out.extend(self.chars.next()),
                    _ => out.push('\\'),
                },
                c => out.push(c),
            }
        }
    }

    /// `NAME`, `{NAME}`, `{NAME:-word}` or `{NAME:+word}`, behind a dollar that was just read.
    fn variable(&mut self) -> Result<String> {
        let braced = self.chars.next_if_eq(&'{').is_some();
        let mut name = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        let value = self.environment.iter().find_map(|e| e.strip_prefix(&name)?.strip_prefix('='));
        let value = value.unwrap_or_default().to_owned();
        if !braced {
            return Ok(if name.is_empty() { "$".into() } else { value });
        }
        if name.is_empty() {
            bail!("a variable of no name");
        }
        match (self.chars.next(), self.chars.peek().copied()) {
            (Some('}'), _) => Ok(value),
            (Some(':'), Some(kind @ ('-' | '+'))) => {
                self.chars.next();
                let word = self.until(Some('}'))?;
                Ok(if value.is_empty() == (kind == '-') {
                    word
                } else if kind == '-' {
                    value
                } else {
                    String::new()
                })
            }
            _ => bail!("${{{name} is followed by none of }}, :-, :+"),
        }
    }
}
