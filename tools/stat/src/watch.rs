//! The table on a terminal, drawn over itself.

use crate::eye::{Eye, Seen};
use crate::table::Look;
use crate::{Key, sort};
use anyhow::Result;
use std::fmt::Write;
use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use sys::io::Signals;
use sys::tty::Hidden;

const HUP: i32 = 1;
const INT: i32 = 2;
const QUIT: i32 = 3;
const TERM: i32 = 15;
const STOP: i32 = 19;
const TSTP: i32 = 20;
const WINCH: i32 = 28;

/// Looks until a signal ends it: the status is then 128 and the signal's number.
pub fn watch(eye: &mut Eye, every: Duration, look: Look, key: Option<Key>) -> Result<u8> {
    let mut signals = Signals::take_heeded(&[HUP, INT, QUIT, TERM, TSTP, WINCH])?;
    let tty = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let mut screen = Screen { look, lines: 0 };
    let mut quiet = screen.enter(&tty)?;
    eye.glance()?;
    let mut next = eye.last() + eye.pause();
    let mut list = Vec::new();
    loop {
        match wait(&mut signals, next)? {
            None => {
                list = eye.look()?;
                sort(&mut list, key);
                screen.draw(&list)?;
                next = eye.last() + every;
            }
            Some(WINCH) => {
                screen.clear()?;
                screen.draw(&list)?;
            }
            Some(TSTP) => {
                drop(quiet);
                sys::process::signal(sys::process::pidfd(sys::process::pid())?, STOP)?;
                quiet = screen.enter(&tty)?;
                screen.draw(&list)?;
            }
            Some(number) => return Ok(128 + number as u8),
        }
    }
}

/// The next signal; `None`: there was none before that moment.
fn wait(signals: &mut Signals, until: Instant) -> Result<Option<i32>> {
    loop {
        if let Some((number, _)) = signals.waiting()? {
            return Ok(Some(number));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        // Whole milliseconds, and never too early.
        let ms = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1);
        sys::io::poll(&[(signals.as_fd(), false)], ms)?;
    }
}

/// What was drawn last lies above the cursor.
struct Screen {
    look: Look,
    lines: usize,
}

impl Screen {
    fn enter<'a>(&mut self, tty: &'a File) -> Result<Quiet<'a>> {
        self.lines = 0;
        let quiet = Quiet { _typed: Hidden::enter(tty)? };
        cli::print("\x1b[?25l")?;
        Ok(quiet)
    }

    /// In one piece, each line over the one that was there.
    fn draw(&mut self, list: &[Seen]) -> Result<()> {
        let mut lines = self.look.table(list);
        let rows = sys::tty::size(std::io::stdout()).map(|(rows, _)| usize::from(rows));
        // A terminal that does not know how high it is says 0.
        let rows = rows.filter(|n| *n > 0).unwrap_or(24).max(3);
        // The cursor stays on a line below.
        if lines.len() >= rows {
            let more = lines.len() - (rows - 2);
            lines.truncate(rows - 2);
            lines.push(format!("and {more} more"));
        }
        let mut text = String::new();
        if self.lines > 0 {
            let _ = write!(text, "\x1b[{}A", self.lines);
        }
        for line in &lines {
            let _ = write!(text, "\r{line}\x1b[K\n");
        }
        // What is left below of a longer one.
        text.push_str("\x1b[J");
        self.lines = lines.len();
        cli::print(&text)
    }

    /// A terminal of another size may have broken the lines anew: nobody knows where they are.
    fn clear(&mut self) -> Result<()> {
        self.look.resize();
        self.lines = 0;
        cli::print("\x1b[H\x1b[2J")
    }
}

/// Neither a cursor nor what is typed is shown for as long as the value lives.
struct Quiet<'a> {
    _typed: Hidden<'a>,
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = cli::print("\x1b[?25h");
    }
}
