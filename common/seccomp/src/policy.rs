//! `linux.seccomp` of a document read (config-linux.md, Seccomp): every word known, every number in
//! its range.

use crate::Error;
use crate::arch::{Arch, Finder, named};
use serde_json::{Map, Value};

/// SECCOMP_RET_*: the action in the upper half, its data in the lower.
pub type Verdict = u32;

/// Kill the thread: what a call of an architecture gets that the profile does not name.
pub const KILL_THREAD: Verdict = 0;
/// Fail with the errno in the lower half.
pub const ERRNO: Verdict = 0x0005_0000;
/// Ask whoever holds the listener.
pub const NOTIFY: Verdict = 0x7fc0_0000;
/// Let it through.
pub const ALLOW: Verdict = 0x7fff_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// What a call gets that is newer than the profile.
pub const UNKNOWN: Verdict = ERRNO | ENOSYS;

/// Words and values of the actions, as libseccomp defines them.
pub const ACTIONS: [(&str, Verdict); 9] = [
    ("SCMP_ACT_KILL", KILL_THREAD),
    ("SCMP_ACT_KILL_THREAD", KILL_THREAD),
    ("SCMP_ACT_KILL_PROCESS", 0x8000_0000),
    ("SCMP_ACT_TRAP", 0x0003_0000),
    ("SCMP_ACT_ERRNO", ERRNO),
    ("SCMP_ACT_NOTIFY", NOTIFY),
    ("SCMP_ACT_TRACE", 0x7ff0_0000),
    ("SCMP_ACT_LOG", 0x7ffc_0000),
    ("SCMP_ACT_ALLOW", ALLOW),
];

/// Words of the flags, and their bits in seccomp(2). TSYNC says nothing here: a process that has
/// just been made has one thread.
pub const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", 0),
    ("SECCOMP_FILTER_FLAG_LOG", 2),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", WAIT_KILLABLE),
];
const SPEC_ALLOW: u32 = 4;
const WAIT_KILLABLE: u32 = 32;

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Equal.
    Eq,
    /// Greater or equal.
    Ge,
    /// Greater.
    Gt,
    /// Equal in the bits of a mask.
    Masked,
}

/// Words of the operators.
pub const OPERATORS: [(&str, Op); 7] = [
    ("SCMP_CMP_NE", Op::Ne),
    ("SCMP_CMP_LT", Op::Lt),
    ("SCMP_CMP_LE", Op::Le),
    ("SCMP_CMP_EQ", Op::Eq),
    ("SCMP_CMP_GE", Op::Ge),
    ("SCMP_CMP_GT", Op::Gt),
    ("SCMP_CMP_MASKED_EQ", Op::Masked),
];

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cond {
    /// Which argument, from 0.
    pub index: u8,
    /// The comparison.
    pub op: Op,
    /// The bits that count.
    pub mask: u64,
    /// What they are compared with.
    pub value: u64,
}

/// An action for calls whose arguments are so; sorted by argument, no argument twice.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Lines of the table.
    pub calls: Vec<usize>,
    /// All must hold.
    pub conds: Vec<Cond>,
    /// What to do then.
    pub verdict: Verdict,
}

/// A profile.
#[derive(Debug)]
pub struct Policy {
    /// For calls without a rule.
    pub default: Verdict,
    /// Whether a call that is newer than the profile is told so (ENOSYS), so that programs fall back.
    pub tells_unknown: bool,
    /// Those named, without those that are there anyway.
    pub arches: Vec<&'static Arch>,
    /// In the order of the document; those that do what the default does are left out.
    pub rules: Vec<Rule>,
    /// Every call that some entry names: the newest of them is the newest that the profile knows.
    pub named: Vec<usize>,
    /// Bits for seccomp(2).
    pub flags: u32,
    /// The words that they were given by.
    pub words: Vec<&'static str>,
    /// Whether an action asks a listener.
    pub notifies: bool,
    /// `listenerPath`.
    pub listener: Option<String>,
    /// `listenerMetadata`.
    pub metadata: Option<String>,
    /// Names that no kernel has, as far as we know.
    pub unknown: Vec<String>,
}

/// Far more than a program of 4096 instructions can hold.
const RULES: usize = 1 << 14;

fn wrong(key: impl Into<String>, why: impl Into<String>) -> Error {
    Error { key: key.into(), why: why.into() }
}

fn text<'a>(of: &'a Map<String, Value>, key: &str, at: &str) -> Result<Option<&'a str>, Error> {
    match of.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => Ok(Some(s)),
        Some(_) => Err(wrong(format!("{at}{key}"), "not a string")),
    }
}

fn number(of: &Map<String, Value>, key: &str, at: &str) -> Result<Option<u64>, Error> {
    match of.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(v) => v.as_u64().map(Some).ok_or_else(|| wrong(format!("{at}{key}"), "not a whole number")),
    }
}

fn list<'a>(of: &'a Map<String, Value>, key: &str, at: &str) -> Result<Option<&'a [Value]>, Error> {
    match of.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(_) => Err(wrong(format!("{at}{key}"), "not a list")),
    }
}

fn word<T: Copy>(words: &[(&'static str, T)], text: &str) -> Option<(&'static str, T)> {
    words.iter().find(|(w, _)| *w == text).copied()
}

/// An action with its errno (1 where none is given), as runc and crun take it.
fn action(of: &Map<String, Value>, keys: [&str; 2], at: &str) -> Result<Verdict, Error> {
    let [action, errno] = keys;
    let name = text(of, action, at)?.unwrap_or_default();
    let (name, value) = word(&ACTIONS, name)
        .ok_or_else(|| wrong(format!("{at}{action}"), format!("{name:?} is no action")))?;
    let given = number(of, errno, at)?;
    if !matches!(name, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE") {
        return match given {
            None => Ok(value),
            Some(_) => Err(wrong(format!("{at}{errno}"), format!("{name} has no errno"))),
        };
    }
    match u16::try_from(given.unwrap_or(EPERM.into())) {
        Ok(n) => Ok(value | u32::from(n)),
        Err(_) => Err(wrong(format!("{at}{errno}"), "no errno is as large")),
    }
}

impl Policy {
    /// Reads `linux.seccomp`; `None` where it asks for nothing (neither a default action nor calls).
    pub fn read(value: &Value) -> Result<Option<Policy>, Error> {
        let Value::Object(of) = value else { return Err(wrong("", "not an object")) };
        let calls = list(of, "syscalls", "")?.unwrap_or_default();
        if text(of, "defaultAction", "")?.unwrap_or_default().is_empty() && calls.is_empty() {
            return Ok(None);
        }
        let default = action(of, ["defaultAction", "defaultErrnoRet"], "")?;
        if default == NOTIFY {
            return Err(wrong("defaultAction", "SCMP_ACT_NOTIFY cannot be used as default action"));
        }
        let tells = default != UNKNOWN && !matches!(default & 0xffff_0000, ALLOW | 0x7ffc_0000 | 0x7ff0_0000);
        let mut policy = Policy {
            default,
            tells_unknown: tells,
            arches: Vec::new(),
            rules: Vec::new(),
            named: Vec::new(),
            flags: 0,
            words: Vec::new(),
            notifies: false,
            listener: text(of, "listenerPath", "")?.filter(|p| !p.is_empty()).map(String::from),
            metadata: text(of, "listenerMetadata", "")?.filter(|p| !p.is_empty()).map(String::from),
            unknown: Vec::new(),
        };
        for v in list(of, "architectures", "")?.unwrap_or_default() {
            let name = v.as_str().unwrap_or_default();
            let arch =
                named(name).ok_or_else(|| wrong("architectures", format!("{v} is no architecture")))?;
            if !policy.arches.contains(&arch) {
                policy.arches.push(arch);
            }
        }
        let mut finder = Finder::default();
        for (n, v) in calls.iter().enumerate() {
            let Value::Object(call) = v else { return Err(wrong(format!("syscalls.{n}"), "not an object")) };
            policy.entry(call, n, &mut finder)?;
        }
        policy.set_flags(list(of, "flags", "")?)?;
        policy.check_listener()?;
        Ok(Some(policy))
    }

    fn entry(&mut self, call: &Map<String, Value>, n: usize, finder: &mut Finder) -> Result<(), Error> {
        let at = format!("syscalls.{n}.");
        let verdict = action(call, ["action", "errnoRet"], &at)?;
        let names = list(call, "names", &at)?.ok_or_else(|| wrong(format!("{at}names"), "missing"))?;
        let mut lines = Vec::with_capacity(names.len());
        for name in names {
            let name = name.as_str().filter(|n| !n.is_empty());
            let name = name.ok_or_else(|| wrong(format!("{at}names"), "not the name of a system call"))?;
            if verdict == NOTIFY && name == "write" {
                // As runc: by it the process would be told of, before anybody could answer.
                return Err(wrong(
                    format!("{at}names"),
                    "SCMP_ACT_NOTIFY cannot be used for the write syscall",
                ));
            }
            match finder.find(name) {
                Some(line) => lines.push(line),
                None => self.unknown.push(name.to_owned()),
            }
        }
        let mut conds = Vec::new();
        for (i, arg) in list(call, "args", &at)?.unwrap_or_default().iter().enumerate() {
            conds.push(condition(arg, &format!("{at}args.{i}."))?);
        }
        self.named.extend_from_slice(&lines);
        if verdict == self.default {
            return Ok(());
        }
        self.notifies |= verdict == NOTIFY && !lines.is_empty();
        let mut times = [0_usize; 6];
        conds.iter().for_each(|c| times[usize::from(c.index)] += 1);
        if self.rules.len() + conds.len() > RULES {
            return Err(wrong("syscalls", format!("more than {RULES} rules")));
        }
        if times.iter().any(|n| *n > 1) {
            // An argument twice: any one of the conditions will do. It was always so in runc, and
            // profiles count on it.
            for c in &conds {
                self.rules.push(Rule { calls: lines.clone(), conds: vec![*c], verdict });
            }
            return Ok(());
        }
        conds.sort_by_key(|c| c.index);
        self.rules.push(Rule { calls: lines, conds, verdict });
        Ok(())
    }

    /// Without the key: SPEC_ALLOW, as runc and crun.
    fn set_flags(&mut self, list: Option<&[Value]>) -> Result<(), Error> {
        let Some(list) = list else {
            self.flags = SPEC_ALLOW;
            self.words = vec!["SECCOMP_FILTER_FLAG_SPEC_ALLOW"];
            return Ok(());
        };
        for v in list {
            let name = v.as_str().unwrap_or_default();
            let (name, bit) = word(&FLAGS, name).ok_or_else(|| wrong("flags", format!("{v} is no flag")))?;
            // The kernel refuses it without a listener, whom alone it concerns.
            if bit != WAIT_KILLABLE || self.notifies {
                self.flags |= bit;
                self.words.push(name);
            }
        }
        Ok(())
    }

    fn check_listener(&self) -> Result<(), Error> {
        if self.notifies && self.listener.is_none() {
            return Err(wrong("listenerPath", "missing, and an action is SCMP_ACT_NOTIFY"));
        }
        if self.metadata.is_some() && self.listener.is_none() {
            return Err(wrong("listenerMetadata", "there is no listenerPath"));
        }
        Ok(())
    }
}

fn condition(value: &Value, at: &str) -> Result<Cond, Error> {
    let Value::Object(of) = value else { return Err(wrong(at.trim_end_matches('.'), "not an object")) };
    let missing = |key: &str| wrong(format!("{at}{key}"), "missing");
    let index = number(of, "index", at)?.ok_or_else(|| missing("index"))?;
    let index = u8::try_from(index)
        .ok()
        .filter(|i| *i < 6)
        .ok_or_else(|| wrong(format!("{at}index"), "a system call has six arguments, from 0"))?;
    let name = text(of, "op", at)?.unwrap_or_default();
    let (_, op) =
        word(&OPERATORS, name).ok_or_else(|| wrong(format!("{at}op"), format!("{name:?} is no operator")))?;
    // Both are in every profile that an engine writes; left out they are 0, as in runc.
    let value = number(of, "value", at)?.unwrap_or_default();
    let two = number(of, "valueTwo", at)?.unwrap_or_default();
    Ok(match op {
        Op::Masked => Cond { index, op, mask: value, value: two & value },
        _ => Cond { index, op, mask: u64::MAX, value },
    })
}
