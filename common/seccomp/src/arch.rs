//! Architectures as seccomp(2) sees them, and the numbers of their system calls.

use crate::table::{NONE, PRIVATE, TABLE, WIDTH};

/// How many columns of numbers the table has.
pub const COLUMNS: usize = 18;

/// An instruction set with its calling convention.
#[derive(Debug)]
pub struct Arch {
    /// The word of config-linux.md.
    pub oci: &'static str,
    /// AUDIT_ARCH_*, what the kernel puts into `seccomp_data.arch`.
    pub audit: u32,
    /// Whether arguments are 64 bits wide; of others the lower half counts.
    pub wide: bool,
    /// Whether the upper half of an argument comes first in memory.
    pub big: bool,
    /// The first number; those of the table are counted from here.
    pub base: u32,
    /// Numbers of socketcall(2) and ipc(2), which are many calls in one.
    mux: Option<(u32, u32)>,
    column: usize,
}

impl PartialEq for Arch {
    fn eq(&self, other: &Arch) -> bool {
        self.oci == other.oci
    }
}

/// The bit that tells a call of x32 from one of x86_64, which have the same `seccomp_data.arch`.
pub const X32_BIT: u32 = 0x4000_0000;

type Row = (&'static str, u32, u8, bool, u32, Option<(u32, u32)>, usize);

const fn arch((oci, audit, bits, big, base, mux, column): Row) -> Arch {
    Arch { oci, audit, wide: bits == 64, big, base, mux, column }
}

const MUX: Option<(u32, u32)> = Some((102, 117));
const MIPS: Option<(u32, u32)> = Some((4102, 4117));

/// linux/audit.h: the ELF machine, with a bit each for 64-bit and little-endian. Columns as in the table.
static ARCHES: [Arch; 23] = [
    arch(("SCMP_ARCH_X86_64", 0xc000_003e, 64, false, 0, None, 0)),
    arch(("SCMP_ARCH_X86", 0x4000_0003, 32, false, 0, MUX, 1)),
    arch(("SCMP_ARCH_X32", 0xc000_003e, 32, false, X32_BIT, None, 2)),
    arch(("SCMP_ARCH_AARCH64", 0xc000_00b7, 64, false, 0, None, 3)),
    arch(("SCMP_ARCH_ARM", 0x4000_0028, 32, false, 0, None, 4)),
    arch(("SCMP_ARCH_RISCV64", 0xc000_00f3, 64, false, 0, None, 5)),
    arch(("SCMP_ARCH_LOONGARCH64", 0xc000_0102, 64, false, 0, None, 6)),
    arch(("SCMP_ARCH_PPC64LE", 0xc000_0015, 64, false, 0, MUX, 7)),
    arch(("SCMP_ARCH_PPC64", 0x8000_0015, 64, true, 0, MUX, 7)),
    arch(("SCMP_ARCH_PPC", 0x0000_0014, 32, true, 0, MUX, 8)),
    arch(("SCMP_ARCH_S390X", 0x8000_0016, 64, true, 0, MUX, 9)),
    arch(("SCMP_ARCH_S390", 0x0000_0016, 32, true, 0, MUX, 10)),
    arch(("SCMP_ARCH_MIPS", 0x0000_0008, 32, true, 4000, MIPS, 11)),
    arch(("SCMP_ARCH_MIPSEL", 0x4000_0008, 32, false, 4000, MIPS, 11)),
    arch(("SCMP_ARCH_MIPS64", 0x8000_0008, 64, true, 5000, None, 12)),
    arch(("SCMP_ARCH_MIPSEL64", 0xc000_0008, 64, false, 5000, None, 12)),
    arch(("SCMP_ARCH_MIPS64N32", 0xa000_0008, 32, true, 6000, None, 13)),
    arch(("SCMP_ARCH_MIPSEL64N32", 0xe000_0008, 32, false, 6000, None, 13)),
    arch(("SCMP_ARCH_PARISC", 0x0000_000f, 32, true, 0, None, 14)),
    arch(("SCMP_ARCH_PARISC64", 0x8000_000f, 64, true, 0, None, 15)),
    arch(("SCMP_ARCH_M68K", 0x0000_0004, 32, true, 0, MUX, 16)),
    arch(("SCMP_ARCH_SH", 0x4000_002a, 32, false, 0, MUX, 17)),
    arch(("SCMP_ARCH_SHEB", 0x0000_002a, 32, true, 0, MUX, 17)),
];

/// What a multiplexed call does by its first argument (net/socket.c, ipc/syscall.c), by name.
static SOCKET: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];
static IPC: [(&str, u32); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// Every architecture that a profile may name, as config-linux.md spells them.
pub fn arches() -> impl Iterator<Item = &'static Arch> {
    ARCHES.iter()
}

/// By the word of config-linux.md.
pub fn named(oci: &str) -> Option<&'static Arch> {
    ARCHES.iter().find(|a| a.oci == oci)
}

/// That of this program.
pub fn native() -> &'static Arch {
    let little = cfg!(target_endian = "little");
    let oci = match std::env::consts::ARCH {
        "x86" => "SCMP_ARCH_X86",
        "aarch64" => "SCMP_ARCH_AARCH64",
        "arm" => "SCMP_ARCH_ARM",
        "riscv64" => "SCMP_ARCH_RISCV64",
        "loongarch64" => "SCMP_ARCH_LOONGARCH64",
        "powerpc64" if little => "SCMP_ARCH_PPC64LE",
        "powerpc64" => "SCMP_ARCH_PPC64",
        "powerpc" => "SCMP_ARCH_PPC",
        "s390x" => "SCMP_ARCH_S390X",
        "mips64" if little => "SCMP_ARCH_MIPSEL64",
        "mips64" => "SCMP_ARCH_MIPS64",
        _ => "SCMP_ARCH_X86_64",
    };
    named(oci).unwrap_or(&ARCHES[0])
}

impl Arch {
    /// The number of the call in the table's line; `None` where it has no such call.
    pub fn number(&self, line: usize) -> Option<u32> {
        match TABLE.get(line)?.1[self.column] {
            NONE => None,
            n if n >= PRIVATE => Some(0xf_0000 + u32::from(n - PRIVATE)),
            n => Some(self.base + u32::from(n)),
        }
    }

    /// Where the call is one of many in socketcall(2) or ipc(2): that call's number, and the first
    /// argument that stands for it.
    pub fn multiplexed(&self, line: usize) -> Option<(u32, u32)> {
        let (socketcall, ipc) = self.mux?;
        let name = TABLE.get(line).map(name_of)?;
        if let Some(n) = SOCKET.iter().position(|s| *s == name) {
            return Some((socketcall, n as u32 + 1));
        }
        IPC.iter().find(|(s, _)| *s == name).map(|(_, n)| (ipc, *n))
    }
}

/// The name in a line of the table.
pub fn line_name(line: usize) -> &'static str {
    TABLE.get(line).map(name_of).unwrap_or_default()
}

fn name_of(entry: &'static crate::table::Entry) -> &'static str {
    let end = entry.0.iter().position(|b| *b == 0).unwrap_or(WIDTH);
    std::str::from_utf8(&entry.0[..end]).unwrap_or_default()
}

/// Looks names up in the table. Profiles are mostly sorted, so it looks near the last one first.
#[derive(Default)]
pub struct Finder {
    last: usize,
}

impl Finder {
    /// The table's line for a name; `None`: no kernel that we know has such a call.
    pub fn find(&mut self, name: &str) -> Option<usize> {
        if name.len() > WIDTH {
            return None;
        }
        let mut key = [0; WIDTH];
        key[..name.len()].copy_from_slice(name.as_bytes());
        let near = (self.last..self.last + 4).find(|line| TABLE.get(*line).is_some_and(|e| e.0 == key));
        let line = match near {
            Some(line) => line,
            None => TABLE.binary_search_by(|e| e.0.cmp(&key)).ok()?,
        };
        self.last = line + 1;
        Some(line)
    }
}

/// The name of a call as a notification or a signal tells it; `None`: a number without a name.
pub fn call_name(audit: u32, number: u32) -> Option<&'static str> {
    let x32 = audit == ARCHES[0].audit && number & X32_BIT != 0;
    let of = |a: &&Arch| a.audit == audit && (a.oci == "SCMP_ARCH_X32") == x32;
    let arch = ARCHES.iter().find(of)?;
    let line = (0..TABLE.len()).find(|l| arch.number(*l) == Some(number))?;
    Some(name_of(&TABLE[line]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_each_name_once() {
        assert!(TABLE.windows(2).all(|w| w[0].0 < w[1].0));
    }

    #[test]
    fn numbers_of_the_kernel_we_were_built_for() {
        let mut finder = Finder::default();
        let mut number = |arch: &str, name| named(arch).unwrap().number(finder.find(name).unwrap());
        assert_eq!(number("SCMP_ARCH_X86_64", "execve"), Some(59));
        assert_eq!(number("SCMP_ARCH_X86", "execve"), Some(11));
        assert_eq!(number("SCMP_ARCH_X32", "execve"), Some(X32_BIT + 520));
        assert_eq!(number("SCMP_ARCH_AARCH64", "execve"), Some(221));
        assert_eq!(number("SCMP_ARCH_AARCH64", "open"), None);
        assert_eq!(number("SCMP_ARCH_ARM", "set_tls"), Some(0xf_0005));
        assert_eq!(number("SCMP_ARCH_MIPS64N32", "read"), Some(6000));
        assert_eq!(finder.find("no_such_call"), None);
        assert_eq!(finder.find(&"x".repeat(99)), None);
    }

    #[test]
    fn names_by_number() {
        assert_eq!(call_name(0xc000_003e, 165), Some("mount"));
        assert_eq!(call_name(0xc000_003e, X32_BIT + 520), Some("execve"));
        assert_eq!(call_name(0x4000_0003, 21), Some("mount"));
        assert_eq!(call_name(0xc000_003e, 9999), None);
    }

    #[test]
    fn many_calls_in_one() {
        let x86 = named("SCMP_ARCH_X86").unwrap();
        let mut finder = Finder::default();
        assert_eq!(x86.multiplexed(finder.find("sendmmsg").unwrap()), Some((102, 20)));
        assert_eq!(x86.multiplexed(finder.find("shmget").unwrap()), Some((117, 23)));
        assert_eq!(x86.multiplexed(finder.find("read").unwrap()), None);
    }
}
