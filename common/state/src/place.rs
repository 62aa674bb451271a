//! Where a container's cgroups are: a directory of ours in each hierarchy, or that of a unit of systemd's.

use crate::Roots;
use anyhow::Result;
use doc::Doc;
use std::path::Path;

/// Where a container's cgroups are.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The path in every hierarchy.
    pub path: String,
    /// The unit whose cgroup it is; `None`: a directory of ours.
    pub unit: Option<Unit>,
}

/// A unit of systemd's.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// `stave-ID.scope`.
    pub name: String,
    /// The slice that it is in.
    pub slice: String,
    /// Of the caller's manager, not the system's.
    pub user: bool,
}

impl Unit {
    /// Whether it is a slice: such a one is made empty.
    pub fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }
}

impl Place {
    /// Of a container, as its document has it.
    pub fn of(doc: &Doc, id: &str) -> Result<Place> {
        match doc.unit()? {
            Some(unit) => Ok(Place::of_unit(unit, systemd::of_user())),
            None => Ok(Place::dir(doc.cgroups_path()?.map_or_else(|| Roots::cgroup(id), String::from))),
        }
    }

    /// What a path names that stands for a unit; `None`: it does not.
    pub fn named(path: &str) -> Option<Place> {
        doc::Unit::parse(path).map(|unit| Place::of_unit(unit, systemd::of_user()))
    }

    /// A directory.
    pub fn dir(path: String) -> Place {
        Place { path, unit: None }
    }

    /// A unit of the system's manager, or of the caller's, whose units are below its own.
    pub fn of_unit(unit: doc::Unit, user: bool) -> Place {
        let slice = unit.slice.unwrap_or_else(|| usual_slice(user).to_owned());
        let above = manager(user);
        let path = match unit.name.ends_with(".slice") {
            // A slice is where its name says.
            true => doc::slice_path(&unit.name).unwrap_or_default(),
            false => format!("{}/{}", doc::slice_path(&slice).unwrap_or_default(), unit.name),
        };
        Place { path: above + &path, unit: Some(Unit { name: unit.name, slice, user }) }
    }

    /// Whether it is named by the container's id, so that it is the container's alone.
    pub fn is_own(&self, id: &str) -> bool {
        let name = Path::new(&self.path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        match &self.unit {
            Some(unit) => {
                !unit.is_slice()
                    && name.strip_suffix(".scope").is_some_and(|n| n.ends_with(&format!("-{id}")))
            }
            None => name == id,
        }
    }
}

/// The cgroup below which a manager has its units.
pub fn manager(user: bool) -> String {
    if !user {
        return String::new();
    }
    let uid = systemd::own_uid();
    format!("/user.slice/user-{uid}.slice/user@{uid}.service")
}

/// The slice of containers that name none.
pub fn usual_slice(user: bool) -> &'static str {
    if user { "user.slice" } else { "system.slice" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let place = |path: &str| doc::Unit::parse(path).map(|u| Place::of_unit(u, false));
        for (given, path, slice, own) in [
            (":stave:12ab", "/system.slice/stave-12ab.scope", "system.slice", true),
            ("a-b.slice:p:12ab", "/a.slice/a-b.slice/p-12ab.scope", "a-b.slice", true),
            ("-.slice:p:12ab", "/p-12ab.scope", "-.slice", true),
            ("a.slice:p:b-12ab.slice", "/b.slice/b-12ab.slice", "a.slice", false),
            ("a.slice:p:other", "/a.slice/p-other.scope", "a.slice", false),
        ] {
            let place = place(given).unwrap_or_else(|| Place::dir(String::new()));
            assert_eq!((place.path.as_str(), place.is_own("12ab")), (path, own));
            assert_eq!(place.unit.map(|u| u.slice).as_deref(), Some(slice));
        }
        assert!(Place::dir("/stave/12ab".into()).is_own("12ab"));
        assert!(!Place::dir("/stave/x12ab".into()).is_own("12ab"));
    }
}
