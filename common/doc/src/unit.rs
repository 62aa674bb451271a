//! `linux.cgroupsPath` where systemd makes the cgroup: `slice:prefix:name`, in runc's sense.

use crate::{Doc, Error, shape};
use serde_json::Value;

/// A unit of systemd's, whose cgroup is a container's.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// The slice that it is in; `None`: the usual one.
    pub slice: Option<String>,
    /// A scope, or a slice that was named as such.
    pub name: String,
}

impl Unit {
    /// From a path; `None`: it is no unit's.
    pub fn parse(path: &str) -> Option<Unit> {
        let mut parts = path.split(':');
        let (Some(slice), Some(prefix), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        if slice.starts_with('/') {
            return None;
        }
        let name = if name.ends_with(".slice") { name.to_owned() } else { format!("{prefix}-{name}.scope") };
        Some(Unit { slice: Some(slice).filter(|s| !s.is_empty()).map(String::from), name })
    }

    /// Whether it is a slice: such a one is made empty.
    pub fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }
}

/// Where the cgroup of a slice is, below that of the manager: `a-b.slice` lies in `a.slice`. `None`: no
/// slice is called so.
pub fn slice_path(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice").filter(|n| !n.contains('/'))?;
    if name == "-" {
        return Some(String::new());
    }
    let (mut path, mut prefix) = (String::new(), String::new());
    for part in name.split('-') {
        if part.is_empty() {
            return None;
        }
        path += &format!("/{prefix}{part}.slice");
        prefix += &format!("{part}-");
    }
    Some(path)
}

impl Doc {
    /// The unit that `linux.cgroupsPath` names; `None`: it is a directory's, or there is none.
    pub fn unit(&self) -> Result<Option<Unit>, Error> {
        let Some(Value::String(path)) = self.get("/linux/cgroupsPath") else { return Ok(None) };
        let Some(unit) = Unit::parse(path) else { return Ok(None) };
        let wrong = |why: String| shape("/linux/cgroupsPath", &why);
        if let Some(slice) = unit.slice.as_deref().filter(|s| slice_path(s).is_none()) {
            return Err(wrong(format!("invalid slice name: {slice}")));
        }
        if unit.name.contains('/') || (unit.is_slice() && slice_path(&unit.name).is_none()) {
            return Err(wrong(format!("invalid unit name: {}", unit.name)));
        }
        Ok(Some(unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let unit = |path: &str| Unit::parse(path).map(|u| (u.slice.unwrap_or_default(), u.name));
        for (path, slice, name) in [
            ("system.slice:docker:12ab", "system.slice", "docker-12ab.scope"),
            (":stave:x", "", "stave-x.scope"),
            ("a-b.slice:p:c.slice", "a-b.slice", "c.slice"),
            ("::x", "", "-x.scope"),
        ] {
            assert_eq!(unit(path), Some((slice.to_owned(), name.to_owned())), "{path}");
        }
        for path in ["/stave/x", "a:b", "a:b:c:d", "", "/a:b:c"] {
            assert_eq!(unit(path), None, "{path}");
        }
    }

    #[test]
    fn slices() {
        for (slice, path) in [
            ("a.slice", Some("/a.slice")),
            ("test-a-b.slice", Some("/test.slice/test-a.slice/test-a-b.slice")),
            ("-.slice", Some("")),
            ("test--a.slice", None),
            ("-a.slice", None),
            (".slice", None),
            ("a/b.slice", None),
            ("a.scope", None),
        ] {
            assert_eq!(slice_path(slice).as_deref(), path, "{slice}");
        }
    }
}
