//! Archives as they should be and as they should not.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{Dir, Tar, root};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

fn try_on(tar: Tar, lower: &[PathBuf]) -> (Dir, Result<Made>) {
    let dir = Dir::new();
    let made = extract(tar.bytes().as_slice(), &dir.path, lower, root());
    (dir, made)
}

fn on(tar: Tar, lower: &[PathBuf]) -> (Dir, Made) {
    let (dir, made) = try_on(tar, lower);
    (dir, made.unwrap())
}

#[test]
fn names_stay_inside() {
    let tar = Tar::new()
        .file("../a", "1")
        .file("/b", "2")
        .file("x/../../../c", "3")
        .symlink("out", "/")
        .file("out/d", "4")
        .symlink("up", "../../../../..")
        .file("up/e/f", "5");
    let (dir, _) = on(tar, &[]);
    for (name, text) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e/f", "5")] {
        assert_eq!(fs::read_to_string(dir.path.join(name)).unwrap(), text, "{name}");
    }
}

#[test]
fn a_link_does_not_lead_out() {
    let outside = Dir::new();
    fs::write(outside.path.join("secret"), "s").unwrap();
    let target = outside.path.join("secret");
    let target = target.to_str().unwrap();
    // A file of that path within the tree is not there, so there is nothing to link to.
    let (dir, made) = try_on(Tar::new().hard_link("l", target), &[]);
    assert!(made.unwrap_err().root_cause().to_string().contains("No such file"));
    assert!(!dir.path.join("l").exists());
    // A symbolic link replaced by a file is replaced, not written through.
    let (dir, _) = on(Tar::new().symlink("f", target).file("f", "new"), &[]);
    assert_eq!(fs::read_to_string(dir.path.join("f")).unwrap(), "new");
    // A hard link to a symbolic link is one more name of the link itself.
    let (dir, _) = on(Tar::new().symlink("s", target).hard_link("t", "s"), &[]);
    assert!(dir.path.join("t").symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_to_string(outside.path.join("secret")).unwrap(), "s");
}

#[test]
fn modes_set_at_the_end_follow_no_link() {
    let outside = Dir::new();
    let mode = || fs::metadata(&outside.path).unwrap().permissions().mode() & 0o7777;
    let before = mode();
    let tar = Tar::new()
        .dir("b", 0o755)
        .symlink("a", "b")
        .dir("a/x", 0o2700)
        .file("b", "")
        .dir("b", 0o755)
        .symlink("b/x", outside.path.to_str().unwrap());
    on(tar, &[]);
    assert_eq!(mode(), before);
}

#[test]
fn one_kind_replaces_another() {
    let tar = Tar::new()
        .dir("d", 0o755)
        .file("d/in", "x")
        .file("d", "now a file")
        .file("f", "x")
        .dir("f", 0o711)
        .file("f/in", "y")
        .symlink("l", "f")
        .dir("l", 0o750);
    let (dir, made) = on(tar, &[]);
    assert_eq!(made, Made::Alone);
    assert_eq!(fs::read_to_string(dir.path.join("d")).unwrap(), "now a file");
    assert_eq!(fs::metadata(dir.path.join("f")).unwrap().mode() & 0o7777, 0o711);
    assert!(dir.path.join("f/in").exists());
    assert!(dir.path.join("l").symlink_metadata().unwrap().is_dir());
}

#[test]
fn a_file_is_no_parent() {
    let (_dir, made) = try_on(Tar::new().file("f", "x").file("f/g", "y"), &[]);
    assert!(made.unwrap_err().root_cause().to_string().contains("Not a directory"));
}

#[test]
fn attributes() {
    if !root() {
        return eprintln!("skipped: owners need root");
    }
    let tar = Tar::new()
        .dir("d", 0o1777)
        .pax(&[("mtime", b"1700000000.123456789"), ("SCHILY.xattr.trusted.t", b"a\nb=c\n")])
        .with("d/f", "x", |h| {
            h.set_uid(1000);
            h.set_gid(2000);
            h.set_mode(0o4751);
        })
        .pax(&[("SCHILY.xattr.trusted.overlay.redirect", b"/x"), ("path", b"d/long"), ("mtime", b"-0.5")])
        .file("short", "y")
        .device("d/null", tar::EntryType::Char, 1, 3)
        .device("d/disk", tar::EntryType::Block, 8, 1)
        .device("d/fifo", tar::EntryType::Fifo, 0, 0)
        .file(&format!("d/{}", "n".repeat(200)), "long");
    let (dir, _) = on(tar, &[]);
    let at = |name: &str| fs::symlink_metadata(dir.path.join(name)).unwrap();
    let f = at("d/f");
    assert_eq!((f.uid(), f.gid(), f.mode() & 0o7777), (1000, 2000, 0o4751));
    assert_eq!((f.mtime(), f.mtime_nsec()), (1_700_000_000, 123_456_789));
    let xattrs = |name: &str| {
        let (parent, name) = name.rsplit_once('/').unwrap();
        make::xattrs(sys::inroot::root(&dir.path.join(parent)).unwrap(), OsStr::new(name)).unwrap()
    };
    assert_eq!(xattrs("d/f"), [(b"trusted.t".to_vec(), b"a\nb=c\n".to_vec())]);
    assert!(xattrs("d/long").is_empty(), "overlayfs' own are not the archive's to set");
    assert_eq!((at("d/long").mtime(), at("d/long").mtime_nsec()), (-1, 500_000_000));
    assert_eq!(at("d").mode() & 0o7777, 0o1777);
    assert_eq!(at("d").mtime(), 0, "what came into it did not change it");
    assert!(at("d/null").file_type().is_char_device() && at("d/null").rdev() == 0x103);
    assert!(at("d/disk").file_type().is_block_device() && at("d/disk").rdev() == 0x801);
    assert!(at("d/fifo").file_type().is_fifo());
    assert_eq!(fs::read_to_string(dir.path.join(format!("d/{}", "n".repeat(200)))).unwrap(), "long");
}

#[test]
fn whiteouts() {
    if !root() {
        return eprintln!("skipped: overlayfs' marks need root");
    }
    let white = |dir: &Dir, name: &str| {
        let m = fs::symlink_metadata(dir.path.join(name)).unwrap();
        m.file_type().is_char_device() && m.rdev() == 0
    };
    let opaque = |dir: &Dir, name: &str| sys::extract::is_opaque(&dir.path.join(name));
    let tar = Tar::new()
        .dir("d", 0o755)
        .file("d/.wh.gone", "")
        .file("d/own", "x")
        .file("d/.wh.own", "")
        .dir("o", 0o755)
        .file("o/f", "x")
        .file("o/.wh..wh..opq", "")
        .file("d/.wh.anew", "")
        .dir("d/anew", 0o755)
        .dir("d/held", 0o755)
        .file("d/.wh.held", "")
        .file("d/.wh.f", "")
        .file("d/f", "x")
        .file("was", "dir")
        .file("was/.wh.in", "")
        .file("was/.wh..wh..opq", "")
        .dir(".wh..wh.plnk", 0o700)
        .file(".wh..wh.plnk/1.2", "");
    let (dir, made) = on(tar, &[]);
    assert_eq!(made, Made::Alone);
    assert!(white(&dir, "d/gone"));
    assert_eq!(fs::read_to_string(dir.path.join("d/own")).unwrap(), "x", "a whiteout is for lower layers");
    assert!(opaque(&dir, "o") && dir.path.join("o/f").exists() && !opaque(&dir, "d"));
    assert!(opaque(&dir, "d/anew") && opaque(&dir, "d/held"));
    assert!(fs::metadata(dir.path.join("d/f")).unwrap().is_file());
    assert!(!dir.path.join(".wh..wh.plnk").exists());
    for bad in ["d/.wh.", "d/.wh..", "d/.wh...", ".wh.d/x"] {
        assert!(try_on(Tar::new().dir("d", 0o755).file(bad, ""), &[]).1.is_err(), "{bad}");
    }
}

#[test]
fn on_lower_layers() {
    if !root() {
        return eprintln!("skipped: owners need root");
    }
    let base = Tar::new().dir("etc", 0o750).dir("etc/app", 0o2711).file("etc/app/conf", "c").file("top", "t");
    let base = base.pax(&[("SCHILY.xattr.trusted.t", b"v")]).dir("opt", 0o700);
    let (base, made) = on(base, &[]);
    assert_eq!(made, Made::Alone);
    let lower = [base.path.clone()];
    let (dir, made) = on(Tar::new().file("etc/app/new", "n").file("opt/x", ""), &lower);
    assert_eq!(made, Made::OnLower);
    let mode = |name: &str| fs::metadata(dir.path.join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("etc"), mode("etc/app"), mode("opt")), (0o750, 0o2711, 0o700));
    assert_eq!(make::xattrs(sys::inroot::root(&dir.path).unwrap(), OsStr::new("opt")).unwrap().len(), 1);
    // A hard link into the lower layer is one more name of the same file.
    let (dir, made) = on(Tar::new().hard_link("again", "etc/app/conf"), &lower);
    assert_eq!(made, Made::OnLower);
    let inode = |p: PathBuf| fs::metadata(p).unwrap().ino();
    assert_eq!(inode(dir.path.join("again")), inode(base.path.join("etc/app/conf")));
    // An entry that comes late is an entry.
    let (_dir, made) = on(Tar::new().file("etc/x", "").dir("etc", 0o755), &lower);
    assert_eq!(made, Made::Alone);
}

#[test]
fn a_cut_archive_is_an_error() {
    let bytes = Tar::new().file("a", &"x".repeat(2000)).file("b", "y").bytes();
    for end in [100, 512, 1000, 2500, 2600, 3000, 3100] {
        let dir = Dir::new();
        let e = extract(&bytes[..end], &dir.path, &[], root()).err();
        // Between two entries nothing tells; then the digest does.
        assert_eq!(e.is_none(), end == 2560, "{end}");
    }
    let mut wrong = bytes.clone();
    wrong[0] ^= 1;
    assert!(extract(wrong.as_slice(), &Dir::new().path, &[], root()).is_err());
    let sparse = Tar::new().pax(&[("GNU.sparse.major", b"1")]).file("s", "x");
    assert!(try_on(sparse, &[]).1.unwrap_err().root_cause().to_string().contains("sparse"));
}

#[test]
fn damaged_archives_neither_panic_nor_lead_out() {
    let outside = Dir::new();
    fs::write(outside.path.join("canary"), "c").unwrap();
    let place = outside.path.to_str().unwrap().to_owned();
    let archive = || {
        let tar = Tar::new().dir("d", 0o755).symlink("d/l", &place).file("d/l/canary", "overwritten");
        let tar =
            tar.pax(&[("path", b"d/p"), ("SCHILY.xattr.user.a", b"1"), ("mtime", b"1.5")]).file("p", "x");
        tar.hard_link("h", "d/l").file("d/.wh.p", "").file("d/.wh..wh..opq", "").file("e/f", "y").bytes()
    };
    let whole = archive();
    let mut random = 1_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    for _ in 0..400 {
        let mut bytes = whole.clone();
        let block = next(bytes.len() / 512) * 512;
        for _ in 0..1 + next(3) {
            bytes[block + next(512)] = next(256) as u8;
        }
        // A right checksum, so that the rest of the header is looked at.
        let sum: u32 =
            (0..512).map(|i| if (148..156).contains(&i) { 32 } else { bytes[block + i] as u32 }).sum();
        bytes[block + 148..block + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let dir = Dir::new();
        let _ = extract(bytes.as_slice(), &dir.path, &[], root());
    }
    let left: Vec<_> = fs::read_dir(&outside.path).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["canary"]);
    assert_eq!(fs::read_to_string(outside.path.join("canary")).unwrap(), "c");
}
