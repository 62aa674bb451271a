//! Who may import whom: the table of CONTRIBUTING.md, held against what cargo says.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The common crates, lowest first, and what of ours each may import.
const COMMON: [(&str, &[&str]); 12] = [
    ("seccomp", &[]),
    ("doc", &["seccomp"]),
    ("sys", &[]),
    ("systemd", &["sys"]),
    ("step", &["sys", "systemd"]),
    ("store", &["doc", "sys"]),
    ("registry", &["store", "sys"]),
    ("state", &["doc", "sys", "systemd"]),
    ("cgroup", &["sys", "state"]),
    ("limits", &["doc", "sys", "systemd", "step", "state"]),
    ("launch", &["doc", "sys", "step", "state", "limits", "seccomp"]),
    ("cli", &["doc", "sys", "step", "state", "limits"]),
];

/// The only crates that may import stages.
const FRONT_DOORS: [&str; 3] = ["stave-oci", "stave-run", "tests"];

/// What would make every tool slow to start, or belongs to one tool alone.
const NOWHERE: [&str; 8] =
    ["regex", "tokio", "async-std", "openssl-sys", "serde_yaml", "oci-spec", "rayon", "chrono"];

fn metadata(more: &[&str]) -> Value {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .args(more)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Of each crate of ours: its path, and those dependencies that are ours too (for building, not
/// for tests).
fn ours() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let value = metadata(&["--no-deps"]);
    let packages = value["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    let entry = |p: &Value| {
        let list = p["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        let list = list.map(|d| d["name"].as_str().unwrap()).filter(|n| names.contains(n));
        let path = p["manifest_path"].as_str().unwrap().to_owned();
        (p["name"].as_str().unwrap().to_owned(), (path, list.map(String::from).collect()))
    };
    packages.iter().map(entry).collect()
}

#[test]
fn common_crates_import_what_lies_below() {
    let ours = ours();
    for (name, allowed) in COMMON {
        let (_, uses) = &ours[name];
        let allowed: BTreeSet<String> = allowed.iter().map(|s| (*s).to_owned()).collect();
        let more: Vec<_> = uses.difference(&allowed).collect();
        assert!(more.is_empty(), "common/{name} imports {more:?}");
    }
    let known = ours.iter().filter(|(_, (path, _))| path.contains("/common/")).map(|(n, _)| n.as_str());
    let table: BTreeSet<&str> = COMMON.iter().map(|(n, _)| *n).collect();
    assert_eq!(known.collect::<BTreeSet<_>>(), table, "the table names every crate of common/");
}

#[test]
fn a_stage_imports_no_other_stage() {
    for (name, (path, uses)) in ours() {
        let stages: Vec<_> = uses.iter().filter(|u| u.starts_with("stave-")).collect();
        let may = FRONT_DOORS.contains(&name.as_str());
        assert!(may || stages.is_empty(), "{name} imports {stages:?}");
        let folder = path.rsplit('/').nth(1).unwrap();
        if path.contains("/tools/") && folder != "stave" {
            assert_eq!(name, format!("stave-{folder}"), "a tool is named as its folder");
        }
    }
}

/// What speaks TLS, and who may reach it.
const TLS: [&str; 4] = ["registry", "ureq", "rustls", "ring"];
const SPEAKS_TLS: [&str; 5] = ["registry", "stave-login", "stave-logout", "stave-pull", "stave-push"];

#[test]
fn few_tools_speak_tls() {
    let graph = Graph::read();
    for name in ours().keys().filter(|n| *n != "tests") {
        let reached = graph.reached(&[name.as_str()]);
        let tls: Vec<_> = TLS.iter().filter(|t| reached.contains(**t)).collect();
        if SPEAKS_TLS.contains(&name.as_str()) {
            assert_eq!(tls.len(), TLS.len(), "{name}: the graph was walked");
        } else {
            assert!(tls.is_empty(), "{name} reaches {tls:?}");
        }
    }
}

/// The resolved graph without what only builds and tests need.
struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    fn read() -> Graph {
        let platform = format!("--filter-platform={}-unknown-linux-gnu", std::env::consts::ARCH);
        let value = metadata(&[&platform]);
        let packages = value["packages"].as_array().unwrap();
        let names: BTreeMap<&str, &str> =
            packages.iter().map(|p| (p["id"].as_str().unwrap(), p["name"].as_str().unwrap())).collect();
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in value["resolve"]["nodes"].as_array().unwrap() {
            let linked = |d: &&Value| d["dep_kinds"].as_array().unwrap().iter().any(|k| k["kind"].is_null());
            let deps = node["deps"].as_array().unwrap().iter().filter(linked);
            // Two versions of one crate are one here.
            let entry = graph.entry(names[node["id"].as_str().unwrap()].to_owned()).or_default();
            entry.extend(deps.map(|d| names[d["pkg"].as_str().unwrap()].to_owned()));
        }
        Graph(graph)
    }

    fn reached(&self, from: &[&str]) -> BTreeSet<String> {
        let mut todo: Vec<String> = from.iter().map(|s| (*s).to_owned()).collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = todo.pop() {
            if seen.insert(name.clone()) {
                todo.extend(self.0[&name].iter().cloned());
            }
        }
        seen
    }
}

#[test]
fn nothing_heavy_is_linked() {
    let ours = ours();
    let tools: Vec<&str> = ours.keys().map(String::as_str).filter(|n| n.starts_with("stave")).collect();
    let linked = Graph::read().reached(&tools);
    let heavy: Vec<_> = NOWHERE.iter().filter(|n| linked.contains(**n)).collect();
    assert!(heavy.is_empty(), "{heavy:?}");
    assert!(linked.contains("serde_json") && linked.len() > 20, "the graph was walked: {linked:?}");
}

#[test]
fn unsafe_code_stands_in_sys_alone() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let manifest = std::fs::read_to_string(format!("{root}/Cargo.toml")).unwrap();
    assert!(manifest.contains(r#"unsafe_code = "deny""#));
    for (name, (path, _)) in ours() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{name} takes the workspace's lints");
        let lib = path.replace("Cargo.toml", "src/lib.rs");
        let Ok(source) = std::fs::read_to_string(lib) else { continue };
        assert_eq!(source.contains("allow(unsafe_code)"), name == "sys", "{name}");
    }
}
