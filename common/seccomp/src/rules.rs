//! Which of several rules for one call comes first. A rule without conditions, the first of them,
//! is the only one that counts. Others form a tree as in libseccomp: rules that begin with the same
//! comparison share it, and comparisons beside each other go from the last argument to the first,
//! equality before order, and so on; what is met first there decides.

use crate::policy::{Cond, Op, Verdict};

/// A comparison of one 32-bit word, as the tree is sorted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    /// Twice the argument's index, and one for the upper half.
    word: u8,
    /// What is compared in the end; of an upper half of an order: that it is one.
    kind: Kind,
    /// 3: equality; 2: less; 1: more.
    class: u8,
    mask: u32,
    value: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Half,
    Is(Op),
}

#[derive(Debug)]
struct Branch {
    key: Key,
    /// The rule that ends here, and its number.
    end: Option<(Verdict, usize)>,
    more: Vec<Branch>,
}

/// Rules of one call, by their number and in the order in which they decide.
#[derive(Debug, Default)]
pub struct Order {
    top: Vec<Branch>,
    /// Set once a rule without conditions has come.
    pub always: Option<Verdict>,
}

/// Two rules want something else of the very same call.
#[derive(Debug)]
pub struct Conflict;

impl Order {
    /// Adds the next rule of the profile. A conflict where libseccomp has one (EEXIST).
    pub fn add(
        &mut self,
        conds: &[Cond],
        verdict: Verdict,
        number: usize,
        wide: bool,
    ) -> Result<(), Conflict> {
        if self.always.is_some() {
            return Ok(());
        }
        let chain = keys(conds, wide);
        if chain.is_empty() {
            self.always = Some(verdict);
            self.top.clear();
            return Ok(());
        }
        insert(&mut self.top, &chain, verdict, number)
    }

    /// Numbers of the rules, the first that holds decides.
    pub fn sorted(&self) -> Vec<usize> {
        let mut out = Vec::new();
        walk(&self.top, &mut out);
        out
    }
}

fn walk(level: &[Branch], out: &mut Vec<usize>) {
    for b in level {
        out.extend(b.end.map(|(_, n)| n));
        walk(&b.more, out);
    }
}

/// A condition on bits none of which can be set always holds.
fn keys(conds: &[Cond], wide: bool) -> Vec<Key> {
    let mut out = Vec::new();
    for c in conds {
        if c.op == Op::Masked && (c.mask as u32 == 0 && (!wide || c.mask >> 32 == 0)) {
            continue;
        }
        let class = match c.op {
            Op::Eq | Op::Ne | Op::Masked => 3,
            Op::Lt | Op::Le => 2,
            Op::Gt | Op::Ge => 1,
        };
        let key = |kind, half, mask: u64, value: u64| Key {
            word: c.index * 2 + half,
            kind,
            class,
            mask: mask as u32,
            value: value as u32,
        };
        if wide {
            let kind = if class == 3 { Kind::Is(c.op) } else { Kind::Half };
            out.push(key(kind, 1, c.mask >> 32, c.value >> 32));
        }
        out.push(key(Kind::Is(c.op), 0, c.mask, c.value));
    }
    out
}

/// The same test of the same word, whichever of its two answers is wanted.
fn same_test(a: &Key, b: &Key) -> bool {
    let test = |k: &Key| match k.kind {
        Kind::Half => 0,
        Kind::Is(Op::Eq | Op::Ne) => 1,
        Kind::Is(Op::Masked) => 2,
        Kind::Is(Op::Ge | Op::Lt) => 3,
        Kind::Is(Op::Gt | Op::Le) => 4,
    };
    a.word == b.word && test(a) == test(b) && a.value == b.value && a.mask == b.mask
}

fn same(a: &Key, b: &Key) -> bool {
    same_test(a, b) && (a.kind == b.kind)
}

fn after(a: &Key, b: &Key) -> bool {
    if a.word != b.word {
        return a.word < b.word;
    }
    if a.class != b.class {
        return a.class < b.class;
    }
    if a.class == 2 { a.value > b.value } else { a.value < b.value }
}

fn insert(level: &mut Vec<Branch>, chain: &[Key], verdict: Verdict, number: usize) -> Result<(), Conflict> {
    let Some((key, rest)) = chain.split_first() else { return Ok(()) };
    let mut at = level.len();
    for (i, b) in level.iter().enumerate() {
        if same(&b.key, key) {
            return join(&mut level[i], rest, verdict, number);
        }
        if same_test(&b.key, key) {
            // The other answer of a test that is there: both are never true, so it is of no account
            // which of them is asked first, but others come after both.
            let twin = level[i + 1..].iter().position(|o| same(&o.key, key));
            if let Some(t) = twin {
                return join(&mut level[i + 1 + t], rest, verdict, number);
            }
            at = i + 1;
            break;
        }
        if after(&b.key, key) {
            at = i;
            break;
        }
    }
    let mut branch = Branch { key: *key, end: None, more: Vec::new() };
    if rest.is_empty() {
        branch.end = Some((verdict, number));
    } else {
        insert(&mut branch.more, rest, verdict, number)?;
    }
    level.insert(at, branch);
    Ok(())
}

fn join(branch: &mut Branch, rest: &[Key], verdict: Verdict, number: usize) -> Result<(), Conflict> {
    match (branch.end, rest.is_empty()) {
        (Some((v, _)), true) if v != verdict => Err(Conflict),
        // What is there covers the new rule.
        (Some(_), _) => Ok(()),
        (None, true) => {
            if !all(&branch.more, verdict) {
                return Err(Conflict);
            }
            branch.more.clear();
            branch.end = Some((verdict, number));
            Ok(())
        }
        (None, false) => insert(&mut branch.more, rest, verdict, number),
    }
}

fn all(level: &[Branch], verdict: Verdict) -> bool {
    level.iter().all(|b| b.end.is_none_or(|(v, _)| v == verdict) && all(&b.more, verdict))
}
