//! Rules that look at arguments, as nodes. A word of the data has 32 bits: an argument is compared
//! in two halves where the architecture has wide ones.

use crate::arch::Arch;
use crate::bpf::{JEQ, JGE, JGT, JSET};
use crate::graph::{Graph, Node};
use crate::policy::{Cond, Op, Rule};

/// Where the halves of an argument lie in `seccomp_data`.
fn low(arch: &Arch, index: u8) -> u32 {
    16 + 8 * u32::from(index) + if arch.big { 4 } else { 0 }
}

fn high(arch: &Arch, index: u8) -> u32 {
    16 + 8 * u32::from(index) + if arch.big { 0 } else { 4 }
}

/// The first of the rules that holds decides, else `default`.
pub fn nodes(graph: &mut Graph, arch: &Arch, rules: &[(&Rule, &[Cond])], default: Node) -> Node {
    if let Some(node) = intervals(graph, arch, rules, default) {
        return node;
    }
    rules.iter().rev().fold(default, |no, (rule, conds)| {
        let yes = graph.verdict(rule.verdict);
        conds.iter().rev().fold(yes, |yes, c| condition(graph, arch, c, yes, no))
    })
}

fn condition(graph: &mut Graph, arch: &Arch, c: &Cond, yes: Node, no: Node) -> Node {
    let (lo, hi) = (low(arch, c.index), high(arch, c.index));
    let (value, above) = (c.value as u32, (c.value >> 32) as u32);
    let (yes, no) = match c.op {
        Op::Ne | Op::Lt | Op::Le => (no, yes),
        _ => (yes, no),
    };
    let node = match c.op {
        Op::Masked => masked(graph, lo, c.mask as u32, value, yes, no),
        Op::Eq | Op::Ne => graph.test(lo, JEQ, value, yes, no),
        Op::Ge | Op::Lt => graph.test(lo, JGE, value, yes, no),
        Op::Gt | Op::Le => graph.test(lo, JGT, value, yes, no),
    };
    let node = graph.load(lo, node);
    if !arch.wide {
        return node;
    }
    let node = match c.op {
        Op::Masked => masked(graph, hi, (c.mask >> 32) as u32, above, node, no),
        Op::Eq | Op::Ne => graph.test(hi, JEQ, above, node, no),
        _ => {
            let node = graph.test(hi, JEQ, above, node, no);
            graph.test(hi, JGT, above, yes, node)
        }
    };
    graph.load(hi, node)
}

fn masked(graph: &mut Graph, offset: u32, mask: u32, value: u32, yes: Node, no: Node) -> Node {
    match (mask, value) {
        (0, _) => yes,
        (u32::MAX, _) => graph.test(offset, JEQ, value, yes, no),
        (_, 0) => graph.test(offset, JSET, mask, no, yes),
        _ => {
            // The word is no longer what was loaded.
            let test = graph.test(u32::MAX, JEQ, value, yes, no);
            graph.and(mask, test)
        }
    }
}

/// Where all rules look at one and the same argument and none at single bits of it, they cut the
/// numbers into intervals: a tree over these, instead of one rule after the other.
fn intervals(graph: &mut Graph, arch: &Arch, rules: &[(&Rule, &[Cond])], default: Node) -> Option<Node> {
    let index = rules.first()?.1.first()?.index;
    let full = if arch.wide { u64::MAX } else { u32::MAX.into() };
    let mut starts = vec![0];
    for (_, conds) in rules {
        let [c] = conds else { return None };
        if c.index != index || (c.op == Op::Masked && c.mask & full != full) {
            return None;
        }
        starts.extend([c.value & full, (c.value & full).saturating_add(1)]);
    }
    starts.retain(|s| *s <= full);
    starts.sort_unstable();
    starts.dedup();
    let mut runs: Vec<(u64, Node)> = Vec::with_capacity(starts.len());
    for s in starts {
        let first = rules.iter().find(|(_, conds)| holds(&conds[0], s, full));
        let node = first.map_or(default, |(rule, _)| graph.verdict(rule.verdict));
        if runs.last().is_none_or(|(_, n)| *n != node) {
            runs.push((s, node));
        }
    }
    let (lo, hi) = (low(arch, index), high(arch, index));
    if !arch.wide {
        let runs: Vec<_> = runs.iter().map(|(s, n)| (*s as u32, *n)).collect();
        let tree = graph.tree(lo, &runs);
        return Some(graph.load(lo, tree));
    }
    Some(halves(graph, (lo, hi), &runs))
}

/// Runs over 64-bit numbers: a tree over the upper halves, whose leaves are trees over the lower.
fn halves(graph: &mut Graph, (lo, hi): (u32, u32), runs: &[(u64, Node)]) -> Node {
    let mut above: Vec<(u32, Node)> = Vec::new();
    let mut i = 0;
    while i < runs.len() {
        let half = (runs[i].0 >> 32) as u32;
        // What holds where this half begins, and every change within it.
        let mut below: Vec<(u32, Node)> = Vec::new();
        if runs[i].0 as u32 != 0 {
            below.push((0, runs[i - 1].1));
        }
        while i < runs.len() && (runs[i].0 >> 32) as u32 == half {
            below.push((runs[i].0 as u32, runs[i].1));
            i += 1;
        }
        let tree = graph.tree(lo, &below);
        above.push((half, graph.load(lo, tree)));
        // From the next half on, what held last.
        let next_change = runs.get(i).map(|r| (r.0 >> 32) as u32);
        if half != u32::MAX && next_change != Some(half + 1) {
            above.push((half + 1, runs[i - 1].1));
        }
    }
    let tree = graph.tree(hi, &above);
    graph.load(hi, tree)
}

fn holds(c: &Cond, at: u64, full: u64) -> bool {
    let value = c.value & full;
    match c.op {
        Op::Ne => at != value,
        Op::Lt => at < value,
        Op::Le => at <= value,
        Op::Eq | Op::Masked => at == value,
        Op::Ge => at >= value,
        Op::Gt => at > value,
    }
}
