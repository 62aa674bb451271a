//! stdout: documents and tables.

use anyhow::Result;
use doc::Doc;
use std::io::{IsTerminal, Write};

/// Prints text; a reader that went away is a silent failure (status 1), for the caller to roll
/// back on.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(crate::fail()),
        Err(e) => Err(anyhow::Error::from(e).context("write to stdout")),
    }
}

/// Does one act for each of several containers, prints what it gives, and goes on after an error:
/// status 1 if there was one.
pub fn each(name: &str, containers: &[String], mut act: impl FnMut(&str) -> Result<String>) -> Result<u8> {
    let mut status = 0;
    for word in containers {
        match act(word) {
            Ok(text) => print(&text)?,
            Err(e) => {
                crate::say(name, &crate::line(&e));
                status = 1;
            }
        }
    }
    Ok(status)
}

/// The document: one line, or indented on a terminal.
pub fn print_doc(doc: &Doc) -> Result<()> {
    let text = if std::io::stdout().is_terminal() { doc.pretty() } else { doc.line() };
    print(&(text + "\n"))
}

/// Columns aligned, two spaces between; the last is not padded.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if c + 1 < row.len() {
                line.extend(std::iter::repeat_n(' ', widths[c] + 2 - cell.chars().count()));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
