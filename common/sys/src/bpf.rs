//! Rules for devices as a program of the kernel's, which is how cgroup v2 has them: bpf(2), program
//! type BPF_PROG_TYPE_CGROUP_DEVICE (linux/bpf.h).

use crate::{Errno, Result};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// What may be done with a device, or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeviceRule {
    /// Granted, or denied.
    pub allow: bool,
    /// `b` or `c`; none: both.
    pub kind: Option<char>,
    /// None: all.
    pub major: Option<u32>,
    /// None: all.
    pub minor: Option<u32>,
    /// [`MKNOD`], [`READ`], [`WRITE`].
    pub access: u32,
}

/// BPF_DEVCG_ACC_MKNOD.
pub const MKNOD: u32 = 1;
/// BPF_DEVCG_ACC_READ.
pub const READ: u32 = 2;
/// BPF_DEVCG_ACC_WRITE.
pub const WRITE: u32 = 4;
const ALL: u32 = MKNOD | READ | WRITE;

/// struct bpf_insn.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Insn {
    code: u8,
    /// Destination in the low half, source in the high one.
    registers: u8,
    offset: i16,
    value: i32,
}

/// Opcodes (linux/bpf_common.h, linux/bpf.h).
const LOAD: u8 = 0x61;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const SET: u8 = 0xb7;
const COPY: u8 = 0xbf;
const JUMP: u8 = 0x05;
const JUMP_IF_ANY: u8 = 0x45;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
/// The same of the low 32 bits: numbers of devices have no sign.
const JUMP_UNLESS_EQUAL_32: u8 = 0x56;
const EXIT: u8 = 0x95;

/// Registers: the answer, struct bpf_cgroup_dev_ctx, and what the program keeps.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

const fn insn(code: u8, to: u8, from: u8, offset: i16, value: i32) -> Insn {
    Insn { code, registers: to | from << 4, offset, value }
}

fn answer(allow: bool) -> [Insn; 2] {
    [insn(SET, ANSWER, 0, 0, allow.into()), insn(EXIT, 0, 0, 0, 0)]
}

/// Each kind of access is decided by the last rule that speaks of it; what none speaks of is denied.
/// The program goes from the last rule to the first, and keeps what is not decided yet.
fn compile(rules: &[DeviceRule]) -> Vec<Insn> {
    let mut out = vec![
        insn(LOAD, KIND, CONTEXT, 0, 0),
        insn(COPY, ACCESS, KIND, 0, 0),
        insn(AND, KIND, 0, 0, 0xffff),
        insn(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        insn(LOAD, MAJOR, CONTEXT, 4, 0),
        insn(LOAD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let mut body = Vec::new();
        match (rule.allow, rule.access & ALL) {
            (_, 0) => continue,
            (allow, ALL) => body.extend(answer(allow)),
            (true, some) => {
                body.push(insn(AND, ACCESS, 0, 0, !some as i32));
                body.push(insn(JUMP_UNLESS_EQUAL, ACCESS, 0, 2, 0));
                body.extend(answer(true));
            }
            (false, some) => {
                body.push(insn(JUMP_IF_ANY, ACCESS, 0, 1, some as i32));
                body.push(insn(JUMP, 0, 0, 2, 0));
                body.extend(answer(false));
            }
        }
        let tests = [
            rule.kind.map(|k| (KIND, if k == 'b' { 1 } else { 2 })),
            rule.major.map(|n| (MAJOR, n)),
            rule.minor.map(|n| (MINOR, n)),
        ];
        let tests: Vec<_> = tests.into_iter().flatten().collect();
        for (n, (register, value)) in tests.iter().enumerate() {
            let over = (tests.len() - n - 1 + body.len()) as i16;
            out.push(insn(JUMP_UNLESS_EQUAL_32, *register, 0, over, *value as i32));
        }
        out.extend(&body);
        if tests.is_empty() && rule.access & ALL == ALL {
            return out; // nothing comes after, and the kernel refuses what cannot be reached
        }
    }
    out.extend(answer(false));
    out
}

/// Whether everything is allowed, so that there is nothing to check.
fn allows_all(rules: &[DeviceRule]) -> bool {
    rules.last().is_some_and(|r| {
        r.allow && r.access & ALL == ALL && r.kind.is_none() && r.major.is_none() && r.minor.is_none()
    })
}

/// The largest form of union bpf_attr that is used here, as the kernel takes it: zeroes behind what a
/// command has (newer kernels write behind what older ones know).
type Attr = [u64; 16];

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const PROG_DETACH: i32 = 9;
const PROG_GET_FD_BY_ID: i32 = 13;
const OBJ_GET_INFO_BY_FD: i32 = 15;
const PROG_QUERY: i32 = 16;
/// BPF_PROG_TYPE_CGROUP_DEVICE.
const CGROUP_DEVICE_PROGRAM: u32 = 15;
/// BPF_CGROUP_DEVICE.
const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;
const REPLACE: u32 = 1 << 2;

/// By which a program is known for ours again (15 bytes at most).
const NAME: &[u8] = b"stave_devices";

const fn pair(low: u32, high: u32) -> u64 {
    if cfg!(target_endian = "little") {
        low as u64 | (high as u64) << 32
    } else {
        high as u64 | (low as u64) << 32
    }
}

fn bpf(command: i32, attr: &mut Attr) -> Result<i32> {
    for _ in 0..30 {
        // SAFETY: attr is as long as is said; the addresses in it are of buffers that the callers hold
        // until this returns, each with its length beside it.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of::<Attr>()) };
        match result {
            // The verifier gives up for a signal.
            -1 if Errno::last() == Errno(libc::EAGAIN) => continue,
            -1 => return Err(Errno::last()),
            n => return Ok(n as i32),
        }
    }
    Err(Errno(libc::EAGAIN))
}

fn bpf_fd(command: i32, attr: &mut Attr) -> Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: the command's answer is a new descriptor, close-on-exec, that is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn load(program: &[Insn]) -> Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut name = [0u8; 16];
    name[..NAME.len()].copy_from_slice(NAME);
    let mut attr: Attr = [0; 16];
    attr[0] = pair(CGROUP_DEVICE_PROGRAM, program.len() as u32);
    attr[1] = program.as_ptr() as u64;
    attr[2] = license.as_ptr() as u64;
    // prog_name stands behind log_level, log_size, log_buf, kern_version and prog_flags.
    attr[6] = u64::from_ne_bytes(name[..8].try_into().unwrap_or_default());
    attr[7] = u64::from_ne_bytes(name[8..].try_into().unwrap_or_default());
    bpf_fd(PROG_LOAD, &mut attr)
}

/// Our own programs on a cgroup; those of others are left where they are: they can only deny more.
fn attached(cgroup: &File) -> Result<Vec<OwnedFd>> {
    let mut ids = [0u32; 64]; // the kernel's BPF_CGROUP_MAX_PROGS
    let mut attr: Attr = [0; 16];
    attr[0] = pair(cgroup.as_raw_fd() as u32, CGROUP_DEVICE);
    attr[2] = ids.as_mut_ptr() as u64;
    attr[3] = pair(ids.len() as u32, 0);
    bpf(PROG_QUERY, &mut attr)?;
    let count = (attr[3].to_ne_bytes()[..4].try_into().map(u32::from_ne_bytes).unwrap_or(0)) as usize;
    let mut own = Vec::new();
    for id in ids.iter().take(count) {
        let mut attr: Attr = [0; 16];
        attr[0] = pair(*id, 0);
        // One that a security module hides is not ours.
        let Ok(fd) = bpf_fd(PROG_GET_FD_BY_ID, &mut attr) else { continue };
        // struct bpf_prog_info, as far as its name.
        let mut info = [0u64; 10];
        let mut attr: Attr = [0; 16];
        attr[0] = pair(fd.as_raw_fd() as u32, size_of_val(&info) as u32);
        attr[1] = info.as_mut_ptr() as u64;
        bpf(OBJ_GET_INFO_BY_FD, &mut attr)?;
        let name: Vec<u8> = info[8..].iter().flat_map(|w| w.to_ne_bytes()).collect();
        if name.starts_with(NAME) {
            own.push(fd);
        }
    }
    Ok(own)
}

/// Puts rules for devices on a v2 cgroup, in place of those that were put there so before: there is no
/// moment without. In order, a later rule wins, what no rule speaks of is denied; where the last one
/// allows everything there is no program. It goes with the cgroup.
pub fn filter_devices(cgroup: &Path, rules: &[DeviceRule]) -> Result<()> {
    let cgroup = File::open(cgroup)?;
    let target = cgroup.as_raw_fd() as u32;
    let free = allows_all(rules);
    let before = match attached(&cgroup) {
        // Nothing to put there, and nothing of ours that could be.
        Err(Errno(libc::EPERM | libc::EINVAL | libc::ENOSYS)) if free => return Ok(()),
        other => other?,
    };
    let mut old = before.iter();
    if !free {
        let program = load(&compile(rules))?;
        let replaced = old.next();
        let flags = ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 };
        let mut attr: Attr = [0; 16];
        attr[0] = pair(target, program.as_raw_fd() as u32);
        attr[1] = pair(CGROUP_DEVICE, flags);
        attr[2] = pair(replaced.map_or(0, |fd| fd.as_raw_fd() as u32), 0);
        bpf(PROG_ATTACH, &mut attr)?;
    }
    for fd in old {
        let mut attr: Attr = [0; 16];
        attr[0] = pair(target, fd.as_raw_fd() as u32);
        attr[1] = pair(CGROUP_DEVICE, 0);
        bpf(PROG_DETACH, &mut attr)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RULE: DeviceRule = DeviceRule { allow: true, kind: None, major: None, minor: None, access: ALL };
    const DENY: DeviceRule = DeviceRule { allow: false, ..RULE };

    /// The program's answer, by an interpreter of the few opcodes that it has.
    fn asks(rules: &[DeviceRule], kind: char, major: u32, minor: u32, access: u32) -> bool {
        let program = compile(rules);
        let context = [if kind == 'b' { 1 } else { 2 } | access << 16, major, minor];
        let (mut r, mut at) = ([0u64; 10], 0);
        loop {
            let i = program[at];
            let (to, from) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
            at += 1;
            let jump = match i.code {
                LOAD => {
                    r[to] = context[i.offset as usize / 4].into();
                    false
                }
                AND => {
                    r[to] &= i64::from(i.value) as u64;
                    false
                }
                SHIFT_RIGHT => {
                    r[to] >>= i.value;
                    false
                }
                SET => {
                    r[to] = i.value as u64;
                    false
                }
                COPY => {
                    r[to] = r[from];
                    false
                }
                JUMP => true,
                JUMP_IF_ANY => r[to] & i.value as u64 != 0,
                JUMP_UNLESS_EQUAL => r[to] != i.value as u64,
                JUMP_UNLESS_EQUAL_32 => r[to] as u32 != i.value as u32,
                EXIT => return r[ANSWER as usize] == 1,
                other => panic!("opcode {other:#x}"),
            };
            if jump {
                at += i.offset as usize;
            }
        }
    }

    #[test]
    fn the_last_rule_wins() {
        let null = DeviceRule { kind: Some('c'), major: Some(1), minor: Some(3), ..RULE };
        let rules = [
            DENY,
            DeviceRule { kind: Some('c'), access: MKNOD, ..RULE },
            null,
            DeviceRule { kind: Some('b'), major: Some(u32::MAX), access: READ, ..RULE },
            DeviceRule { allow: false, access: WRITE, ..null },
        ];
        for (kind, major, minor, access, allowed) in [
            ('c', 1, 3, READ, true),
            ('c', 1, 3, READ | MKNOD, true),
            ('c', 1, 3, WRITE, false),
            ('c', 1, 3, READ | WRITE, false),
            ('c', 9, 9, MKNOD, true),
            ('c', 9, 9, READ, false),
            ('b', 9, 9, MKNOD, false),
            ('b', u32::MAX, 9, READ, true),
            ('b', u32::MAX, 9, READ | MKNOD, false),
        ] {
            assert_eq!(asks(&rules, kind, major, minor, access), allowed, "{kind} {major}:{minor} {access}");
        }
        assert!(!asks(&[], 'c', 1, 3, READ));
        assert!(asks(&[DENY, RULE], 'b', 8, 0, ALL));
        // Two halves of an access may come from two rules.
        let halves =
            [DENY, DeviceRule { major: Some(1), access: READ, ..RULE }, DeviceRule { access: WRITE, ..RULE }];
        assert!(asks(&halves, 'c', 1, 5, READ | WRITE));
        assert!(!asks(&halves, 'c', 2, 5, READ | WRITE));
    }

    #[test]
    fn the_kernel_takes_it() {
        let Ok(layout) = crate::cgroup::Layout::read() else { return };
        let Some(v2) = layout.v2() else { return eprintln!("skipped: no cgroup v2 here") };
        let dir = v2.at.join(format!("stave-bpf-{}", std::process::id()));
        if std::fs::create_dir(&dir).is_err() {
            return eprintln!("skipped: {} cannot be made", dir.display());
        }
        let tried = (|| {
            let rule = DeviceRule { allow: false, kind: Some('c'), major: Some(1), ..RULE };
            for rules in [&[DENY][..], &[RULE, rule], &[DENY, DeviceRule { access: READ, ..rule }], &[RULE]] {
                filter_devices(&dir, rules)?;
                let count = attached(&File::open(&dir)?)?.len();
                assert_eq!(count, usize::from(!allows_all(rules)));
            }
            Ok(())
        })();
        std::fs::remove_dir(&dir).unwrap();
        match tried {
            Err(e @ Errno(libc::EPERM | libc::ENOSYS)) => eprintln!("skipped: bpf(2): {e}"),
            other => assert_eq!(other, Ok(())),
        }
    }
}
