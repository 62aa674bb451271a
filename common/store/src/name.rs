//! Names of images: `NAME[:TAG]`, as docker writes them, without the default registry.

use crate::Reference;
use anyhow::{Result, bail};

/// The one form under which a name is stored: docker's default registry and `library/` left out,
/// the tag always there. So `busybox`, `busybox:latest` and `docker.io/library/busybox` are one.
pub fn normal(text: &str) -> Result<String> {
    let reference = Reference::parse(text)?;
    if reference.digest.is_some() {
        bail!("'{text}' has a digest; a name is NAME[:TAG]");
    }
    Ok(reference.name())
}

/// A name made of what a file is called, where it has one that can be used.
pub fn of_file(file: &str) -> Option<String> {
    let mut base = file.to_ascii_lowercase();
    let known = [".tar", ".gz", ".tgz", ".oci", ".docker", ".zst", ".tzst"];
    while let Some(short) = known.iter().find_map(|k| base.strip_suffix(k)) {
        base = short.to_owned();
    }
    let fit: String =
        base.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    let fit = fit.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    (!fit.is_empty()).then(|| fit.to_owned())
}

/// The name of an image in an archive: a whole name as it is, a bare tag behind the file's base
/// name. From a pipe there is no base name; then a bare word other than `latest` is the name.
pub fn in_archive(reference: &str, base: Option<&str>) -> Option<String> {
    if reference.contains([':', '/']) {
        return normal(reference).ok();
    }
    match base {
        Some(base) => normal(&format!("{base}:{reference}")).ok(),
        None if reference == "latest" => None,
        None => normal(reference).ok(),
    }
}

/// At most three of the names that were perhaps meant, the nearest first.
pub fn nearest(word: &str, names: &[String]) -> Vec<String> {
    let bare = |s: &str| s.rsplit_once(':').map_or(s, |(n, _)| n).to_owned();
    let whole = word.contains(':');
    let wanted = word.to_lowercase();
    let mut ranked: Vec<(usize, &String)> = names
        .iter()
        .filter_map(|name| {
            let other = if whole { name.clone() } else { bare(name) };
            let far = distance(&wanted, &other);
            let within = |long: &str, short: &str| short.len() > 2 && long.contains(short);
            let inside = within(&other, &bare(&wanted)) || within(&wanted, &bare(&other));
            let near = far <= wanted.chars().count() / 3;
            if inside { Some((far.min(1), name)) } else { near.then_some((far, name)) }
        })
        .collect();
    ranked.sort();
    ranked.dedup_by(|a, b| a.1 == b.1);
    ranked.into_iter().take(3).map(|(_, name)| name.clone()).collect()
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let same = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = same.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        for (text, name) in [
            ("busybox", "busybox:latest"),
            ("busybox:1.36", "busybox:1.36"),
            ("docker.io/library/busybox", "busybox:latest"),
            ("docker.io/user/app:v1", "user/app:v1"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("localhost:5000/a/b:T", "localhost:5000/a/b:T"),
        ] {
            assert_eq!(normal(text).unwrap(), name);
        }
        for bad in [
            "", "Busybox", "a b", "a:", ":t", "a//b", "/a", "a/", "../x", "a:b:c", "a@b", "-a", "a:.x",
            "a..b",
        ] {
            assert!(normal(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn of_files() {
        assert_eq!(of_file("busybox.oci.tar").as_deref(), Some("busybox"));
        assert_eq!(of_file("alpine-3.20.tar.gz").as_deref(), Some("alpine-3.20"));
        assert_eq!(of_file("My Image.tgz").as_deref(), Some("my-image"));
        assert_eq!(of_file(".tar"), None);
        assert_eq!(in_archive("latest", Some("busybox")).as_deref(), Some("busybox:latest"));
        assert_eq!(in_archive("docker.io/library/a:1", Some("b")).as_deref(), Some("a:1"));
        assert_eq!(in_archive("latest", None), None);
        assert_eq!(in_archive("tool", None).as_deref(), Some("tool:latest"));
    }

    #[test]
    fn near() {
        let names = ["busybox:latest", "busybox:1.36", "alpine:latest", "debian:12", "x:1"].map(String::from);
        assert_eq!(nearest("busibox", &names), ["busybox:1.36", "busybox:latest"]);
        assert_eq!(nearest("alpin", &names), ["alpine:latest"]);
        assert_eq!(nearest("debian", &names), ["debian:12"]);
        assert!(nearest("nginx", &names).is_empty());
    }
}
