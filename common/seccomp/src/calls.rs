//! The rules of a profile by the numbers of one architecture.

use crate::arch::{self, Arch};
use crate::graph::{Graph, Node, Runs};
use crate::policy::{Cond, KILL_THREAD, Op, Policy, Rule, UNKNOWN, Verdict};
use crate::rules::{Conflict, Order};
use crate::{Error, args};

/// What the rules say about one number.
#[derive(Clone, Copy)]
enum Slot {
    Default,
    Always(Verdict),
    /// Index of the list of rules with conditions.
    Mixed(usize),
}

/// Rules of one number that look at arguments.
#[derive(Default)]
struct Mixed {
    order: Order,
    rules: Vec<(usize, Vec<Cond>)>,
}

/// All numbers of one architecture. x32's are without their bit.
struct Slots {
    base: u32,
    wide: bool,
    near: Vec<Slot>,
    /// Numbers far from the others (ARM's own).
    far: Vec<(u32, Slot)>,
    mixed: Vec<Mixed>,
}

impl Slots {
    fn slot(&mut self, number: u32) -> &mut Slot {
        let at = (number - self.base) as usize;
        if at < self.near.len() {
            return &mut self.near[at];
        }
        let i = match self.far.binary_search_by_key(&number, |f| f.0) {
            Ok(i) => i,
            Err(i) => {
                self.far.insert(i, (number, Slot::Default));
                i
            }
        };
        &mut self.far[i].1
    }

    /// `Err`: another rule wants something else of the same call.
    fn add(&mut self, number: u32, rule: usize, verdict: Verdict, conds: &[Cond]) -> Result<(), Conflict> {
        let wide = self.wide;
        let next = self.mixed.len();
        let slot = self.slot(number);
        let at = match *slot {
            Slot::Always(_) => return Ok(()),
            _ if conds.is_empty() => {
                *slot = Slot::Always(verdict);
                return Ok(());
            }
            Slot::Mixed(at) => at,
            Slot::Default => {
                *slot = Slot::Mixed(next);
                self.mixed.push(Mixed::default());
                next
            }
        };
        let mixed = &mut self.mixed[at];
        let nth = mixed.rules.len();
        mixed.order.add(conds, verdict, nth, wide)?;
        mixed.rules.push((rule, conds.to_vec()));
        if let Some(v) = mixed.order.always {
            *self.slot(number) = Slot::Always(v);
        }
        Ok(())
    }
}

/// Where each number of an architecture leads; x32's without their bit.
pub fn numbers(graph: &mut Graph, policy: &Policy, arch: &'static Arch) -> Result<Runs, Error> {
    let slots = slots(policy, arch)?;
    let default = graph.verdict(policy.default);
    let newest = newest(policy, arch).filter(|_| policy.tells_unknown);
    let mut mixed = Vec::with_capacity(slots.mixed.len());
    for m in &slots.mixed {
        let rules: Vec<(&Rule, &[Cond])> =
            m.order.sorted().into_iter().map(|n| (&policy.rules[m.rules[n].0], &m.rules[n].1[..])).collect();
        mixed.push(args::nodes(graph, arch, &rules, default));
    }
    let mut node = |slot: Slot| match slot {
        Slot::Default => default,
        Slot::Always(v) => graph.verdict(v),
        Slot::Mixed(at) => mixed[at],
    };
    let base = slots.base & !arch::X32_BIT;
    let mut runs: Runs = Vec::with_capacity(160);
    runs.push((0, default));
    let mut push = |start: u32, node: Node| match runs.last_mut() {
        Some(last) if last.0 == start => last.1 = node,
        Some(last) if last.1 == node => {}
        _ => runs.push((start, node)),
    };
    let end = newest.map_or(slots.near.len() as u32, |n| (n & !arch::X32_BIT) + 1 - base);
    for (n, slot) in slots.near.iter().take(end as usize).enumerate() {
        push(base + n as u32, node(*slot));
    }
    let beyond = match newest {
        Some(_) => node(Slot::Always(UNKNOWN)),
        None => default,
    };
    push(base + end, beyond);
    for (n, slot) in &slots.far {
        push(*n, node(*slot));
        push(n + 1, beyond);
    }
    if arch.oci == "SCMP_ARCH_X86_64"
        && newest.is_none()
        && !policy.arches.iter().any(|a| a.oci == "SCMP_ARCH_X32")
    {
        // All that is not below x32's first number is foreign.
        push(2 * arch::X32_BIT, node(Slot::Always(KILL_THREAD)));
    }
    if newest.is_some() && matches!(arch.oci, "SCMP_ARCH_S390" | "SCMP_ARCH_S390X") {
        // Calls that the kernel does not know arrive as number 0, a call that no program makes.
        let first = runs.get(1).filter(|r| r.0 == 1).is_none().then(|| runs[0].1);
        runs[0].1 = graph.verdict(UNKNOWN);
        if let Some(node) = first {
            runs.insert(1, (1, node));
        }
    }
    Ok(runs)
}

fn slots(policy: &Policy, arch: &'static Arch) -> Result<Slots, Error> {
    let near = vec![Slot::Default; 576];
    let mut slots = Slots { base: arch.base, wide: arch.wide, near, far: Vec::new(), mixed: Vec::new() };
    for (nth, rule) in policy.rules.iter().enumerate() {
        for line in &rule.calls {
            let conflict = |_| {
                let name = arch::line_name(*line);
                let why = format!("two rules want something else of the same {name}");
                Error { key: "syscalls".into(), why }
            };
            if let Some((number, first)) = arch.multiplexed(*line) {
                // Its own arguments lie in memory, where no filter can look.
                let mut conds = vec![Cond { index: 0, op: Op::Eq, mask: u64::MAX, value: first.into() }];
                conds.extend(rule.conds.iter().filter(|c| c.index != 0));
                slots.add(number, nth, rule.verdict, &conds).map_err(conflict)?;
            }
            if let Some(number) = arch.number(*line) {
                slots.add(number, nth, rule.verdict, &rule.conds).map_err(conflict)?;
            }
        }
    }
    Ok(slots)
}

/// The highest number that the profile names. What is above it came later, and the profile says
/// nothing about it: such a call fails with ENOSYS, as on a kernel that does not have it, so that
/// programs fall back to an older one (EPERM would be taken for an answer). As runc.
fn newest(policy: &Policy, arch: &'static Arch) -> Option<u32> {
    let own = |line: &&usize| arch.multiplexed(**line).is_none();
    let numbers = policy.named.iter().filter(own).filter_map(|line| arch.number(*line));
    numbers.filter(|n| n & !arch::X32_BIT < 0xf_0000).max().filter(|n| *n != 0)
}
