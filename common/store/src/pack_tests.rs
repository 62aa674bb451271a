#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::Dir;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// An overlay in directories of its own, written by hand.
fn overlay(dir: &Dir) -> Overlay {
    for name in ["upper", "lower/etc", "lower/kept"] {
        fs::create_dir_all(dir.path.join(name)).unwrap();
    }
    fs::write(dir.path.join("lower/etc/same"), "same").unwrap();
    Overlay {
        at: "/".into(),
        upper: dir.path.join("upper"),
        lower: vec![dir.path.join("lower")],
        targets: vec!["/data/deep".into(), "/etc/given".into()],
    }
}

fn names(overlay: &Overlay) -> Vec<String> {
    let (bytes, entries) = archive(std::slice::from_ref(overlay), Some(5), Vec::new()).unwrap();
    let mut archive = crate::archive::Archive::new(bytes.as_slice());
    let mut names = Vec::new();
    while let Some(entry) = archive.next().unwrap() {
        assert!(entry.mtime().unwrap() <= (5, 0));
        names.push(String::from_utf8(entry.path).unwrap());
    }
    assert_eq!(names.len() as u64, entries);
    names
}

#[test]
fn what_the_runtime_made_is_not_packed() {
    let dir = Dir::new();
    let overlay = overlay(&dir);
    fs::create_dir_all(overlay.upper.join("data/deep")).unwrap();
    fs::create_dir_all(overlay.upper.join("etc")).unwrap();
    fs::write(overlay.upper.join("etc/given"), "").unwrap();
    assert_eq!(names(&overlay), [""; 0]);
    // Something of the container's beside it.
    fs::write(overlay.upper.join("data/own"), "x").unwrap();
    assert_eq!(names(&overlay), ["./", "data/", "data/own"]);
    fs::write(overlay.upper.join("etc/given"), "x").unwrap();
    assert_eq!(names(&overlay), ["./", "data/", "data/own", "etc/", "etc/given"]);
}

#[test]
fn sorted_by_bytes_links_kept_and_copies_left_out() {
    let dir = Dir::new();
    let overlay = overlay(&dir);
    let upper = &overlay.upper;
    fs::create_dir(upper.join("a")).unwrap();
    fs::write(upper.join("a-b"), "1").unwrap();
    fs::hard_link(upper.join("a-b"), upper.join("a/link")).unwrap();
    symlink("x", upper.join("B")).unwrap();
    fs::create_dir(upper.join("etc")).unwrap();
    // Copied up and not changed.
    fs::write(upper.join("etc/same"), "same").unwrap();
    let was = fs::metadata(dir.path.join("lower/etc/same")).unwrap().modified().unwrap();
    fs::File::options().write(true).open(upper.join("etc/same")).unwrap().set_modified(was).unwrap();
    let was = fs::metadata(dir.path.join("lower/etc")).unwrap().modified().unwrap();
    fs::File::open(upper.join("etc")).unwrap().set_modified(was).unwrap();
    assert_eq!(names(&overlay), ["./", "B", "a/", "a/link", "a-b"]);
    // Of the same size and time, but not the same.
    fs::write(upper.join("etc/same"), "ELSE").unwrap();
    let was = fs::metadata(dir.path.join("lower/etc/same")).unwrap().modified().unwrap();
    fs::File::options().write(true).open(upper.join("etc/same")).unwrap().set_modified(was).unwrap();
    assert!(names(&overlay).contains(&"etc/same".to_owned()));
    fs::set_permissions(upper.join("etc/same"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(upper.join(".wh.x"), "").unwrap();
    let e = archive(std::slice::from_ref(&overlay), None, Vec::new()).unwrap_err();
    assert!(format!("{e:#}").starts_with("read /.wh.x: a name that begins"), "{e:#}");
}

fn about<'a>(changes: &'a [String], author: Option<&'a str>) -> About<'a> {
    About { changes, message: Some("why"), author, created: "2026-01-01T00:00:00Z" }
}

#[test]
fn config_keeps_what_it_has() {
    let text = r#"{"x-first":1,"created":"c","config":{"Cmd":["a"],"Odd":true},"rootfs":{"type":"layers","diff_ids":["d1","d2"]},"history":[{"created_by":"one"},{"empty_layer":true}],"last":[]}"#;
    let config: Value = serde_json::from_str(text).unwrap();
    assert_eq!(configure(config.clone(), None, &about(&[], None)).unwrap(), None);
    assert_eq!(configure(config.clone(), None, &about(&[r#"CMD ["a"]"#.into()], None)).unwrap(), None);
    let new = configure(config, None, &about(&["USER web".into()], Some("me"))).unwrap().unwrap();
    let keys: Vec<&String> = new.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["x-first", "created", "config", "rootfs", "history", "last", "author"]);
    assert_eq!(new["config"], json!({"Cmd": ["a"], "Odd": true, "User": "web"}));
    // The second layer had no entry.
    let history = json!([{"created_by": "one"}, {"empty_layer": true}, {}, {
        "created": "2026-01-01T00:00:00Z", "created_by": "USER web", "author": "me", "comment": "why", "empty_layer": true
    }]);
    assert_eq!(new["history"], history);
    let bad = json!({"config": null, "rootfs": {"diff_ids": 3}});
    assert!(configure(bad, None, &about(&["USER web".into()], None)).is_err());
}
