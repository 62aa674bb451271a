//! `linux.seccomp` (config-linux.md, Seccomp).

use super::{Result, one_of, word};
use crate::{Doc, shape};
use serde_json::Value;

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

const OPERATORS: [&str; 7] = [
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

const ARCHITECTURES: [&str; 23] = [
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];

const FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

pub(super) fn check(doc: &Doc) -> Result {
    let at = "/linux/seccomp";
    let Some(seccomp) = doc.get(at) else { return Ok(()) };
    let default = word(seccomp, at, "defaultAction")?;
    action(&format!("{at}/defaultAction"), default)?;
    if default == "SCMP_ACT_NOTIFY" {
        return Err(shape(&format!("{at}/defaultAction"), "SCMP_ACT_NOTIFY cannot be it"));
    }
    errno(&format!("{at}/defaultErrnoRet"), seccomp.get("defaultErrnoRet"), default)?;
    for (key, words) in [("architectures", &ARCHITECTURES[..]), ("flags", &FLAGS[..])] {
        for word in doc.strings(&format!("{at}/{key}"))? {
            one_of(&format!("{at}/{key}"), &word, words)?;
        }
    }
    let mut notifies = false;
    for (n, rule) in doc.list("/linux/seccomp/syscalls").iter().enumerate() {
        let at = format!("{at}/syscalls/{n}");
        if rule.get("names").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            return Err(shape(&format!("{at}/names"), "is missing"));
        }
        let word = word(rule, &at, "action")?;
        action(&format!("{at}/action"), word)?;
        notifies |= word == "SCMP_ACT_NOTIFY";
        errno(&format!("{at}/errnoRet"), rule.get("errnoRet"), word)?;
        arguments(&at, rule)?;
    }
    let there = |key: &str| doc.text(&format!("{at}/{key}")).is_some_and(|t| !t.is_empty());
    if notifies && !there("listenerPath") {
        return Err(shape(&format!("{at}/listenerPath"), "is missing: a rule has SCMP_ACT_NOTIFY"));
    }
    if there("listenerMetadata") && !there("listenerPath") {
        return Err(shape(&format!("{at}/listenerMetadata"), "without listenerPath"));
    }
    Ok(())
}

fn action(key: &str, word: &str) -> Result {
    one_of(key, word, &ACTIONS)
}

/// Only two actions have one.
fn errno(key: &str, value: Option<&Value>, action: &str) -> Result {
    let given = value.is_some_and(|v| !v.is_null() && v.as_u64() != Some(0));
    if given && !matches!(action, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE") {
        return Err(shape(key, &format!("{action} has none")));
    }
    Ok(())
}

fn arguments(at: &str, rule: &Value) -> Result {
    for (n, arg) in rule.get("args").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let at = format!("{at}/args/{n}");
        one_of(&format!("{at}/op"), word(arg, &at, "op")?, &OPERATORS)?;
        if arg.get("index").and_then(Value::as_u64).is_none_or(|i| i > 5) {
            return Err(shape(&format!("{at}/index"), "not from 0 to 5"));
        }
    }
    Ok(())
}
