//! Filters of system calls.

use crate::{Ask, Fail};
use std::os::fd::OwnedFd;
use sys::seccomp::{ASK, Insn};
use sys::{EINVAL, Errno};

/// BPF_RET | BPF_K.
const RET: u16 = 0x06;

/// The filter of an act, `LENGTH,CODE JT JF K,...`; `None`: it is none.
pub fn program(text: &str) -> Option<Vec<Insn>> {
    let (len, rest) = text.split_once(',')?;
    let insn = |text: &str| {
        let mut n = text.split(' ');
        let i = (
            n.next()?.parse().ok()?,
            n.next()?.parse().ok()?,
            n.next()?.parse().ok()?,
            n.next()?.parse().ok()?,
        );
        n.next().is_none().then_some(i)
    };
    let insns: Option<Vec<Insn>> = rest.split(',').map(insn).collect();
    insns.filter(|i| len.parse() == Ok(i.len()))
}

/// Loads it for this process; gives the listener where it asks somebody.
pub fn load(filter: &str, flags: &[String], ask: Option<&Ask>) -> Result<Option<OwnedFd>, Fail> {
    let wrong = |why: String| Fail { errno: Errno(EINVAL), why: Some(why), status: None };
    let mut insns = program(filter).ok_or_else(|| wrong("its filter is no program".into()))?;
    let bits = bits(flags).map_err(|flag| wrong(format!("{flag} is no flag")))?;
    if matches!(ask, Some(Ask::Parent {})) {
        for i in insns.iter_mut().filter(|i| i.0 == RET && is_told(i.3)) {
            i.3 = ASK;
        }
    }
    sys::seccomp::load(&insns, bits, ask.is_some()).map_err(|e| Fail {
        why: (e == Errno(sys::EACCES)).then(|| "it needs CAP_SYS_ADMIN, or noNewPrivileges".into()),
        ..e.into()
    })
}

/// The flags that a filter is loaded with; an error is the word that is none.
pub fn bits(flags: &[String]) -> Result<u32, &str> {
    flags.iter().try_fold(0, |bits, flag| match flag.as_str() {
        "SECCOMP_FILTER_FLAG_TSYNC" => Ok(bits), // one thread
        "SECCOMP_FILTER_FLAG_LOG" => Ok(bits | 2),
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(bits | 4),
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => Ok(bits | 32),
        other => Err(other),
    })
}

/// What somebody can be told of by being asked first: failures, killings and what is only logged. A
/// trap is the program's own to handle.
pub fn is_told(verdict: u32) -> bool {
    matches!(verdict & 0xffff_0000, 0 | 0x8000_0000 | 0x0005_0000 | 0x7ffc_0000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn filters_as_text() {
        assert_eq!(program("1,6 0 0 2147418112").unwrap(), [(6, 0, 0, 0x7fff_0000)]);
        for wrong in ["", "1", "2,6 0 0 0", "1,6 0 0", "1,6 0 0 0 0", "1,6 0 0 x", "1,6 0 256 0"] {
            assert_eq!(program(wrong), None, "{wrong}");
        }
    }
}
