//! man/stave-document.schema.json against what the stages write, and what they would refuse. The
//! OCI half is parsed by the types of another project as well.
#![allow(clippy::unwrap_used)]

use clap::Parser;
use cli::Stage;
use doc::Doc;
use jsonschema::Validator;
use oci_spec::runtime::Spec;
use serde_json::{Value, json};
use state::{Host, Roots};
use std::path::{Path, PathBuf};
use std::process::Command;

fn schema() -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man/stave-document.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// A host whose roots are nowhere: an edit looks at them and makes nothing.
fn host() -> Host {
    let roots = Roots { root: "/nowhere/stave".into(), run: "/nowhere/run".into() };
    Host {
        roots,
        cgroups: Default::default(),
        every_hierarchy: false,
        euid: 0,
        egid: 0,
        subids: Default::default(),
        caps: u64::MAX,
        online: "0-3".into(),
        umask: 0o022,
    }
}

/// A directory with an etc/passwd, taken away when dropped.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("stave-schema-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("etc")).unwrap();
        std::fs::write(dir.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:\n").unwrap();
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Dir {
    /// A host whose roots are in here.
    fn host(&self) -> Host {
        let roots = Roots { root: self.0.join("root"), run: self.0.join("run") };
        Host { roots, ..host() }
    }

    /// The directory's etc/ as an image, and the document that it begins.
    fn load(&self, host: &Host) -> Doc {
        let tar = self.0.join("web.tar");
        let made = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&self.0).arg("etc").status();
        assert!(made.unwrap().success());
        let images = stave_load::load(Some(&tar), Some("web:1"), None, host).unwrap();
        stave_load::document(&images[0]).unwrap()
    }
}

/// The stages' own flags, parsed as their tools parse them.
#[derive(Parser)]
struct Words<A: clap::Args> {
    #[command(flatten)]
    args: A,
}

fn words<A: clap::Args>(line: &str) -> A {
    Words::<A>::parse_from(std::iter::once("test").chain(line.split_whitespace())).args
}

fn edit<S: Stage>(line: &str, doc: &mut Doc) {
    words::<S>(line).edit(doc, &host()).unwrap();
}

fn new(line: &str, name: Option<&str>, doc: &mut Doc) {
    stave_new::edit(&words::<stave_new::From>(line), name, doc, &host()).unwrap();
    cli::bundle::identify(doc).unwrap();
}

/// A document that has been through all stages.
fn whole(dir: &Dir) -> Doc {
    let mut doc = Doc::default();
    new(&format!("--rootfs {}", dir.0.display()), Some("web"), &mut doc);
    edit::<stave_mount::Mount>("-v /tmp:/data:ro --tmpfs /run:size=64m --volatile", &mut doc);
    edit::<stave_ns::Ns>("--hostname web --ipc host", &mut doc);
    edit::<stave_limit::Limit>("-m 64M --cpus 0.5 --pids-limit 50", &mut doc);
    let spawn =
        "-t -e A=1 -u web -w /srv --read-only --cap-add NET_ADMIN --cap-drop CHOWN --rm --die-with-parent";
    stave_spawn::edit(&words(spawn), &["sh".into(), "-c".into(), "id".into()], &mut doc, &host()).unwrap();
    doc
}

fn check(schema: &Validator, doc: &Doc) {
    let errors: Vec<String> =
        schema.iter_errors(doc.value()).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{}\n{}", errors.join("\n"), doc.pretty());
    // Through its text, as a runtime reads it.
    let spec: Result<Spec, _> = serde_json::from_str(&doc.line());
    assert!(spec.is_ok(), "oci-spec: {:?}\n{}", spec.err(), doc.pretty());
}

#[test]
fn what_the_stages_write() {
    let (schema, dir) = (schema(), Dir::new("write"));
    check(&schema, &Doc::default());
    for line in ["", "--host"] {
        let mut doc = Doc::default();
        new(line, None, &mut doc);
        check(&schema, &doc);
        edit::<stave_mount::Mount>("", &mut doc);
        edit::<stave_ns::Ns>("", &mut doc);
        edit::<stave_limit::Limit>("", &mut doc);
        check(&schema, &doc);
    }
    let doc = whole(&dir);
    check(&schema, &doc);
    // Every key of the schema's `stave` that a stage of these writes is there to be checked.
    for key in ["v", "id", "name", "created", "layers", "volatile", "rm", "dieWithParent"] {
        assert!(doc.get(&format!("/stave/{key}")).is_some(), "stave.{key}");
    }
}

#[test]
fn what_an_image_becomes() {
    let (schema, dir) = (schema(), Dir::new("image"));
    let host = dir.host();
    let mut doc = dir.load(&host);
    check(&schema, &doc);
    stave_unpack::edit(None, &mut doc, &host).unwrap();
    check(&schema, &doc);
    assert_eq!(doc.image_name(), Some("web:1"));
    assert_eq!(doc.layers().unwrap().len(), 1);
}

#[test]
fn every_key_stands_in_its_page() {
    fn keys(schema: &Value, found: &mut Vec<String>) {
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (key, value) in properties {
                found.push(key.clone());
                keys(value, found);
                keys(value.get("items").unwrap_or(&Value::Null), found);
            }
        }
    }
    let man = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man");
    let text = std::fs::read(man.join("stave-document.schema.json")).unwrap();
    let page = std::fs::read_to_string(man.join("stave-document.7")).unwrap();
    let mut found = Vec::new();
    keys(&serde_json::from_slice(&text).unwrap(), &mut found);
    assert!(found.len() > 60);
    for key in found {
        assert!(page.contains(&key), "stave-document.7 does not say {key}");
    }
}

#[test]
fn the_user_is_resolved_and_stays_a_number() {
    let (schema, dir) = (schema(), Dir::new("user"));
    let mut doc = Doc::default();
    new(&format!("--rootfs {}", dir.0.display()), None, &mut doc);
    doc.set("/process/user", json!({"uid": "web", "gid": 0})).unwrap();
    assert!(!schema.is_valid(doc.value()));
}

#[test]
fn foreign_keys_are_welcome() {
    let (schema, dir) = (schema(), Dir::new("foreign"));
    let mut doc = whole(&dir);
    for key in
        ["/x", "/process/x", "/process/user/x", "/root/x", "/linux/x", "/linux/resources/x", "/stave/x"]
    {
        doc.set(key, json!({"y": [1]})).unwrap();
    }
    check(&schema, &doc);
}

#[test]
fn wrong_documents_are_refused() {
    let (schema, dir) = (schema(), Dir::new("wrong"));
    let doc = whole(&dir);
    for (key, value) in [
        ("/ociVersion", json!(1)),
        ("/hostname", json!("")),
        ("/process/args", json!("sh")),
        ("/process/args", json!(["a\u{0}b"])),
        ("/process/env", json!({"PATH": "/bin"})),
        ("/process/env", json!(["PATH"])),
        ("/process/cwd", json!("srv")),
        ("/process/terminal", json!("yes")),
        ("/process/user/uid", json!("web")),
        ("/process/user/uid", json!(-1)),
        ("/process/capabilities/bounding", json!(["NET_ADMIN"])),
        ("/process/capabilities/bound", json!([])),
        ("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 1}])),
        ("/root/path", json!(null)),
        ("/mounts", json!([{"destination": "data"}])),
        ("/mounts", json!([{"source": "/data"}])),
        ("/linux/namespaces", json!([{"type": "net"}])),
        ("/linux/namespaces", json!([{"type": "network", "path": "ns/net"}])),
        ("/linux/cgroupsPath", json!("/stave/../x")),
        ("/linux/resources/memory/limit", json!("64M")),
        ("/linux/resources/pids", json!(50)),
        ("/linux/resources/devices", json!([{"type": "c"}])),
        ("/linux/resources/devices", json!([{"allow": true, "access": "x"}])),
        ("/linux/maskedPaths", json!(["proc/kcore"])),
        ("/stave", json!([])),
        ("/stave/v", json!(2)),
        ("/stave/id", json!("../etc")),
        ("/stave/name", json!("-x")),
        ("/stave/created", json!(1700000000)),
        ("/stave/image", json!({"digest": "sha256:1"})),
        ("/stave/layers", json!([{"digest": "sha256:1"}])),
        ("/stave/rm", json!("true")),
    ] {
        let mut bad = doc.clone();
        bad.set(key, value.clone()).unwrap();
        assert!(!schema.is_valid(bad.value()), "{key} = {value} was let through");
    }
}
