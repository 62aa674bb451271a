//! Profiles as docker and podman publish them: `linux.seccomp` whose entries may depend on the
//! capabilities, the machine and its kernel (`includes`, `excludes`), and an `archMap` in place of
//! the architectures.

use crate::arch::Arch;
use crate::{Error, native};
use serde_json::{Map, Value};

/// What the entries of a profile may depend on.
pub struct Machine<'a> {
    /// The bounding set of the process.
    pub bounding: &'a [String],
    /// The machine's own architecture.
    pub arch: &'static Arch,
    /// Major and minor number of the kernel's release.
    pub kernel: (u32, u32),
}

/// docker's words for architectures: Go's, and libseccomp's for what Go has none.
const WORDS: [(&str, &str); 13] = [
    ("SCMP_ARCH_X86_64", "amd64"),
    ("SCMP_ARCH_X86", "x86"),
    ("SCMP_ARCH_AARCH64", "arm64"),
    ("SCMP_ARCH_ARM", "arm"),
    ("SCMP_ARCH_RISCV64", "riscv64"),
    ("SCMP_ARCH_LOONGARCH64", "loong64"),
    ("SCMP_ARCH_PPC64LE", "ppc64le"),
    ("SCMP_ARCH_PPC64", "ppc64"),
    ("SCMP_ARCH_PPC", "ppc"),
    ("SCMP_ARCH_S390X", "s390x"),
    ("SCMP_ARCH_S390", "s390"),
    ("SCMP_ARCH_MIPS64", "mips64"),
    ("SCMP_ARCH_MIPSEL64", "mipsel64"),
];

/// A profile as a legal `linux.seccomp`: what does not concern the machine is left out, keys that no
/// specification has as well. One that is legal already stays as it is.
pub fn resolve(profile: &Value, machine: &Machine) -> Result<Value, Error> {
    let wrong = |key: &str, why: &str| Error { key: key.into(), why: why.into() };
    let Value::Object(of) = profile else { return Err(wrong("", "not an object")) };
    let mut out = Map::new();
    for (key, value) in of {
        if key != "archMap" && key != "syscalls" && !value.is_null() {
            out.insert(key.clone(), value.clone());
        }
    }
    if let Some(map) = of.get("archMap").and_then(Value::as_array).filter(|m| !m.is_empty()) {
        if out.get("architectures").and_then(Value::as_array).is_some_and(|a| !a.is_empty()) {
            return Err(wrong("archMap", "there are architectures as well"));
        }
        let own = map.iter().find(|m| m["architecture"] == machine.arch.oci);
        let also = own.and_then(|m| m["subArchitectures"].as_array()).into_iter().flatten().cloned();
        let list: Vec<Value> = own.map(|m| m["architecture"].clone()).into_iter().chain(also).collect();
        out.insert("architectures".into(), list.into());
    }
    let mut calls = Vec::new();
    for (n, entry) in of.get("syscalls").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let Value::Object(entry) = entry else {
            return Err(wrong(&format!("syscalls.{n}"), "not an object"));
        };
        let list = |key| entry.get(key).filter(|v| !v.is_null());
        if list("excludes").is_some_and(|e| excluded(e, machine))
            || list("includes").is_some_and(|i| !included(i, machine))
        {
            continue;
        }
        let mut call = Map::new();
        // The first form of these files had one name an entry.
        if let Some(name) = entry.get("name").and_then(Value::as_str).filter(|n| !n.is_empty()) {
            call.insert("names".into(), vec![name.to_owned()].into());
        }
        for key in ["names", "action", "errnoRet", "args"] {
            if let Some(v) = list(key) {
                call.insert(key.into(), v.clone());
            }
        }
        calls.push(Value::Object(call));
    }
    out.insert("syscalls".into(), calls.into());
    Ok(Value::Object(out))
}

fn words<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn on_machine(list: &Value, machine: &Machine) -> Option<bool> {
    let arches = words(list, "arches");
    let own = WORDS.iter().find(|(oci, _)| *oci == machine.arch.oci).map_or("", |(_, word)| word);
    (!arches.is_empty()).then(|| arches.contains(&own))
}

/// Whether the kernel is at least the one named (`"4.8"`).
fn new_enough(list: &Value, machine: &Machine) -> Option<bool> {
    let text = list["minKernel"].as_str()?;
    let mut numbers = text.split('.').map(|n| n.parse().unwrap_or(0));
    let least = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Some(machine.kernel >= least)
}

/// Any of the reasons is enough.
fn excluded(list: &Value, machine: &Machine) -> bool {
    let has = |cap: &&str| machine.bounding.iter().any(|b| b == cap);
    on_machine(list, machine) == Some(true)
        || words(list, "caps").iter().any(has)
        || new_enough(list, machine) == Some(true)
}

/// All of the conditions must hold.
fn included(list: &Value, machine: &Machine) -> bool {
    let has = |cap: &&str| machine.bounding.iter().any(|b| b == cap);
    on_machine(list, machine) != Some(false)
        && words(list, "caps").iter().all(has)
        && new_enough(list, machine) != Some(false)
}

impl<'a> Machine<'a> {
    /// This machine; `release` is what uname(2) says (`6.1.0-18-amd64`).
    pub fn native(bounding: &'a [String], release: &str) -> Machine<'a> {
        let mut numbers = release.split(['.', '-', '+']).map(|n| n.parse().unwrap_or(0));
        let kernel = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Machine { bounding, arch: native(), kernel }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::named;
    use serde_json::json;

    #[test]
    fn what_does_not_concern_the_machine_is_left_out() {
        let profile = json!({
            "defaultAction": "SCMP_ACT_ERRNO", "architectures": null,
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
            "syscalls": [
                {"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}, "comment": "x"},
                {"names": ["b"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "7.1"}},
                {"names": ["c"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
                {"names": ["d"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_BPF"]}},
                {"names": ["e"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}, "args": null},
                {"name": "f", "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["arm64"]}},
            ],
        });
        let names = |bounding: &[String], arch: &str, kernel| {
            let machine = Machine { bounding, arch: named(arch).unwrap(), kernel };
            let v = resolve(&profile, &machine).unwrap();
            let calls = v["syscalls"].as_array().unwrap();
            let text: String = calls.iter().map(|c| c["names"][0].as_str().unwrap()).collect();
            (text, v["architectures"].as_array().unwrap().len())
        };
        assert_eq!(names(&[], "SCMP_ARCH_X86_64", (6, 1)), ("adf".into(), 2));
        assert_eq!(names(&["CAP_BPF".into()], "SCMP_ARCH_X86_64", (7, 1)), ("abcf".into(), 2));
        assert_eq!(names(&[], "SCMP_ARCH_AARCH64", (4, 4)), ("de".into(), 0));
        assert_eq!(Machine::native(&[], "6.1.0-18-amd64").kernel, (6, 1));
    }
}
