//! Our filters against libseccomp's, for every number and many arguments.
#![allow(clippy::unwrap_used)]

mod peer;

use peer::{Made, Peer};
use seccomp::{Arch, Data, Finder, Insn, Machine, compile, default_profile, named, native, resolve};
use serde_json::{Value, json};

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// Takes names out of a profile that this libseccomp does not know, or knows no number for on one of
/// the architectures where we do: a newer one would. Numbers that both know are the same.
fn known_to_both(profile: &Value, peer: &mut Peer, arches: &[&'static Arch]) -> (Value, Vec<String>) {
    let (mut profile, mut out, mut finder) = (profile.clone(), Vec::new(), Finder::default());
    for call in profile["syscalls"].as_array_mut().unwrap() {
        call["names"].as_array_mut().unwrap().retain(|n| {
            let name = n.as_str().unwrap();
            let line = finder.find(name);
            let same = arches.iter().all(|arch| {
                let theirs = peer.number(arch, name);
                let ours = line.filter(|l| arch.multiplexed(*l).is_none()).and_then(|l| arch.number(l));
                match ours {
                    Some(n) if theirs >= 0 => assert_eq!(i64::from(n), theirs, "{name} on {}", arch.oci),
                    None => assert!(theirs < 0, "{name} on {} is {theirs}", arch.oci),
                    _ => {}
                }
                ours.is_some() == (theirs >= 0)
            });
            if !same {
                out.push(name.to_owned());
            }
            same
        });
    }
    (profile, out)
}

fn arches_of(profile: &Value, native: &'static Arch) -> Vec<&'static Arch> {
    let mut out = vec![native];
    for a in profile["architectures"].as_array().into_iter().flatten() {
        let arch = named(a.as_str().unwrap()).unwrap();
        if !out.contains(&arch) {
            out.push(arch);
        }
    }
    out
}

/// Numbers where something might change: all that any kernel has, and the edges.
fn numbers() -> Vec<u32> {
    let mut out: Vec<u32> = (0..700).collect();
    out.extend((0..700).map(|n| n | 0x4000_0000));
    for base in [4000, 5000, 6000, 0xf_0000] {
        out.extend(base..base + 500);
    }
    for edge in [0x3fff_ffff_u32, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000, 0xffff_fffe] {
        out.extend(edge.saturating_sub(1)..=edge.saturating_add(1));
    }
    out.extend([0x8000_0005, 0xc000_0005]);
    out
}

/// Constants of a profile, their neighbours, and the same with another upper half.
fn values(profile: &Value) -> Vec<u64> {
    let mut out = vec![0, 1, u32::MAX.into(), u64::MAX, 1 << 32];
    for call in profile["syscalls"].as_array().unwrap() {
        for arg in call["args"].as_array().into_iter().flatten() {
            for v in [&arg["value"], &arg["valueTwo"]] {
                let v = v.as_u64().unwrap_or(0);
                for near in [v, v.wrapping_add(1), v.wrapping_sub(1)] {
                    out.extend([near, near ^ (1 << 32), near & 0xffff_ffff, near | 1 << 63]);
                }
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

fn compare(
    ours: &[Insn],
    theirs: &Made,
    profile: &Value,
    arches: &[&'static Arch],
    tries: usize,
    random: &mut Random,
) -> usize {
    let values = values(profile);
    let mut done = 0;
    let mut audits: Vec<(u32, bool)> = arches.iter().map(|a| (a.audit, a.big)).collect();
    audits.push((0x1234, false));
    audits.dedup();
    for (arch, big) in audits {
        for number in numbers() {
            for n in 0..tries {
                let args = if n == 0 { [0; 6] } else { std::array::from_fn(|_| random.of(&values)) };
                let data = Data { number, arch, args, big };
                let got = seccomp::verdict(ours, &data).unwrap();
                assert_eq!(got, theirs.verdict(&data), "{data:x?} of {profile}");
                done += 1;
            }
        }
    }
    done
}

fn against(profile: &Value, native: &'static Arch, peer: &mut Peer, tries: usize) {
    let arches = arches_of(profile, native);
    let (profile, dropped) = known_to_both(profile, peer, &arches);
    let ours = compile(&profile, native).unwrap().unwrap();
    let theirs = peer.make(&profile, native).unwrap();
    let done = compare(&ours.program, &theirs, &profile, &arches, tries, &mut Random(1));
    eprintln!(
        "{}: {} instructions, libseccomp's {}; {done} verdicts the same; not known there: {dropped:?}",
        native.oci,
        ours.program.len(),
        theirs.len(),
    );
}

const CAPABILITIES: [&str; 14] = [
    "CAP_BPF",
    "CAP_DAC_READ_SEARCH",
    "CAP_PERFMON",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_SYSLOG",
];

#[test]
fn the_default_profile() {
    let Some(mut peer) = Peer::start() else { return };
    against(&default_profile(&["CAP_SYS_CHROOT"], native()), native(), &mut peer, 40);
    against(&default_profile::<&str>(&[], native()), native(), &mut peer, 4);
    against(&default_profile(&CAPABILITIES, native()), native(), &mut peer, 4);
    for cap in CAPABILITIES {
        against(&default_profile(&[cap], native()), native(), &mut peer, 2);
    }
    for arch in ["AARCH64", "RISCV64", "PPC64LE", "S390X", "MIPS64", "MIPSEL64"] {
        let arch = named(&format!("SCMP_ARCH_{arch}")).unwrap();
        against(&default_profile(&["CAP_SYS_CHROOT"], arch), arch, &mut peer, 8);
    }
}

/// docker's own file (moby/profiles, seccomp/default.json), where SECCOMP_DOCKER names one, through
/// libseccomp: what our table says is what it says, in the words of no file.
#[test]
fn the_default_profile_is_dockers() {
    let Some(path) = std::env::var_os("SECCOMP_DOCKER") else {
        eprintln!("skipped: SECCOMP_DOCKER names no file");
        return;
    };
    let Some(mut peer) = Peer::start() else { return };
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let all: Vec<&str> = CAPABILITIES.to_vec();
    let mut sets: Vec<Vec<&str>> = vec![Vec::new(), all, vec!["CAP_SYS_CHROOT"]];
    sets.extend(CAPABILITIES.map(|c| vec![c]));
    for arch in ["X86_64", "AARCH64", "RISCV64", "S390X", "MIPS64", "MIPSEL64", "PPC64LE"] {
        let arch = named(&format!("SCMP_ARCH_{arch}")).unwrap();
        for set in &sets {
            let bounding: Vec<String> = set.iter().map(|c| (*c).to_owned()).collect();
            let theirs = resolve(&file, &Machine { bounding: &bounding, arch, kernel: (6, 1) }).unwrap();
            let arches = arches_of(&theirs, arch);
            let (theirs, _) = known_to_both(&theirs, &mut peer, &arches);
            let (ours, _) = known_to_both(&default_profile(set, arch), &mut peer, &arches);
            let (program, made) =
                (compile(&ours, arch).unwrap().unwrap().program, peer.make(&theirs, arch).unwrap());
            let done = compare(&program, &made, &theirs, &arches, 6, &mut Random(3));
            eprintln!("{} {set:?}: {done} verdicts the same", arch.oci);
        }
    }
}

/// What Debian ships for podman, in the same form as docker's.
#[test]
fn podmans_profile() {
    const PATH: &str = "/usr/share/containers/seccomp.json";
    let Ok(text) = std::fs::read(PATH) else {
        eprintln!("skipped: {PATH} (golang-github-containers-common) is not there");
        return;
    };
    let Some(mut peer) = Peer::start() else { return };
    let file: Value = serde_json::from_slice(&text).unwrap();
    let bounding = ["CAP_SYS_CHROOT".to_owned(), "CAP_AUDIT_WRITE".to_owned()];
    let machine = Machine { bounding: &bounding, arch: native(), kernel: (6, 1) };
    against(&resolve(&file, &machine).unwrap(), native(), &mut peer, 20);
}

const NAMES: [&str; 16] = [
    "read",
    "write",
    "open",
    "socket",
    "connect",
    "accept4",
    "shmget",
    "semop",
    "clone",
    "clone3",
    "personality",
    "ioctl",
    "socketcall",
    "ipc",
    "mount",
    "no_such_call",
];
const ACTIONS: [&str; 9] =
    ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG", "NOTIFY"];
const VALUES: [u64; 12] =
    [0, 1, 2, 5, 7, 0xff, 0x7e02_0000, 0xffff_ffff, 1 << 32, (1 << 32) + 5, 5 << 40, u64::MAX];
const OPERATORS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];

fn action(r: &mut Random, key: &str, errno: &str, actions: &[&'static str]) -> Value {
    let name = r.of(actions);
    let mut v = json!({key: format!("SCMP_ACT_{name}")});
    if matches!(name, "ERRNO" | "TRACE") && r.below(2) == 0 {
        v[errno] = json!(r.of(&[1, 2, 38, 95]));
    }
    v
}

/// `one`: all rules want the same, so that their order is of no account.
fn random_profile(r: &mut Random, one: bool) -> Value {
    let mut profile = action(r, "defaultAction", "defaultErrnoRet", &ACTIONS[..8]);
    let arches = ["X86", "X32", "X86_64", "AARCH64", "ARM", "RISCV64"];
    let picked: Vec<String> = (0..r.below(4)).map(|_| format!("SCMP_ARCH_{}", r.of(&arches))).collect();
    profile["architectures"] = json!(picked);
    profile["listenerPath"] = json!("/x");
    let same = action(r, "action", "errnoRet", &ACTIONS);
    let mut calls = Vec::new();
    for _ in 0..r.below(12) {
        let mut call = if one { same.clone() } else { action(r, "action", "errnoRet", &ACTIONS) };
        let names: Vec<&str> = (0..1 + r.below(3)).map(|_| r.of(&NAMES)).collect();
        let notify = call["action"] == "SCMP_ACT_NOTIFY";
        let names: Vec<&str> = names.into_iter().filter(|n| !notify || *n != "write").collect();
        call["names"] = json!(names);
        let args: Vec<Value> = (0..r.of(&[0, 0, 1, 1, 1, 2, 3]))
            .map(|_| {
                let op = format!("SCMP_CMP_{}", r.of(&OPERATORS));
                json!({"index": r.below(3), "op": op, "value": r.of(if one { &VALUES } else { &VALUES[..5] }), "valueTwo": r.of(&VALUES)})
            })
            .collect();
        call["args"] = json!(args);
        calls.push(call);
    }
    profile["syscalls"] = json!(calls);
    profile
}

/// Whether libseccomp (2.5.4 and 2.6.1) may say something else than the rules do. It shares pieces
/// of its program that expect different words to be loaded: between architectures, and where a rule
/// has several conditions. And where one argument is compared by order in one rule and once more in
/// another (2.6: or twice for inequality), values get lost from its tree whose upper half differs.
fn faulty_there(profile: &Value) -> bool {
    let mut seen: Vec<(&str, u64, bool)> = Vec::new();
    for call in profile["syscalls"].as_array().unwrap() {
        let args = call["args"].as_array().unwrap();
        for name in call["names"].as_array().unwrap() {
            for arg in args {
                let order = !matches!(arg["op"].as_str().unwrap(), "SCMP_CMP_EQ" | "SCMP_CMP_MASKED_EQ");
                seen.push((name.as_str().unwrap(), arg["index"].as_u64().unwrap(), order));
            }
        }
    }
    let twice =
        |a: &(&str, u64, bool)| seen.iter().filter(|b| b.0 == a.0 && (!a.2 || b.1 == a.1)).count() > 1;
    let clash = seen.iter().any(|a| a.2 && twice(a));
    let foreign = |a: &Value| a != "SCMP_ARCH_X86_64";
    let conditions =
        profile["syscalls"].as_array().unwrap().iter().any(|c| c["args"].as_array().unwrap().len() > 1);
    clash || conditions || profile["architectures"].as_array().unwrap().iter().any(foreign)
}

/// What the rules say of a call, read word by word; where all of them want the same.
fn meaning(profile: &Value, theirs: &Made, arch: &Arch, name: &str, data: &Data) -> u32 {
    for call in profile["syscalls"].as_array().unwrap() {
        let conds = call["args"].as_array().unwrap();
        let index = |c: &Value| c["index"].as_u64().unwrap();
        let twice = conds.iter().any(|c| conds.iter().filter(|o| index(o) == index(c)).count() > 1);
        let holds = |c: &Value| {
            let bits = if arch.wide { u64::MAX } else { u32::MAX.into() };
            let (arg, v) = (data.args[index(c) as usize] & bits, c["value"].as_u64().unwrap() & bits);
            match c["op"].as_str().unwrap() {
                "SCMP_CMP_NE" => arg != v,
                "SCMP_CMP_LT" => arg < v,
                "SCMP_CMP_LE" => arg <= v,
                "SCMP_CMP_EQ" => arg == v,
                "SCMP_CMP_GE" => arg >= v,
                "SCMP_CMP_GT" => arg > v,
                _ => arg & v == c["valueTwo"].as_u64().unwrap() & v,
            }
        };
        let so = if twice { conds.iter().any(holds) } else { conds.iter().all(holds) };
        if so && call["names"].as_array().unwrap().iter().any(|n| n == name) {
            return peer::action(call, "action", "errnoRet");
        }
    }
    theirs.default
}

fn fuzz(one: bool, rounds: usize, seed: u64) {
    let Some(mut peer) = Peer::start() else { return };
    let mut r = Random(seed);
    let (mut same, mut refused, mut read, mut other) = (0, 0, 0, 0);
    while same < rounds {
        let profile = random_profile(&mut r, one);
        let faulty = faulty_there(&profile);
        if !one && faulty {
            continue;
        }
        let (ours, theirs) = match (compile(&profile, native()), peer.make(&profile, native())) {
            (Ok(Some(ours)), Ok(theirs)) => (ours, theirs),
            (Err(_), Err(_)) => {
                refused += 1;
                continue;
            }
            (ours, theirs) => {
                panic!("ours: {:?}, theirs: {:?} of {profile}", ours.map(|_| ()), theirs.map(|_| ()))
            }
        };
        let (arches, values) = (arches_of(&profile, native()), values(&profile));
        for _ in 0..300 {
            let (name, arch) = (r.of(&NAMES), r.of(&arches));
            let line = Finder::default().find(name);
            let own = line.filter(|l| arch.multiplexed(*l).is_none()).and_then(|l| arch.number(l));
            let args = std::array::from_fn(|_| r.of(&values));
            let mut data = Data { number: own.unwrap_or(9999), arch: arch.audit, args, big: false };
            let verdict = |data: &Data| seccomp::verdict(&ours.program, data).unwrap();
            let mut named =
                profile["syscalls"].as_array().unwrap().iter().flat_map(|c| c["names"].as_array().unwrap());
            let muxed = matches!(name, "ipc" | "socketcall");
            if one && own.is_some() && !muxed && named.any(|n| n == name) {
                let meant = meaning(&profile, &theirs, arch, name, &data);
                assert_eq!(verdict(&data), meant, "{data:x?} of {profile}");
                read += 1;
            }
            match r.below(20) {
                0 => data.number = r.next() as u32,
                1 => data.arch = 0x1234,
                2 => data.number ^= 0x4000_0000,
                _ => {}
            }
            if faulty {
                other += usize::from(verdict(&data) != theirs.verdict(&data));
            } else {
                assert_eq!(verdict(&data), theirs.verdict(&data), "{data:x?} of {profile}");
            }
        }
        same += 1;
    }
    eprintln!(
        "{same} profiles, {refused} more refused by both; {read} verdicts as the rules are read; {other} others \
         in libseccomp where it has faults"
    );
    // Of 300 a profile, a few in a hundred.
    assert!(other < rounds * 30);
}

#[test]
fn random_profiles() {
    fuzz(true, 400, 7);
}

#[test]
fn random_profiles_that_contradict_themselves() {
    fuzz(false, 800, 8);
}
