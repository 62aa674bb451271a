#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;

fn x86_64() -> &'static Arch {
    named("SCMP_ARCH_X86_64").unwrap()
}

fn filter(value: Value) -> Filter {
    compile(&value, x86_64()).unwrap().unwrap()
}

#[test]
fn a_profile_that_asks_for_nothing() {
    assert!(compile(&json!({}), x86_64()).unwrap().is_none());
    assert!(compile(&json!({"syscalls": [], "defaultAction": ""}), x86_64()).unwrap().is_none());
}

#[test]
fn what_is_wrong_is_named() {
    let with = |call: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [call]});
    let args = |arg: Value| with(json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [arg]}));
    for (profile, says) in [
        (json!([]), "not an object"),
        (json!({"defaultAction": 1}), "defaultAction: not a string"),
        (json!({"defaultAction": "ALLOW"}), "defaultAction: \"ALLOW\" is no action"),
        (json!({"defaultAction": "SCMP_ACT_NOTIFY"}), "SCMP_ACT_NOTIFY cannot be used as default action"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}), "SCMP_ACT_ALLOW has no errno"),
        (json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 65536}), "no errno is as large"),
        (
            json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": -1}),
            "defaultErrnoRet: not a whole number",
        ),
        (json!({"syscalls": [{}]}), "defaultAction: \"\" is no action"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["X86"]}), "\"X86\" is no architecture"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_S390X"]}), "order of bytes"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["TSYNC"]}), "\"TSYNC\" is no flag"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}), "there is no listenerPath"),
        (with(json!(1)), "syscalls.0: not an object"),
        (with(json!({"names": ["read"], "action": "x"})), "syscalls.0.action: \"x\" is no action"),
        (with(json!({"names": "read", "action": "SCMP_ACT_ERRNO"})), "syscalls.0.names: not a list"),
        (with(json!({"action": "SCMP_ACT_ERRNO"})), "syscalls.0.names: missing"),
        (with(json!({"names": [""], "action": "SCMP_ACT_ERRNO"})), "not the name of a system call"),
        (with(json!({"names": ["read"], "action": "SCMP_ACT_NOTIFY"})), "listenerPath: missing"),
        (with(json!({"names": ["write"], "action": "SCMP_ACT_NOTIFY"})), "cannot be used for the write"),
        (args(json!(1)), "syscalls.0.args.0: not an object"),
        (args(json!({"index": 6, "op": "SCMP_CMP_EQ"})), "six arguments"),
        (args(json!({"op": "SCMP_CMP_EQ"})), "syscalls.0.args.0.index: missing"),
        (args(json!({"index": 0, "op": "EQ"})), "syscalls.0.args.0.op: \"EQ\" is no operator"),
        (args(json!({"index": 0, "value": "1"})), "args.0.op: \"\" is no operator"),
        (args(json!({"index": 0, "op": "SCMP_CMP_EQ", "value": "1"})), "value: not a whole number"),
    ] {
        let e = compile(&profile, x86_64()).unwrap_err().to_string();
        assert!(e.contains(says), "{profile}: {e}");
    }
}

#[test]
fn flags() {
    let flags = |list: Value| filter(json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": list})).flags;
    assert_eq!(flags(Value::Null), 4);
    assert_eq!(flags(json!([])), 0);
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"])), 2);
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])), 0);
    let asks = filter(json!({
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent", "listenerMetadata": "m",
        "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls": [{"names": ["mkdir", "no_such_call"], "action": "SCMP_ACT_NOTIFY"}],
    }));
    assert_eq!(asks.flags, 32);
    assert_eq!(asks.listener, Some(Listener { path: "/run/agent".into(), metadata: Some("m".into()) }));
    assert_eq!(asks.unknown, ["no_such_call"]);
}

#[test]
fn a_call_newer_than_the_profile() {
    let get = |default: Value, number| {
        let mut profile = json!({"syscalls": [{"names": ["read", "statx"], "action": "SCMP_ACT_ALLOW"}]});
        for (k, v) in default.as_object().unwrap() {
            profile[k] = v.clone();
        }
        let data = Data { number, arch: x86_64().audit, ..Data::default() };
        verdict(&filter(profile).program, &data).unwrap()
    };
    let errno = json!({"defaultAction": "SCMP_ACT_ERRNO"});
    assert_eq!([0, 1, 332, 333].map(|n| get(errno.clone(), n)), [ALLOW, ERRNO | 1, ALLOW, UNKNOWN]);
    assert_eq!(get(json!({"defaultAction": "SCMP_ACT_KILL"}), 333), UNKNOWN);
    assert_eq!(get(json!({"defaultAction": "SCMP_ACT_LOG"}), 333), 0x7ffc_0000);
    // x32's, of which the profile says nothing; -1 is how a tracer has a call skipped.
    assert_eq!(get(errno.clone(), 0x4000_0000), KILL_THREAD);
    assert_eq!(get(errno, u32::MAX), ERRNO | 1);
}

/// What the kernel does once a filter is loaded (seccomp_is_const_allow): whether a number is allowed
/// whatever its arguments, by such instructions as it follows.
fn never_runs(program: &[Insn], arch: u32, number: u32) -> bool {
    let (mut at, mut a) = (0, 0);
    loop {
        let i = program[at];
        let yes = match i.code {
            bpf::LD if i.k == 0 => {
                a = number;
                None
            }
            bpf::LD if i.k == 4 => {
                a = arch;
                None
            }
            bpf::AND => {
                a &= i.k;
                None
            }
            bpf::JA => {
                at += i.k as usize;
                None
            }
            bpf::JEQ => Some(a == i.k),
            bpf::JGE => Some(a >= i.k),
            bpf::JGT => Some(a > i.k),
            bpf::JSET => Some(a & i.k != 0),
            bpf::RET => return i.k == ALLOW,
            _ => return false,
        };
        at += 1 + yes.map_or(0, |yes| usize::from(if yes { i.jt } else { i.jf }));
    }
}

#[test]
fn what_is_always_allowed_never_runs_the_filter() {
    let profile = default_profile(&["CAP_SYS_CHROOT"], x86_64());
    let program = filter(profile.clone()).program;
    let always = &profile["syscalls"][0];
    assert!(always["args"].is_null());
    let names: Vec<&str> = always["names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for arch in ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"] {
        let (arch, mut finder) = (named(arch).unwrap(), Finder::default());
        let lines = names.iter().filter_map(|name| finder.find(name));
        let numbers: Vec<u32> = lines.filter_map(|line| arch.number(line)).collect();
        assert!(numbers.len() > 300);
        for number in numbers {
            assert!(never_runs(&program, arch.audit, number), "{number} of {}", arch.oci);
        }
        let socket = finder.find("socket").and_then(|line| arch.number(line)).unwrap();
        assert!(!never_runs(&program, arch.audit, socket));
    }
    // As few as comparisons of numbers can tell apart: 43 for x86_64, 73 more for x86, 40 for x32.
    assert!(program.len() <= 184, "{}", program.len());
}

#[test]
fn two_rules_that_contradict_each_other() {
    let rule = |action: &str, args: &[u64]| {
        let args: Vec<Value> =
            (0..).zip(args).map(|(i, v)| json!({"index": i, "op": "SCMP_CMP_EQ", "value": v})).collect();
        json!({"names": ["ioctl"], "action": format!("SCMP_ACT_{action}"), "args": args})
    };
    let both = |a: Value, b: Value| {
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [a, b]});
        compile(&profile, x86_64()).map(|f| {
            let data = Data { number: 16, arch: x86_64().audit, args: [5, 1, 0, 0, 0, 0], big: false };
            verdict(&f.unwrap().program, &data).unwrap()
        })
    };
    let e = both(rule("ERRNO", &[5]), rule("TRAP", &[5])).unwrap_err();
    assert_eq!(e.to_string(), "syscalls: two rules want something else of the same ioctl");
    assert!(both(rule("ERRNO", &[5, 1]), rule("TRAP", &[5])).is_err());
    // The first covers the second; without conditions, whichever comes first.
    assert_eq!(both(rule("ERRNO", &[5]), rule("TRAP", &[5, 1])), Ok(ERRNO | 1));
    assert_eq!(both(rule("ERRNO", &[5]), rule("TRAP", &[])), Ok(0x3_0000));
    assert_eq!(both(rule("ERRNO", &[]), rule("TRAP", &[])), Ok(ERRNO | 1));
}

#[test]
fn a_program_that_is_too_long() {
    let calls: Vec<Value> = (0..3000u64)
        .map(|v| {
            let args = json!([{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": v | 1 << 20, "valueTwo": v}]);
            json!({"names": ["ioctl"], "action": "SCMP_ACT_TRAP", "args": args})
        })
        .collect();
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": calls});
    assert!(compile(&profile, x86_64()).unwrap_err().to_string().contains("4096 instructions"));
    let args = vec![json!({"index": 0, "op": "SCMP_CMP_EQ", "value": 1}); 20_000];
    let many = json!({"names": ["ioctl"], "action": "SCMP_ACT_TRAP", "args": args});
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [many]});
    assert!(compile(&profile, x86_64()).unwrap_err().to_string().contains("more than 16384 rules"));
    let some = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": calls[..600]});
    let program = filter(some).program;
    for v in [0, 1, 299, 599, 1 << 20] {
        let data = Data { number: 16, arch: x86_64().audit, args: [v, 0, 0, 0, 0, 0], big: false };
        let meant = if v < 600 { 0x3_0000 } else { ALLOW };
        assert_eq!(verdict(&program, &data), Some(meant), "{v}");
    }
}
