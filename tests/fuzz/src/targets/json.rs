//! What is read is written, and read as the same.

use super::line;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, from_slice, to_value, to_vec};
use store::{Config, Index, Manifest, Platform};

fn round<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let once: T = from_slice(bytes).map_err(|e| line(&e)).ok()?;
    let text = to_vec(&once).expect("what was read can be written");
    let again: T = from_slice(&text).expect("what was written can be read");
    let (a, b) = (to_value(&once).unwrap(), to_value(&again).unwrap());
    assert!(a == b, "{a} was read again as {b}");
    assert!(text == to_vec(&again).unwrap(), "the keys' order has changed");
    // Nothing that was said is lost, but for null and its like.
    if let Ok(said) = from_slice::<Value>(bytes) {
        kept(&said, &b, "");
    }
    Some(once)
}

fn kept(said: &Value, is: &Value, at: &str) {
    match (said, is) {
        (Value::Object(said), Value::Object(is)) => {
            for (key, value) in said {
                match is.get(key) {
                    Some(other) => kept(value, other, &format!("{at}/{key}")),
                    None => assert!(is_nothing(value), "{at}/{key} is lost: {value}"),
                }
            }
        }
        (Value::Array(said), Value::Array(is)) => {
            assert_eq!(said.len(), is.len(), "{at}");
            for (n, (a, b)) in said.iter().zip(is).enumerate() {
                kept(a, b, &format!("{at}/{n}"));
            }
        }
        (a, b) => assert!(a == b || is_nothing(a), "{at}: {a} has become {b}"),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::String(s) => s.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
    }
}

pub(crate) fn manifest(bytes: &[u8]) {
    round::<Manifest>(bytes);
}

pub(crate) fn config(bytes: &[u8]) {
    round::<Config>(bytes);
}

pub(crate) fn index(bytes: &[u8]) {
    let Some(index) = round::<Index>(bytes) else { return };
    let mut asked: Vec<Platform> =
        ["linux/amd64", "linux/arm/v7", "arm64", "windows/amd64"].map(|p| Platform::parse(p).unwrap()).into();
    asked.extend(index.manifests.iter().filter_map(|d| d.platform.clone()));
    for platform in asked {
        match index.choose(&platform) {
            Ok(d) => assert!(index.manifests.iter().any(|m| std::ptr::eq(m, d))),
            Err(e) => drop(line(&e)),
        }
    }
    let Some(first) = index.manifests.first() else { return };
    let mut named = index.clone();
    named.put(first, Some("fuzz:latest"));
    let with = |i: &Index| i.manifests.iter().filter(|d| d.ref_name() == Some("fuzz:latest")).count();
    assert_eq!(with(&named), 1);
    assert_eq!(named.remove_name("fuzz:latest").map(|d| d.digest), Some(first.digest.clone()));
    assert_eq!(with(&named), 0);
}

/// The views of a document say yes or no, and change nothing.
pub(crate) fn document(bytes: &[u8]) {
    let doc = match doc::Doc::parse(bytes) {
        Ok(doc) => doc,
        Err(e) => return drop(line(&e)),
    };
    filter(&doc);
    let again = doc::Doc::parse(doc.line().as_bytes()).expect("what was written can be read");
    assert!(doc == again && doc.line() == again.line(), "{} was read again as {}", doc.line(), again.line());
    assert_eq!(doc::Doc::parse(doc.pretty().as_bytes()).unwrap(), doc);
    assert!(!doc.line().contains('\n'));
    let mut edited = doc.clone();
    let said = [
        doc.id().map(|id| assert!(id.is_none_or(doc::is_name))),
        doc.name().map(|name| assert!(name.is_none_or(doc::is_name))),
        doc.image().map(drop),
        doc.layers().map(drop),
        doc.mounts().map(drop),
        doc.namespaces().map(drop),
        doc.cgroups_path()
            .map(|p| assert!(p.is_none_or(|p| p.starts_with('/') && !p.split('/').any(|c| c == "..")))),
        doc.resources().map(drop),
        doc.args().map(|a| assert!(a.iter().all(|a| !a.contains('\0')))),
        doc.env().map(|a| assert!(a.iter().all(|a| !a.contains('\0')))),
        doc.user().map(|u| assert!(u.uid != u32::MAX && u.gid != u32::MAX)),
        doc.capabilities().map(drop),
        doc.rlimits().map(drop),
        edited.put_env("FUZZ", "1").and_then(|()| edited.set_stave("volatile", true)),
    ];
    for error in said.into_iter().filter_map(Result::err) {
        line(&error);
    }
    let _ = (
        doc.image_name(),
        doc.root_path(),
        doc.cwd(),
        doc.terminal(),
        doc.root_readonly(),
        doc.stave_flag("rm"),
    );
    if let Err(e) = doc::Doc::parse(edited.line().as_bytes()) {
        panic!("after an edit it is no document any more: {e}");
    }
}

/// A profile is refused, or becomes a program that comes to an end for every call.
fn filter(doc: &doc::Doc) {
    let Some(profile) = doc.get("/linux/seccomp") else { return };
    let Ok(Some(filter)) = seccomp::compile(profile, seccomp::native()) else { return };
    for number in [0, 1, 400, 0x4000_0000, u32::MAX] {
        let data = seccomp::Data { number, arch: seccomp::native().audit, ..Default::default() };
        assert!(seccomp::verdict(&filter.program, &data).is_some(), "a program that the kernel would refuse");
    }
}
