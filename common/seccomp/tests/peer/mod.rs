//! libseccomp, asked by a small C program, and what runc puts before its filters: the judge of ours.

use seccomp::{Arch, Data, Insn, named};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

pub struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ACTIONS: [(&str, u32); 9] = [
    ("SCMP_ACT_KILL", 0),
    ("SCMP_ACT_KILL_THREAD", 0),
    ("SCMP_ACT_KILL_PROCESS", 0x8000_0000),
    ("SCMP_ACT_TRAP", 0x0003_0000),
    ("SCMP_ACT_ERRNO", 0x0005_0000),
    ("SCMP_ACT_NOTIFY", 0x7fc0_0000),
    ("SCMP_ACT_TRACE", 0x7ff0_0000),
    ("SCMP_ACT_LOG", 0x7ffc_0000),
    ("SCMP_ACT_ALLOW", 0x7fff_0000),
];
/// In the order of `enum scmp_compare`, from 1.
const OPERATORS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
const ENOSYS: u32 = 0x0005_0026;
const X32: u32 = 0x4000_003e;

/// libseccomp's token: the kernel's, but for x32.
fn token(arch: &Arch) -> u32 {
    if arch.oci == "SCMP_ARCH_X32" { X32 } else { arch.audit }
}

pub fn action(v: &Value, action: &str, errno: &str) -> u32 {
    let name = v[action].as_str().unwrap();
    let value = ACTIONS.iter().find(|(n, _)| *n == name).unwrap().1;
    match name {
        "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE" => value | v[errno].as_u64().unwrap_or(1) as u32 & 0xffff,
        _ => value,
    }
}

/// What libseccomp and runc make of a profile.
pub struct Made {
    program: Vec<Insn>,
    /// By `seccomp_data.arch` and whether the number has x32's bit: above what the stub says ENOSYS.
    newest: Vec<(u32, bool, u32)>,
    pub default: u32,
}

/// SECCOMP_PEER: one that was linked with another libseccomp than the system's.
fn program() -> Option<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = std::env::var_os("SECCOMP_PEER") {
        return Some(path.into());
    }
    if !std::path::Path::new("/usr/include/seccomp.h").exists() {
        eprintln!("skipped: libseccomp-dev is not there");
        return None;
    }
    let build = || {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peer/libseccomp.c");
        let to = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("libseccomp-peer");
        // Each test may be a process, and what one runs another must not be writing: ETXTBSY.
        let own = to.with_extension(std::process::id().to_string());
        let cc = Command::new("cc").arg("-o").arg(&own).args([source, "-lseccomp"]).status();
        assert!(cc.unwrap().success());
        std::fs::rename(&own, &to).unwrap();
        to
    };
    Some(BUILT.get_or_init(build).clone())
}

impl Peer {
    /// `None`: the library's header is not there.
    pub fn start() -> Option<Peer> {
        let mut child =
            Command::new(program()?).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Some(Peer { child, to, from })
    }

    fn ask(&mut self, text: &str) -> String {
        self.to.write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// The number of a call: negative where it has none of its own, -1 where the name is not known.
    pub fn number(&mut self, arch: &Arch, name: &str) -> i64 {
        self.ask(&format!("resolve {} {name}\n", token(arch))).parse().unwrap()
    }

    /// As runc hands a profile on. `Err`: the library does not take it.
    pub fn make(&mut self, profile: &Value, native: &'static Arch) -> Result<Made, i32> {
        let default = action(profile, "defaultAction", "defaultErrnoRet");
        let mut text = format!("profile {default} native {}\n", token(native));
        let none = Vec::new();
        let mut arches = vec![native];
        for a in profile["architectures"].as_array().unwrap_or(&none) {
            let arch = named(a.as_str().unwrap()).unwrap();
            text += &format!("arch {}\n", token(arch));
            if !arches.contains(&arch) {
                arches.push(arch);
            }
        }
        let mut names: Vec<&str> = Vec::new();
        for call in profile["syscalls"].as_array().unwrap_or(&none) {
            let act = action(call, "action", "errnoRet");
            let conds: Vec<(u64, String)> =
                call["args"].as_array().unwrap_or(&none).iter().map(cond).collect();
            let twice = conds.iter().any(|c| conds.iter().filter(|o| o.0 == c.0).count() > 1);
            for name in call["names"].as_array().unwrap() {
                let name = name.as_str().unwrap();
                names.push(name);
                if act == default {
                    continue;
                }
                if twice {
                    for (_, c) in &conds {
                        text += &format!("rule {act} {name} 1 {c}\n");
                    }
                } else {
                    text += &format!("rule {act} {name} {}", conds.len());
                    conds.iter().for_each(|(_, c)| text += &format!(" {c}"));
                    text += "\n";
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        let answer = self.ask(&(text + "end\n"));
        if let Some(errno) = answer.strip_prefix("! ") {
            return Err(errno.parse().unwrap());
        }
        let program = answer.split(',').skip(1).map(insn).collect();
        let permissive = matches!(default & 0xffff_0000, 0x7fff_0000 | 0x7ffc_0000 | 0x7ff0_0000);
        let mut newest = Vec::new();
        if !permissive && default != ENOSYS {
            for arch in arches {
                let numbers: Vec<i64> = names.iter().map(|n| self.number(arch, n)).collect();
                // ARM's own calls are not counted: see Policy.
                let top = numbers.into_iter().filter(|n| *n & 0xfff_ffff < 0xf_0000).max().unwrap_or(0);
                if top > 0 {
                    newest.push((arch.audit, arch.oci == "SCMP_ARCH_X32", top as u32));
                }
            }
        }
        Ok(Made { program, newest, default })
    }
}

fn cond(v: &Value) -> (u64, String) {
    let op = v["op"].as_str().unwrap().trim_start_matches("SCMP_CMP_");
    let op = OPERATORS.iter().position(|o| *o == op).unwrap() + 1;
    let (index, a, b) =
        (v["index"].as_u64().unwrap(), v["value"].as_u64().unwrap_or(0), v["valueTwo"].as_u64());
    (index, format!("{index} {op} {a} {}", b.unwrap_or(0)))
}

fn insn(text: &str) -> Insn {
    let n: Vec<u32> = text.split(' ').map(|w| w.parse().unwrap()).collect();
    Insn { code: n[0] as u16, jt: n[1] as u8, jf: n[2] as u8, k: n[3] }
}

impl Made {
    pub fn len(&self) -> usize {
        self.program.len()
    }

    /// Verdict of runc's stub and then the library's filter.
    pub fn verdict(&self, data: &Data) -> u32 {
        let x86_64 = data.arch == 0xc000_003e;
        let x32 = x86_64 && data.number & 0x4000_0000 != 0;
        let own = self.newest.iter().find(|(arch, x, _)| *arch == data.arch && *x == x32);
        let verdict = seccomp::verdict(&self.program, data).unwrap();
        // ARM's own calls are never new.
        let named = data.arch == 0x4000_0028 && data.number >= 0xf_0000 && verdict != self.default;
        if own.is_some_and(|(_, _, top)| data.number > *top) && !named {
            return ENOSYS;
        }
        let s390 = matches!(data.arch, 0x8000_0016 | 0x16);
        if own.is_some() && s390 && data.number == 0 {
            return ENOSYS;
        }
        verdict
    }
}
