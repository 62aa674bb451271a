//! A filter before it is laid out: tests and verdicts, each made once and shared by all that lead
//! to it. What a node leads to was made before it.

use crate::bpf::{AND, JA, JEQ, JGE, LD, MAX, RET};
use crate::{Error, Insn};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A node's place in the graph.
pub type Node = u32;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Is {
    Verdict(u32),
    /// Load the word at this offset.
    Load(u32, Node),
    And(u32, Node),
    Test(u16, u32, Node, Node),
}

/// Multiplication scatters enough for keys this small; SipHash would cost a third of the compilation.
#[derive(Default)]
struct Scatter(u64);

impl Hasher for Scatter {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u64(u64::from(*b));
        }
    }
    fn write_u16(&mut self, n: u16) {
        self.write_u64(n.into());
    }
    fn write_u32(&mut self, n: u32) {
        self.write_u64(n.into());
    }
    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

/// All nodes of one filter.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Is>,
    known: HashMap<Is, Node, BuildHasherDefault<Scatter>>,
}

/// A run of values from its first on, and where they lead; the run ends where the next begins.
pub type Runs = Vec<(u32, Node)>;

impl Graph {
    fn node(&mut self, is: Is) -> Node {
        let next = self.nodes.len() as Node;
        let nodes = &mut self.nodes;
        *self.known.entry(is).or_insert_with(|| {
            nodes.push(is);
            next
        })
    }

    /// The end.
    pub fn verdict(&mut self, value: u32) -> Node {
        self.node(Is::Verdict(value))
    }

    /// With the word at an offset of `seccomp_data`, on to `next`.
    pub fn load(&mut self, offset: u32, next: Node) -> Node {
        // What does not look at the word needs none.
        match self.nodes[next as usize] {
            Is::Verdict(_) | Is::Load(..) => next,
            _ => self.node(Is::Load(offset, next)),
        }
    }

    /// With the bits of a mask alone.
    pub fn and(&mut self, mask: u32, next: Node) -> Node {
        self.node(Is::And(mask, next))
    }

    /// A test of the word that was loaded from `offset`.
    pub fn test(&mut self, offset: u32, code: u16, k: u32, yes: Node, no: Node) -> Node {
        let (yes, no) = (self.loaded(offset, yes), self.loaded(offset, no));
        if yes == no { yes } else { self.node(Is::Test(code, k, yes, no)) }
    }

    /// The node without the load of a word that is there already.
    fn loaded(&self, offset: u32, node: Node) -> Node {
        match self.nodes[node as usize] {
            Is::Load(o, next) if o == offset => next,
            _ => node,
        }
    }

    /// Tests that tell the runs apart; the first begins at 0.
    pub fn tree(&mut self, offset: u32, runs: &[(u32, Node)]) -> Node {
        let mut merged: Runs = Vec::with_capacity(runs.len());
        for (start, node) in runs {
            let node = self.loaded(offset, *node);
            if merged.last().is_none_or(|(_, n)| *n != node) {
                merged.push((*start, node));
            }
        }
        let (runs, odd) = without_odd(&merged);
        self.split(offset, &runs, &odd)
    }

    /// Halves by a comparison each, down to one run and the odd ones in it.
    fn split(&mut self, offset: u32, runs: &[(u32, Node)], odd: &[(u32, Node)]) -> Node {
        if runs.len() < 2 {
            let end = runs.first().map_or(0, |r| r.1);
            return odd.iter().rev().fold(end, |no, (k, yes)| self.test(offset, JEQ, *k, *yes, no));
        }
        // By weight, so that no path grows long.
        let weight = runs.len() + odd.len();
        let (mut at, mut best) = (1, usize::MAX);
        for (i, run) in runs.iter().enumerate().skip(1) {
            let left = i + odd.partition_point(|o| o.0 < run.0);
            let off = left.abs_diff(weight - left);
            if off < best {
                (at, best) = (i, off);
            }
        }
        let start = runs[at].0;
        let (left, right) = odd.split_at(odd.partition_point(|o| o.0 < start));
        let no = self.split(offset, &runs[..at], left);
        let yes = self.split(offset, &runs[at..], right);
        self.test(offset, JGE, start, yes, no)
    }

    /// The program: the last node first in the making, so that each jump leads forward.
    pub fn program(&self, root: Node) -> Result<Vec<Insn>, Error> {
        let mut used = vec![false; self.nodes.len()];
        used[root as usize] = true;
        for n in (0..=root as usize).rev() {
            if used[n] {
                for next in self.nodes[n].leads_to() {
                    used[next as usize] = true;
                }
            }
        }
        let mut out = Layout { at: vec![0; self.nodes.len()], insns: Vec::new() };
        for (n, is) in self.nodes.iter().enumerate().filter(|(n, _)| used[*n]) {
            out.lay(n as Node, *is, self);
            if out.insns.len() > MAX {
                let why = format!("more than the {MAX} instructions that the kernel takes");
                return Err(Error { key: "syscalls".into(), why });
            }
        }
        out.insns.reverse();
        Ok(out.insns)
    }
}

impl Is {
    fn leads_to(self) -> impl Iterator<Item = Node> {
        let pair = match self {
            Is::Verdict(_) => [None, None],
            Is::Load(_, next) | Is::And(_, next) => [Some(next), None],
            Is::Test(_, _, yes, no) => [Some(yes), Some(no)],
        };
        pair.into_iter().flatten()
    }
}

/// Runs of one value between two that lead to the same place: one test for equality instead of two
/// comparisons.
fn without_odd(runs: &[(u32, Node)]) -> (Runs, Runs) {
    let (mut kept, mut odd): (Runs, Runs) = (Vec::with_capacity(runs.len()), Vec::new());
    let mut i = 0;
    while i < runs.len() {
        let single = runs.get(i + 1).is_some_and(|next| next.0 == runs[i].0 + 1);
        match (kept.last(), runs.get(i + 1)) {
            (Some(last), Some(next)) if single && last.1 == next.1 => {
                odd.push(runs[i]);
                i += 2; // the next goes on where the last one was
            }
            _ => {
                kept.push(runs[i]);
                i += 1;
            }
        }
    }
    (kept, odd)
}

/// Instructions from the last to the first, and where each node lies.
struct Layout {
    at: Vec<usize>,
    insns: Vec<Insn>,
}

impl Layout {
    /// How many instructions lie between the one to come and a node.
    fn skip(&self, to: Node) -> usize {
        self.insns.len() - 1 - self.at[to as usize]
    }

    fn push(&mut self, code: u16, k: u32) {
        self.insns.push(Insn { code, jt: 0, jf: 0, k });
    }

    fn lay(&mut self, node: Node, is: Is, graph: &Graph) {
        match is {
            Is::Verdict(v) => self.push(RET, v),
            Is::Load(k, next) | Is::And(k, next) => {
                if self.skip(next) != 0 {
                    let far = self.skip(next) as u32;
                    self.push(JA, far);
                }
                self.push(if matches!(is, Is::Load(..)) { LD } else { AND }, k);
            }
            Is::Test(code, k, yes, no) => {
                // Bringing one near moves the other a step away.
                while let Some(far) = [yes, no].into_iter().find(|n| self.skip(*n) > 255) {
                    self.near(far, graph);
                }
                let insn = Insn { code, jt: self.skip(yes) as u8, jf: self.skip(no) as u8, k };
                self.insns.push(insn);
            }
        }
        self.at[node as usize] = self.insns.len() - 1;
    }

    /// A test reaches 255 instructions: further on it goes by way of a jump, or of the same verdict
    /// once more.
    fn near(&mut self, node: Node, graph: &Graph) {
        match graph.nodes[node as usize] {
            Is::Verdict(v) => self.push(RET, v),
            _ => {
                let far = self.skip(node) as u32;
                self.push(JA, far);
            }
        }
        self.at[node as usize] = self.insns.len() - 1;
    }
}
