//! Archives as they should be and as they should not.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{Dir, Tar, root};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

/// Directories that are there.
struct Stack<'a>(&'a [PathBuf]);

impl Below for Stack<'_> {
    fn layers(&self) -> Result<Vec<std::sync::Arc<OwnedFd>>> {
        self.0.iter().map(|d| Ok(std::sync::Arc::new(make::open_dir(d)?))).collect()
    }
}

fn try_on(tar: Tar, lower: &[PathBuf]) -> (Dir, Result<Made>) {
    let dir = Dir::new();
    let made = extract(tar.bytes().as_slice(), &dir.path, &Stack(lower), Rights::here());
    (dir, made)
}

/// All of them as one plain tree.
fn flat(layers: Vec<Tar>) -> Dir {
    let dir = Dir::new();
    let mut x = Extractor::new(&dir.path, Shape::Flat, &Nothing, Rights::here()).unwrap();
    for layer in layers {
        x.layer(layer.bytes().as_slice()).unwrap();
    }
    x.finish().unwrap();
    dir
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
    // An entry that comes late is right, but where its file went was asked below.
    let (dir, made) = on(Tar::new().file("etc/x", "").dir("etc", 0o711), &lower);
    assert_eq!(made, Made::OnLower);
    assert_eq!(fs::metadata(dir.path.join("etc")).unwrap().mode() & 0o7777, 0o711);
}

#[test]
fn a_cut_archive_is_an_error() {
    let bytes = Tar::new().file("a", &"x".repeat(2000)).file("b", "y").bytes();
    for end in [100, 512, 1000, 2500, 2600, 3000, 3100] {
        let dir = Dir::new();
        let e = extract(&bytes[..end], &dir.path, &Nothing, Rights::here()).err();
        // Between two entries nothing tells; then the digest does.
        assert_eq!(e.is_none(), end == 2560, "{end}");
    }
    let mut wrong = bytes.clone();
    wrong[0] ^= 1;
    assert!(extract(wrong.as_slice(), &Dir::new().path, &Nothing, Rights::here()).is_err());
    let sparse = Tar::new().pax(&[("GNU.sparse.major", b"7")]).file("s", "x");
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
        let _ = extract(bytes.as_slice(), &dir.path, &Nothing, Rights::here());
    }
    let left: Vec<_> = fs::read_dir(&outside.path).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["canary"]);
    assert_eq!(fs::read_to_string(outside.path.join("canary")).unwrap(), "c");
}

/// What GNU tar 1.34 wrote of a file with a hole between two pieces, in its three PAX forms.
#[test]
fn holes_stay_holes() {
    let size = 4_u64 << 20;
    let map_in_data = [format!("2\n0\n4\n{}\n4\n", size - 4).into_bytes(), vec![0; 512]].concat();
    let map_in_data = [&map_in_data[..512], b"headtail"].concat();
    let (real, end) = (size.to_string(), (size - 4).to_string());
    let map = format!("0,4,{end},4");
    let tar = Tar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"d/one"),
            ("GNU.sparse.realsize", real.as_bytes()),
        ])
        .raw("GNUSparseFile.1/one", &map_in_data)
        .pax(&[
            ("GNU.sparse.size", real.as_bytes()),
            ("GNU.sparse.name", b"d/two"),
            ("GNU.sparse.map", map.as_bytes()),
        ])
        .raw("GNUSparseFile.1/two", b"headtail")
        .pax(&[
            ("GNU.sparse.size", real.as_bytes()),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.offset", b"0"),
            ("GNU.sparse.numbytes", b"4"),
            ("GNU.sparse.offset", end.as_bytes()),
            ("GNU.sparse.numbytes", b"4"),
        ])
        .raw("d/three", b"headtail")
        .file("after", "a");
    let (dir, _) = on(tar, &[]);
    for name in ["d/one", "d/two", "d/three"] {
        let bytes = fs::read(dir.path.join(name)).unwrap();
        assert_eq!(
            (bytes.len() as u64, &bytes[..4], &bytes[bytes.len() - 4..]),
            (size, &b"head"[..], &b"tail"[..])
        );
        assert!(bytes[4..bytes.len() - 4].iter().all(|b| *b == 0));
        let blocks = fs::metadata(dir.path.join(name)).unwrap().blocks();
        assert!(blocks * 512 < 64 << 10, "{name} takes {blocks} blocks");
    }
    assert_eq!(fs::read_to_string(dir.path.join("after")).unwrap(), "a");
    for (map, data) in
        [("0,4,2,4", "headtail"), ("0,9", "headtail"), ("0,8", "short"), ("0", ""), ("8,-8", "")]
    {
        let tar =
            Tar::new().pax(&[("GNU.sparse.size", b"8"), ("GNU.sparse.map", map.as_bytes())]).file("s", data);
        assert!(try_on(tar, &[]).1.is_err(), "{map}");
    }
}

#[test]
fn a_link_in_a_lower_layer_is_followed() {
    let (base, _) = on(Tar::new().dir("usr", 0o755).dir("usr/lib", 0o750).symlink("lib", "usr/lib"), &[]);
    let lower = [base.path.clone()];
    let (dir, made) = on(Tar::new().file("lib/x", "x").file("lib/.wh.gone", ""), &lower);
    assert_eq!(made, Made::OnLower);
    assert!(!dir.path.join("lib").exists());
    assert_eq!(fs::read_to_string(dir.path.join("usr/lib/x")).unwrap(), "x");
    assert!(dir.path.join("usr/lib/gone").symlink_metadata().is_ok());
    // This layer's own directory hides the link, and its own link leads into a lower directory.
    let (dir, _) = on(Tar::new().dir("lib", 0o755).file("lib/x", "x"), &lower);
    assert!(dir.path.join("lib/x").exists() && !dir.path.join("usr").exists());
    let (dir, _) = on(Tar::new().symlink("opt", "/usr/../usr/lib").file("opt/y", "y"), &lower);
    assert!(dir.path.join("usr/lib/y").exists());
    // A hard link by a path through it.
    let (both, _) = on(Tar::new().file("usr/lib/f", "f"), &lower);
    let (dir, made) = on(Tar::new().hard_link("h", "lib/f"), &[base.path.clone(), both.path.clone()]);
    assert_eq!((made, fs::read_to_string(dir.path.join("h")).unwrap()), (Made::OnLower, "f".to_owned()));
    let e = try_on(Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", ""), &[]).1.unwrap_err();
    assert!(e.root_cause().to_string().contains("Too many levels"), "{e:#}");
}

#[test]
fn what_a_whiteout_hides_is_not_asked_for() {
    if !root() {
        return eprintln!("skipped: overlayfs' marks need root");
    }
    let (base, _) = on(Tar::new().dir("d", 0o700).file("d/old", "").symlink("l", "d"), &[]);
    let lower = [base.path.clone()];
    let (dir, _) =
        on(Tar::new().file(".wh.d", "").file("d/new", "n").file(".wh.l", "").file("l/x", ""), &lower);
    assert!(sys::extract::is_opaque(&dir.path.join("d")) && sys::extract::is_opaque(&dir.path.join("l")));
    assert_eq!(fs::metadata(dir.path.join("d")).unwrap().mode() & 0o7777, 0o755);
    assert!(dir.path.join("l/x").exists());
}

#[test]
fn the_root_is_as_below_where_no_entry_says() {
    if !root() {
        return eprintln!("skipped: owners need root");
    }
    let (base, made) = on(Tar::new().dir("./", 0o1750).dir("d", 0o755), &[]);
    assert_eq!(made, Made::Alone);
    let (dir, made) = on(Tar::new().dir("e", 0o755), std::slice::from_ref(&base.path));
    assert_eq!((made, fs::metadata(&dir.path).unwrap().mode() & 0o7777), (Made::OnLower, 0o1750));
    let (plain, _) = on(Tar::new().dir("d", 0o755), &[]);
    let (dir, made) = on(Tar::new().dir("e", 0o755), std::slice::from_ref(&plain.path));
    assert_eq!((made, fs::metadata(&dir.path).unwrap().mode() & 0o7777), (Made::Alone, 0o755));
}

#[test]
fn deep_paths_and_long_names() {
    let deep = "d/".repeat(3000) + "f";
    let tar = Tar::new().pax(&[("path", deep.as_bytes())]).file("x", "deep").file("after", "");
    let (dir, _) = on(tar, &[]);
    assert!(dir.path.join("after").exists());
    let mut at = fs::File::open(&dir.path).unwrap();
    for _ in 0..3000 {
        at = fs::File::open(sys::inroot::fd_path(&at).join("d")).unwrap();
    }
    assert_eq!(fs::read_to_string(sys::inroot::fd_path(&at).join("f")).unwrap(), "deep");
    let meta = fs::metadata(&dir.path).unwrap();
    sys::inroot::empty_tree(&dir.path, meta.dev()).unwrap();
    for (path, cause) in [("n".repeat(256), "too long"), ("d/".repeat(5000) + "f", "more than 4096")] {
        let e = try_on(Tar::new().pax(&[("path", path.as_bytes())]).file("x", ""), &[]).1.unwrap_err();
        let text = format!("{e:#}");
        assert!(text.contains(cause) && text.len() < 400, "{text}");
    }
}

#[test]
fn directories_keep_their_times() {
    let dated = |tar: Tar, time: &str| tar.pax(&[("mtime", time.as_bytes())]);
    let tar = dated(Tar::new(), "100.5").dir("a", 0o755);
    let tar = dated(tar, "200").dir("a/b", 0o755).file("a/b/f", "").file("a/g", "");
    let tar = dated(tar, "300").dir("c", 0o755).file("a/b/late", "").file("c/f", "").file("a/b/f", "again");
    let tar = tar.symlink("a/l", "../c").file("a/l/through", "");
    let (dir, _) = on(tar, &[]);
    let time = |n: &str| fs::metadata(dir.path.join(n)).map(|m| (m.mtime(), m.mtime_nsec())).unwrap();
    assert_eq!((time("a"), time("a/b"), time("c")), ((100, 500_000_000), (200, 0), (300, 0)));
    assert!(dir.path.join("c/through").exists());
}

#[test]
fn one_plain_tree() {
    let base = || {
        let tar = Tar::new().dir("./", 0o755).dir("d", 0o2755).file("d/gone", "").file("d/stays", "s");
        let tar = tar.dir("o", 0o755).file("o/old", "").dir("o/sub", 0o755).file("o/sub/old", "");
        tar.file("f", "")
            .dir("was", 0o755)
            .file("was/in", "")
            .symlink("lib", "d")
            .dir("w", 0o700)
            .file("w/old", "")
    };
    let top = || {
        let tar = Tar::new().file("d/.wh.gone", "").file("d/own", "x").file("d/.wh.own", "");
        let tar = tar.dir("o", 0o711).file("o/new", "").dir("o/sub", 0o700).file("o/sub/new", "");
        let tar = tar.file("o/.wh..wh..opq", "").dir("f", 0o755).file("f/in", "").file("was", "file");
        let tar = tar.file("lib/through", "").hard_link("again", "d/stays").file(".wh.absent", "");
        tar.file("w/new", "").file(".wh.w", "").file("was/.wh.in", "")
    };
    let dir = flat(vec![base(), top()]);
    let at = |name: &str| dir.path.join(name);
    for name in ["d/stays", "d/own", "o/new", "o/sub/new", "f/in", "d/through", "again", "w/new"] {
        assert!(at(name).is_file(), "{name}");
    }
    for name in ["d/gone", "o/old", "o/sub/old", "w/old", "absent", ".wh.absent"] {
        assert!(at(name).symlink_metadata().is_err(), "{name}");
    }
    assert_eq!(fs::read_to_string(at("was")).unwrap(), "file");
    assert_eq!(fs::metadata(at("again")).unwrap().nlink(), 2);
    assert_eq!(fs::metadata(at("o")).unwrap().mode() & 0o7777, 0o711);
    assert_eq!(fs::metadata(at("d")).unwrap().mode() & 0o7777, 0o2755);
    assert!(!sys::extract::is_opaque(&at("o")));
    // A whiteout in a later layer takes what an earlier one brought.
    let dir = flat(vec![base(), top(), Tar::new().file(".wh.o", "").file("d/.wh..wh..opq", "")]);
    assert!(!dir.path.join("o").exists());
    assert_eq!(fs::read_dir(dir.path.join("d")).unwrap().count(), 0);
}

#[test]
fn numbers_that_make_no_sense() {
    let field = |name: &str, edit: &dyn Fn(&mut tar::OldHeader)| {
        let edit = |h: &mut tar::Header| edit(h.as_old_mut());
        try_on(Tar::new().with(name, "", edit), &[]).1.map(drop).map_err(|e| format!("{e:#}"))
    };
    let huge = [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for (what, said) in [
        ("negative size", field("f", &|h| h.size = [0xff; 12])),
        ("huge size", field("f", &|h| h.size = huge)),
        ("no size", field("f", &|h| h.size = *b"nonsense\0\0\0\0")),
        ("negative uid", field("f", &|h| h.uid = [0xff; 8])),
        ("no mode", field("f", &|h| h.mode = *b"rwxr-xr-")),
    ] {
        assert!(said.is_err(), "{what}");
    }
    assert!(field("f", &|h| h.mtime = [0xff; 12]).is_ok(), "a second before the epoch");
    for (key, value) in [
        ("size", "-1"),
        ("size", "9999999999999999999"),
        ("uid", "-1"),
        ("gid", "4294967296"),
        ("mtime", "x"),
    ] {
        assert!(
            try_on(Tar::new().pax(&[(key, value.as_bytes())]).file("f", ""), &[]).1.is_err(),
            "{key}={value}"
        );
    }
}
