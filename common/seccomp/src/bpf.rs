//! Classic BPF as the kernel takes it for a filter (linux/filter.h), and a machine that runs it.

use std::fmt::Write;

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// What to do.
    pub code: u16,
    /// How many instructions a true test skips.
    pub jt: u8,
    /// How many a false one does.
    pub jf: u8,
    /// The constant.
    pub k: u32,
}

/// Load the word of `seccomp_data` at offset k.
pub const LD: u16 = 0x20;
/// Skip k instructions.
pub const JA: u16 = 0x05;
/// Equal to k?
pub const JEQ: u16 = 0x15;
/// More than k?
pub const JGT: u16 = 0x25;
/// k or more?
pub const JGE: u16 = 0x35;
/// Any bit of k?
pub const JSET: u16 = 0x45;
/// Keep the bits of k.
pub const AND: u16 = 0x54;
/// The verdict is k.
pub const RET: u16 = 0x06;

/// As many instructions as the kernel takes (BPF_MAXINSNS).
pub const MAX: usize = 4096;

/// `struct seccomp_data`, with its arguments as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// Number of the call.
    pub number: u32,
    /// AUDIT_ARCH_*.
    pub arch: u32,
    /// The arguments.
    pub args: [u64; 6],
    /// Whether the upper half of an argument comes first in memory.
    pub big: bool,
}

impl Data {
    fn word(&self, offset: u32) -> Option<u32> {
        let arg = |at: u32| {
            let value = self.args.get(at as usize / 8)?;
            Some(if (at % 8 == 4) != self.big { (value >> 32) as u32 } else { *value as u32 })
        };
        match offset {
            0 => Some(self.number),
            4 => Some(self.arch),
            8 | 12 => Some(0),
            at if at % 4 == 0 => arg(at - 16),
            _ => None,
        }
    }
}

/// What a program says to a call: SECCOMP_RET_* with its data. `None`: the program is none that the
/// kernel would take.
pub fn verdict(program: &[Insn], data: &Data) -> Option<u32> {
    let (mut at, mut a) = (0, 0);
    loop {
        let i = program.get(at)?;
        let test = match i.code {
            LD => {
                a = data.word(i.k)?;
                None
            }
            AND => {
                a &= i.k;
                None
            }
            RET => return Some(i.k),
            JA => {
                at += i.k as usize;
                None
            }
            JEQ => Some(a == i.k),
            JGT => Some(a > i.k),
            JGE => Some(a >= i.k),
            JSET => Some(a & i.k != 0),
            _ => return None,
        };
        at += 1 + match test {
            None => 0,
            Some(true) => usize::from(i.jt),
            Some(false) => usize::from(i.jf),
        };
    }
}

/// A program as tools print it: `LENGTH,CODE JT JF K,...` (iptables-extensions(8), bpf).
pub fn text(program: &[Insn]) -> String {
    let mut out = program.len().to_string();
    for i in program {
        let _ = write!(out, ",{} {} {} {}", i.code, i.jt, i.jf, i.k);
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_data() {
        let mut data = Data { number: 1, arch: 2, args: [0x3_0000_0004, 0, 0, 0, 0, 5], big: false };
        assert_eq!([0, 4, 16, 20, 56].map(|o| data.word(o).unwrap()), [1, 2, 4, 3, 5]);
        data.big = true;
        assert_eq!([16, 20, 60].map(|o| data.word(o).unwrap()), [3, 4, 5]);
        assert_eq!((data.word(64), data.word(17)), (None, None));
    }

    #[test]
    fn runs_off_the_end() {
        let i = Insn { code: JA, jt: 0, jf: 0, k: 5 };
        assert_eq!(verdict(&[i], &Data::default()), None);
        assert_eq!(text(&[i]), "1,5 0 0 5");
    }
}
