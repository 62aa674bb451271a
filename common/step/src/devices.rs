//! Rules for devices in the files of a v1 cgroup (kernel documentation, cgroup-v1/devices.rst): the kernel has one
//! answer for all, and a list of exceptions from it. Of a cgroup that is in use no more is written than what
//! differs: between "nothing" and "but these" its processes would have no device at all.

use crate::{Done, Fail};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::{fmt, fs};
use sys::Errno;

/// What may be done with a device, or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Granted, or denied.
    pub allow: bool,
    /// `b` or `c`; none: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<char>,
    /// None: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,
    /// None: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
    /// Some of `r`, `w`, `m` (mknod).
    pub access: String,
}

/// As devices.list of v1 has it: `c 1:3 rwm`.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        let kind = self.kind.unwrap_or('a');
        write!(f, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

/// Post-condition: the rules are in force. After a failure it is as it was.
pub fn write(cgroup: &Path, rules: &[Access]) -> Result<Done, Fail> {
    let before = list(cgroup)?;
    let lines = lines(&before, rules);
    let mut files = Files::of(cgroup);
    for line in &lines {
        if let Err(e) = files.put(line) {
            again(cgroup, &before);
            return Err(explain(cgroup, line, e));
        }
    }
    Ok(if lines.is_empty() { Done::WasSo } else { Done::Made })
}

/// What devices.list says: what is granted, of each device once; or one line for all, of which the kernel
/// does not tell what is taken off.
pub fn list(cgroup: &Path) -> std::io::Result<Vec<Access>> {
    Ok(sys::io::text(cgroup.join("devices.list"))?.lines().filter_map(parse).collect())
}

/// Makes it say that again, as far as the kernel takes it.
pub fn again(cgroup: &Path, before: &[Access]) {
    let Ok(now) = list(cgroup) else { return };
    let nothing = Access { allow: false, kind: None, major: None, minor: None, access: "rwm".into() };
    let all = before.iter().any(is_whole);
    let rules: Vec<Access> =
        if all { before.to_vec() } else { [nothing].into_iter().chain(before.iter().cloned()).collect() };
    let mut files = Files::of(cgroup);
    for line in lines(&now, &rules) {
        let _ = files.put(&line);
    }
}

/// What is granted where nothing else is; `None`: the rules do not begin with "nothing".
pub fn granted(rules: &[Access]) -> Option<Vec<Access>> {
    let begin = rules.iter().rposition(is_whole).filter(|n| !rules[*n].allow)?;
    let mut list: Vec<Access> = Vec::new();
    for rule in &rules[begin + 1..] {
        for kind in rule.kind.map_or(vec!['b', 'c'], |k| vec![k]) {
            let at = list.iter().position(|e| same(e, rule, kind)).unwrap_or_else(|| {
                list.push(Access { allow: true, kind: Some(kind), access: String::new(), ..rule.clone() });
                list.len() - 1
            });
            let has = |c: char| {
                let said = rule.access.contains(c);
                if said { rule.allow } else { list[at].access.contains(c) }
            };
            list[at].access = "rwm".chars().filter(|c| has(*c)).collect();
        }
    }
    list.retain(|e| !e.access.is_empty());
    Some(list)
}

/// A rule for all that can be done with all devices: what came before it is forgotten.
pub fn is_whole(r: &Access) -> bool {
    r.kind.is_none() && r.major.is_none() && r.minor.is_none() && r.access.len() == 3
}

/// The kernel knows an exception by its numbers, `*` being one.
fn same(e: &Access, rule: &Access, kind: char) -> bool {
    e.kind == Some(kind) && (e.major, e.minor) == (rule.major, rule.minor)
}

/// What is to be written over what is there: first what is granted more, then what is taken away.
fn lines(now: &[Access], rules: &[Access]) -> Vec<Access> {
    let Some(wanted) = granted(rules).filter(|_| !now.iter().any(is_whole)) else { return rules.to_vec() };
    let lacks = |of: &[Access], e: &Access| {
        let has = |c| of.iter().any(|o| same(o, e, e.kind.unwrap_or('a')) && o.access.contains(c));
        e.access.chars().filter(|c| !has(*c)).collect::<String>()
    };
    let line = |allow: bool, e: &Access, access: String| {
        (!access.is_empty()).then(|| Access { allow, access, ..e.clone() })
    };
    let more = wanted.iter().filter_map(|e| line(true, e, lacks(now, e)));
    let less = now.iter().filter_map(|e| line(false, e, lacks(&wanted, e)));
    more.chain(less).collect()
}

fn file(line: &Access) -> &'static str {
    if line.allow { "devices.allow" } else { "devices.deny" }
}

/// Its file, and what is written into it.
pub fn show(line: &Access) -> (&'static str, String) {
    (file(line), line.to_string())
}

/// Both files, each opened when it is needed, once.
struct Files<'a> {
    cgroup: &'a Path,
    open: [Option<fs::File>; 2],
}

impl Files<'_> {
    fn of(cgroup: &Path) -> Files<'_> {
        Files { cgroup, open: [None, None] }
    }

    /// The kernel takes one line a write(2).
    fn put(&mut self, line: &Access) -> std::io::Result<()> {
        use std::io::Write;
        let to = &mut self.open[usize::from(line.allow)];
        let to = match to {
            Some(file) => file,
            // It is there or not: none is made.
            None => to.insert(fs::File::options().write(true).open(self.cgroup.join(file(line)))?),
        };
        to.write_all(line.to_string().as_bytes())
    }
}

fn explain(cgroup: &Path, line: &Access, e: std::io::Error) -> Fail {
    let errno = Errno::from(e);
    if errno == Errno(sys::EACCES) {
        return errno.into();
    }
    let above = cgroup.parent().and_then(|p| list(p).ok()).unwrap_or_default();
    let bound = errno == Errno(sys::EPERM) && line.allow && !above.is_empty() && !above.iter().any(is_whole);
    let cause = if bound { "the cgroup above does not grant that".to_owned() } else { errno.to_string() };
    Fail { errno, why: Some(format!("write '{line}' to {}: {cause}", file(line))), status: None }
}

/// A line of devices.list: `c 1:3 rwm`.
fn parse(line: &str) -> Option<Access> {
    let mut words = line.split_whitespace();
    let kind = words.next()?.chars().next()?;
    let (major, minor) = words.next()?.split_once(':')?;
    let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
    Some(Access {
        allow: true,
        kind: Some(kind).filter(|k| *k != 'a'),
        major: number(major)?,
        minor: number(minor)?,
        access: words.next()?.to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn some(text: &str) -> Vec<Access> {
        text.split(';').filter_map(parse).collect()
    }

    fn only(text: &str) -> Vec<Access> {
        let nothing = Access { allow: false, ..parse("a *:* rwm").unwrap() };
        [nothing].into_iter().chain(some(text)).collect()
    }

    #[test]
    fn no_more_is_written_than_what_differs() {
        for (now, rules, wanted) in [
            ("c 1:3 rwm;b *:* m", only("b *:* m;c 1:3 rwm"), ""),
            ("c 1:3 rwm", only("c 1:3 rwm;c 10:229 rw"), "allow c 10:229 rw"),
            ("c 1:3 rwm;c 10:229 rw", only("c 1:3 rwm"), "deny c 10:229 rw"),
            ("c 1:3 rm;c 136:* rwm", only("c 1:3 rw;c 136:* rwm"), "allow c 1:3 w; deny c 1:3 m"),
            ("", only("c 1:* r"), "allow c 1:* r"),
            ("a *:* rwm", only("c 1:3 r"), "deny a *:* rwm; allow c 1:3 r"),
            ("c 1:3 r", some("a *:* rwm"), "allow a *:* rwm"),
            ("a *:* rwm", some("a *:* rwm"), "allow a *:* rwm"),
            ("c 1:3 r", some("c 1:5 r"), "allow c 1:5 r"),
        ] {
            let line = |a: &Access| format!("{} {a}", if a.allow { "allow" } else { "deny" });
            let got: Vec<String> = lines(&some(now), &rules).iter().map(line).collect();
            assert_eq!(got.join("; "), wanted, "{now}");
        }
    }
}
