//! `linux.seccomp` of a document to the program that the kernel runs, with the meaning that
//! libseccomp and runc give it. No system calls are made here, and none is needed but the one that
//! loads the result.
//!
//! A call's number is looked up in a binary tree over runs of numbers that have the same verdict;
//! architectures share what is the same in them. Only such tests are used as the kernel can follow
//! by itself for each number (`seccomp_is_const_allow`), so that it needs not run the filter at all
//! for calls that are always allowed. A test of 32 numbers at once (a bit shifted by the number, and a
//! mask) would make the default profile smaller, and is none of these.
#![forbid(unsafe_code)]

mod arch;
mod args;
mod bpf;
mod calls;
mod default;
mod docker;
mod graph;
mod policy;
mod rules;
mod table;

pub use arch::{Arch, Finder, arches, call_name, named, native};
pub use bpf::{Data, Insn, text, verdict};
pub use default::default_profile;
pub use docker::{Machine, resolve};
pub use policy::{ACTIONS, ALLOW, ERRNO, FLAGS, KILL_THREAD, NOTIFY, OPERATORS, UNKNOWN, Verdict};

use graph::{Graph, Node, Runs};
use policy::Policy;
use serde_json::Value;
use std::fmt;

/// What is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The key below `linux.seccomp`; empty: the whole.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for Error {}

/// A profile as the kernel takes it.
#[derive(Clone, Debug)]
pub struct Filter {
    /// At most 4096 instructions.
    pub program: Vec<Insn>,
    /// Bits for seccomp(2), without the one that asks for a listener.
    pub flags: u32,
    /// The words that they were given by.
    pub words: Vec<&'static str>,
    /// Who answers what the filter asks; `None` where it asks nobody.
    pub listener: Option<Listener>,
    /// Names of calls that no kernel has, as far as we know; their rules are passed over.
    pub unknown: Vec<String>,
}

/// Who answers SCMP_ACT_NOTIFY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `listenerPath`.
    pub path: String,
    /// `listenerMetadata`.
    pub metadata: Option<String>,
}

/// Compiles `linux.seccomp`; `None` where it asks for nothing. `native` is the architecture of the
/// machine, which every filter knows whether the profile names it or not.
pub fn compile(value: &Value, native: &'static Arch) -> Result<Option<Filter>, Error> {
    let Some(policy) = Policy::read(value)? else { return Ok(None) };
    let mut arches = vec![native];
    for a in &policy.arches {
        if a.big != native.big {
            let why = format!("{} has the other order of bytes than this machine", a.oci);
            return Err(Error { key: "architectures".into(), why });
        }
        if *a != native {
            arches.push(a);
        }
    }
    let mut graph = Graph::default();
    let root = root(&mut graph, &policy, &arches)?;
    let listener = policy.notifies.then_some(policy.listener).flatten();
    Ok(Some(Filter {
        program: graph.program(root)?,
        flags: policy.flags,
        words: policy.words,
        listener: listener.map(|path| Listener { path, metadata: policy.metadata }),
        unknown: policy.unknown,
    }))
}

/// All that a call of one architecture may get: where its numbers lead.
struct Numbers {
    arch: &'static Arch,
    runs: Runs,
}

fn root(graph: &mut Graph, policy: &Policy, arches: &[&'static Arch]) -> Result<Node, Error> {
    let mut tables = Vec::with_capacity(arches.len());
    for arch in arches {
        tables.push(Numbers { arch, runs: calls::numbers(graph, policy, arch)? });
    }
    let x32 = tables.iter().position(|t| t.arch.oci == "SCMP_ARCH_X32").map(|i| tables.remove(i));
    let split = shared_end(&tables);
    let mut node = graph.verdict(KILL_THREAD);
    for table in tables.iter().rev() {
        let mut tree = tree(graph, &table.runs, split);
        if table.arch.oci == "SCMP_ARCH_X86_64" {
            tree = with_x32(graph, policy, table, tree, x32.as_ref());
        }
        tree = graph.load(0, tree);
        node = graph.test(4, bpf::JEQ, table.arch.audit, tree, node);
    }
    if let (Some(x32), false) = (&x32, arches.iter().any(|a| a.oci == "SCMP_ARCH_X86_64")) {
        let kill = graph.verdict(KILL_THREAD);
        let tree = graph.tree(0, &x32.runs);
        let tree = graph.and(!arch::X32_BIT, tree);
        let tree = graph.test(0, bpf::JSET, arch::X32_BIT, tree, kill);
        let tree = graph.load(0, tree);
        node = graph.test(4, bpf::JEQ, x32.arch.audit, tree, node);
    }
    Ok(graph.load(4, node))
}

/// Where from on two architectures have the same numbers and verdicts: since Linux 5.1 a new call
/// has the same number everywhere. `None` where it is not worth a test.
fn shared_end(tables: &[Numbers]) -> Option<u32> {
    let (first, others) = tables.split_first()?;
    let mut split = None;
    for other in others {
        let (mut at, mut same) = (None, 0);
        for (a, b) in first.runs.iter().rev().zip(other.runs.iter().rev()) {
            if a.1 != b.1 {
                break;
            }
            at = Some(a.0.max(b.0));
            same += 1;
            if a.0 != b.0 {
                break;
            }
        }
        if same > 3 {
            split = split.max(at);
        }
    }
    split.filter(|at| *at > 0)
}

fn tree(graph: &mut Graph, runs: &[(u32, Node)], split: Option<u32>) -> Node {
    let Some(at) = split else { return graph.tree(0, runs) };
    let n = runs.partition_point(|r| r.0 < at);
    let right = match runs.get(n) {
        Some(r) if r.0 == at => graph.tree(0, &runs[n..]),
        _ => graph.tree(0, &runs[n.saturating_sub(1)..]),
    };
    let left = graph.tree(0, &runs[..n]);
    graph.test(0, bpf::JGE, at, right, left)
}

/// x86_64 and x32 have one `seccomp_data.arch`; a bit of the number tells them apart. Without x32 in
/// the profile its calls are those of a foreign architecture, but for -1, by which a tracer has
/// a call skipped.
fn with_x32(graph: &mut Graph, policy: &Policy, table: &Numbers, tree: Node, x32: Option<&Numbers>) -> Node {
    let Some(x32) = x32 else {
        let (kill, default) = (graph.verdict(KILL_THREAD), graph.verdict(policy.default));
        let foreign = graph.test(0, bpf::JEQ, u32::MAX, default, kill);
        return graph.test(0, bpf::JSET, arch::X32_BIT, foreign, tree);
    };
    // Most of its numbers are those of x86_64: only what differs has a tree of its own.
    let differs = overlay(&table.runs, &x32.runs, tree);
    let runs = if differs.len() < x32.runs.len() { &differs } else { &x32.runs };
    let other = graph.tree(0, runs);
    let other = graph.and(!arch::X32_BIT, other);
    graph.test(0, bpf::JSET, arch::X32_BIT, other, tree)
}

/// `over` where it differs from `base`, else on to `same`.
fn overlay(base: &[(u32, Node)], over: &[(u32, Node)], same: Node) -> Runs {
    let mut starts: Vec<u32> = base.iter().chain(over).map(|r| r.0).collect();
    starts.sort_unstable();
    starts.dedup();
    let mut out: Runs = Vec::new();
    let (mut i, mut j) = (0, 0);
    for s in starts {
        while base.get(i + 1).is_some_and(|r| r.0 <= s) {
            i += 1;
        }
        while over.get(j + 1).is_some_and(|r| r.0 <= s) {
            j += 1;
        }
        let node = if base[i].1 == over[j].1 { same } else { over[j].1 };
        if out.last().is_none_or(|(_, n)| *n != node) {
            out.push((s, node));
        }
    }
    out
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
