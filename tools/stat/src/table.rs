//! The table: which columns there are, and which of them there is room for.

use crate::bar::{self, bar};
use crate::eye::Seen;
use crate::size;
use cgroup::Limit;

/// What a column has for a container; `None`: nothing is known.
type Cell = fn(&Seen, &Look) -> Option<String>;

struct Column {
    head: &'static str,
    /// At least so wide.
    least: usize,
    right: bool,
    /// The lower, the longer it stays when there is no room for all.
    keep: u8,
    cell: Cell,
}

const fn left(keep: u8, least: usize, head: &'static str, cell: Cell) -> Column {
    Column { head, least, right: false, keep, cell }
}

const fn right(keep: u8, least: usize, head: &'static str, cell: Cell) -> Column {
    Column { head, least, right: true, keep, cell }
}

/// From left to right.
const COLUMNS: [Column; 15] = [
    left(10, 12, "ID", |s, _| Some(s.id.clone())),
    left(0, 12, "NAME", |s, _| s.name.clone()),
    right(1, 7, "CPU %", |s, _| percent(s.cpu)),
    left(5, bar::WIDTH, "", |s, look| Some(bar(s.share?, look.bars?))),
    right(8, 5, "THR %", |s, _| Some(format!("{:.0}%", s.throttled?))),
    left(2, 19, "MEM USAGE / LIMIT", |s, _| memory(s)),
    right(3, 7, "MEM %", |s, _| percent(s.memory)),
    left(6, bar::WIDTH, "", |s, look| Some(bar(s.memory?, look.bars?))),
    right(4, 4, "PIDS", |s, _| tasks(s)),
    left(9, 15, "NET I/O", |s, _| s.network.as_ref().map(|n| both(n.received, n.sent))),
    left(7, 15, "BLOCK I/O", |s, _| s.look.io.as_ref().map(|io| both(io.read, io.written))),
    right(13, 8, "CACHE", |s, _| Some(size::memory(s.look.memory.as_ref()?.cache))),
    right(14, 8, "SWAP", |s, _| Some(size::memory(s.look.memory.as_ref()?.swap?))),
    left(11, 6, "PSI %", |s, _| waiting(s)),
    left(12, 6, "EVENTS", |s, _| events(s)),
];
const ID: usize = 0;
const NAME: usize = 1;

/// How the table is to look, and how wide its columns have been so far: what changes with every look is
/// not to move the others.
#[derive(Default)]
pub struct Look {
    /// Columns of the terminal; `None`: there is room for all.
    width: Option<usize>,
    /// Whether there are bars; of blocks, or plain.
    bars: Option<bool>,
    /// Whether the terminal knows more than ASCII.
    unicode: bool,
    /// Of whom these were the widths.
    who: Vec<String>,
    widths: [usize; COLUMNS.len()],
}

impl Look {
    /// One that is not drawn over.
    pub fn once() -> Look {
        Look { width: columns(), unicode: utf8(), ..Look::default() }
    }

    /// Of a terminal that can move its cursor; `None`: it cannot.
    pub fn of_terminal() -> Option<Look> {
        let term = std::env::var("TERM").ok().filter(|t| !t.is_empty() && t != "dumb");
        term.map(|_| Look { bars: Some(utf8()), ..Look::once() })
    }

    /// For another width.
    pub fn resize(&mut self) {
        (self.width, self.widths) = (columns(), Default::default());
    }

    /// The head and a line for each. While the containers are the same, no column becomes narrower.
    pub fn table(&mut self, list: &[Seen]) -> Vec<String> {
        let mut who: Vec<String> = list.iter().map(|s| s.id.clone()).collect();
        who.sort_unstable();
        if who != self.who {
            (self.who, self.widths) = (who, Default::default());
        }
        let mut cells: Vec<[Option<String>; COLUMNS.len()]> =
            list.iter().map(|s| COLUMNS.each_ref().map(|c| (c.cell)(s, self))).collect();
        if self.width.is_some() {
            cells.iter_mut().for_each(|row| row[NAME] = row[NAME].take().map(|n| self.short(&n)));
        }
        for (n, column) in COLUMNS.iter().enumerate() {
            let longest = cells.iter().flat_map(|row| &row[n]).map(|t| t.chars().count()).max();
            let width = longest.unwrap_or(1).max(column.least).max(column.head.len());
            self.widths[n] = self.widths[n].max(width);
        }
        let shown = self.room(&cells);
        if !shown[ID] {
            // Without ids a container needs a name.
            cells.iter_mut().zip(list).for_each(|(row, s)| {
                row[NAME].get_or_insert_with(|| s.id.clone());
            });
        }
        let head = COLUMNS.each_ref().map(|c| Some(c.head.to_owned()));
        std::iter::once(&head).chain(&cells).map(|row| self.line(row, &shown)).collect()
    }

    /// Which columns are shown: those that matter most, as far as they go. Where room is scarce, what is
    /// known of nobody takes none.
    fn room(&self, cells: &[[Option<String>; COLUMNS.len()]]) -> [bool; COLUMNS.len()] {
        let mut shown = std::array::from_fn(|n| !is_bar(n) || self.bars.is_some());
        let Some(width) = self.width else { return shown };
        let mut order: Vec<usize> = (0..COLUMNS.len()).filter(|n| shown[*n]).collect();
        order.sort_by_key(|n| COLUMNS[*n].keep);
        // The last cell of a line stays free: some terminals go on to the next when it is written.
        let (mut used, mut left) = (0, true);
        for n in order {
            let more = self.widths[n] + if left { 0 } else { gap(n) };
            let known = COLUMNS[n].keep < 5 || cells.iter().any(|row| row[n].is_some());
            shown[n] = known && (left || used + more < width);
            if shown[n] {
                (used, left) = (used + more, false);
            }
        }
        shown
    }

    fn line(&self, row: &[Option<String>; COLUMNS.len()], shown: &[bool]) -> String {
        let mut line = String::new();
        for n in (0..COLUMNS.len()).filter(|n| shown[*n]) {
            let text = row[n].as_deref().unwrap_or("-");
            let pad = " ".repeat(self.widths[n].saturating_sub(text.chars().count()));
            let (before, after) = if COLUMNS[n].right { (pad.as_str(), "") } else { ("", pad.as_str()) };
            let gap = " ".repeat(if line.is_empty() { 0 } else { gap(n) });
            line.extend([gap.as_str(), before, text, after]);
        }
        line.truncate(line.trim_end().len());
        match self.width {
            Some(width) => line.chars().take(width.saturating_sub(1)).collect(),
            None => line,
        }
    }

    /// A name in a narrow place.
    fn short(&self, name: &str) -> String {
        const MOST: usize = 20;
        if name.chars().count() <= MOST {
            return name.to_owned();
        }
        name.chars().take(MOST - 1).chain([if self.unicode { '…' } else { '~' }]).collect()
    }
}

/// A bar belongs to the figure before it.
fn is_bar(n: usize) -> bool {
    COLUMNS[n].head.is_empty()
}

fn gap(n: usize) -> usize {
    if is_bar(n) { 1 } else { 2 }
}

/// Of the terminal at stdout, where there is one.
fn columns() -> Option<usize> {
    sys::tty::size(std::io::stdout()).map(|(_, columns)| if columns == 0 { 80 } else { columns.into() })
}

/// Whether the locale's characters are UTF-8 (locale(7)).
fn utf8() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

fn percent(n: Option<f64>) -> Option<String> {
    n.map(|n| format!("{n:.2}%"))
}

fn both(a: u64, b: u64) -> String {
    format!("{} / {}", size::traffic(a), size::traffic(b))
}

/// A limit that a cgroup above sets.
fn from_above<T: PartialEq>(own: &Option<Limit<T>>, holds: &Option<Limit<T>>) -> &'static str {
    if own == holds { "" } else { "^" }
}

fn memory(s: &Seen) -> Option<String> {
    let used = size::memory(s.look.memory.as_ref()?.working_set());
    let limit = s.limits.memory.as_ref().map(|l| l.value).filter(|n| *n <= s.machine);
    let mark = if limit.is_some() { from_above(&s.own.memory, &s.limits.memory) } else { "" };
    Some(format!("{used} / {}{mark}", size::memory(limit.unwrap_or(s.machine))))
}

fn tasks(s: &Seen) -> Option<String> {
    let now = s.look.pids?;
    Some(match &s.limits.pids {
        Some(l) => format!("{now} / {}{}", l.value, from_above(&s.own.pids, &s.limits.pids)),
        None => now.to_string(),
    })
}

/// Percent of the last ten seconds in which some process waited.
fn waiting(s: &Seen) -> Option<String> {
    let look = &s.look;
    let kinds = [("cpu", &look.cpu_pressure), ("mem", &look.memory_pressure), ("io", &look.io_pressure)];
    let known: Vec<_> = kinds
        .iter()
        .filter_map(|(kind, psi)| Some((*kind, psi.as_ref()?.some.avg10.round() as u64)))
        .collect();
    (!known.is_empty()).then(|| words(&known))
}

fn events(s: &Seen) -> Option<String> {
    let events = &s.look.memory.as_ref()?.events;
    let kinds = [("high", events.high), ("max", events.max), ("oom", events.oom), ("kill", events.oom_kill)];
    Some(words(&kinds.map(|(kind, n)| (kind, n.unwrap_or_default()))))
}

/// Those that are not zero.
fn words(counts: &[(&str, u64)]) -> String {
    let some: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(kind, n)| format!("{kind} {n}")).collect();
    if some.is_empty() { "0".into() } else { some.join(" ") }
}
