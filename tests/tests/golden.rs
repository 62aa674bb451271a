//! Golden documents, and the shell of every stage, on each kind of host: what a set of flags
//! becomes is looked at here as text, with no right and no kernel needed.
//!
//! After a change that is meant: `GOLDEN=write cargo test -p tests --test golden`, then read the diff.
#![allow(clippy::unwrap_used)]

use clap::Args;
use cli::Stage;
use doc::Doc;
use launch::Look;
use serde_json::json;
use state::{Host, Roots};
use stave_limit::Limit;
use stave_mount::Mount;
use stave_ns::Ns;
use stave_spawn::Spawn;
use std::fmt::Write;
use std::path::Path;
use sys::cgroup::Layout;

const HYBRID: &str = "\
30 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
31 25 0:27 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct
32 25 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 25 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 25 0:30 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
35 25 0:31 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
36 25 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
const V2: &str = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

fn host(mountinfo: &str) -> Host {
    let mut cgroups = Layout::parse(mountinfo);
    if mountinfo == V2 {
        cgroups.all[0].controllers = ["cpuset", "cpu", "io", "memory", "pids"].map(String::from).to_vec();
    }
    let roots = Roots { root: "/var/lib/stave".into(), run: "/run/stave".into() };
    Host {
        roots,
        cgroups,
        every_hierarchy: false,
        euid: 0,
        egid: 0,
        subids: Default::default(),
        caps: u64::MAX,
        online: "0-3".into(),
        umask: 0o022,
    }
}

fn flags<A: Args>(words: &str) -> A {
    let command = A::augment_args(clap::Command::new("test"));
    let words = std::iter::once("test").chain(words.split_whitespace());
    A::from_arg_matches(&command.get_matches_from(words)).unwrap()
}

/// Flags of mount, ns, limit and spawn.
type Case = (&'static str, [&'static str; 4]);

const CASES: [Case; 6] = [
    ("plain", ["", "", "", ""]),
    ("limits", ["", "", "-m 64M --cpus 1.5 --pids-limit 100", ""]),
    ("mounts", ["-v /usr:/data:ro --tmpfs /scratch:size=1m --volatile", "", "", "--read-only -w /data"]),
    ("names", ["", "--hostname box --network host --ipc host", "", "-e A=b --rm"]),
    ("systemd", ["", "", "-m 64M --cpus 0.125 --pids-limit 100", ""]),
    ("rights", ["", "", "", "--cap-drop ALL --cap-add net_bind_service -t"]),
];

fn document(case: &Case, host: &Host) -> Doc {
    let mut doc = Doc::default();
    doc.set_stave("id", "0123456789ab").unwrap();
    doc.set_stave("created", "2026-01-02T03:04:05Z").unwrap();
    doc.set_stave("layers", json!([{"dir": "/layers/low"}, {"dir": "/layers/top"}])).unwrap();
    let unit = case.0 == "systemd";
    doc.set("/linux/cgroupsPath", if unit { "a-b.slice:stave:0123456789ab" } else { "/stave/0123456789ab" })
        .unwrap();
    if unit {
        doc.set("/annotations", json!({"org.systemd.property.TimeoutStopSec": "12.5"})).unwrap();
    } else {
        // Whatever runs this machine.
        doc.set_stave("cgroupDriver", "cgroupfs").unwrap();
    }
    doc.set("/process/args", json!(["sh", "-c", "echo it's me"])).unwrap();
    doc::isolate(&mut doc).unwrap();
    if !matches!(case.0, "plain" | "rights") {
        doc.remove("/linux/seccomp"); // long, and the same again
    }
    flags::<Mount>(case.1[0]).edit(&mut doc, host).unwrap();
    flags::<Ns>(case.1[1]).edit(&mut doc, host).unwrap();
    flags::<Limit>(case.1[2]).edit(&mut doc, host).unwrap();
    stave_spawn::edit(&flags::<Spawn>(case.1[3]), &[], &mut doc, host).unwrap();
    doc
}

fn text(case: &Case, mountinfo: &str) -> String {
    let host = host(mountinfo);
    let doc = document(case, &host);
    let mut out = pretty(&doc);
    let stages = [
        ("mount", Mount::plan(&doc, &host).unwrap()),
        ("ns", Ns::plan(&doc, &host).unwrap()),
        ("limit", Limit::plan(&doc, &host).unwrap()),
    ];
    for (name, steps) in &stages {
        write!(out, "\n\n# {name} -n\n{}", cli::show(steps)).unwrap();
    }
    let steps = launch::init(&doc, &Look::planned(&doc, &host).unwrap()).unwrap();
    write!(out, "\n\n# spawn -n\n{}", launch::show(&steps)).unwrap();
    for (name, steps) in &stages {
        write!(out, "\n\n# {name} --undo -n\n").unwrap();
        for line in steps.iter().rev().filter_map(|s| s.act.show_undo()) {
            writeln!(out, "{line}").unwrap();
        }
    }
    out
}

/// The names of system calls in one line, not in hundreds.
fn pretty(doc: &Doc) -> String {
    let mut value = doc.value().clone();
    let calls = value.pointer_mut("/linux/seccomp/syscalls").and_then(|c| c.as_array_mut());
    for call in calls.into_iter().flatten() {
        let names: Vec<&str> =
            call["names"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
        call["names"] = json!(names.join(" "));
    }
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn documents_and_shell() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let write = std::env::var_os("GOLDEN").is_some_and(|v| v == "write");
    let mut wrong = Vec::new();
    for case in &CASES {
        if case.0 == "systemd" && state::of_user() {
            eprintln!("skipped: the units of an ordinary user have other paths");
            continue;
        }
        for (kind, mountinfo) in [("hybrid", HYBRID), ("v2", V2)] {
            let path = dir.join(format!("{}-{kind}", case.0));
            let now = text(case, mountinfo);
            if write {
                std::fs::write(&path, &now).unwrap();
            } else if std::fs::read_to_string(&path).unwrap_or_default() != now {
                wrong.push(path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "differ from what is committed (GOLDEN=write, then read the diff): {wrong:?}");
}

#[test]
fn the_shell_is_shell() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    for case in &CASES {
        for mountinfo in [HYBRID, V2] {
            let text = text(case, mountinfo);
            let shell = &text[text.find("# mount -n").unwrap()..];
            let mut sh = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
            sh.stdin.take().unwrap().write_all(shell.as_bytes()).unwrap();
            assert!(sh.wait().unwrap().success(), "{}", case.0);
        }
    }
}
