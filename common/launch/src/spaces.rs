//! Which namespaces are made, which are joined, by whom and in which order (namespaces(7),
//! user_namespaces(7)).
//!
//! One clone makes the new ones, and a new user namespace owns those that are made with it. What is
//! joined beside a new user namespace is joined by the parent before the clone, who has the right to
//! it and comes back afterwards. A user namespace that is there is joined by the child, who makes the
//! new ones then; by a second clone where a pid namespace is among them, for that holds for children.

use crate::Look;
use crate::plan::{every_processor, join_cgroups};
use crate::process::oom_score;
use anyhow::{Result, bail};
use doc::{Doc, IdMapping, Namespace};
use std::path::PathBuf;
use step::{Act, Step};

/// Whose user namespace the process is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum User {
    /// The caller's.
    Callers,
    /// A new one.
    New,
    /// One that is there already.
    Joined,
}

/// What the plan asks of the document's namespaces.
pub(crate) struct Spaces<'a> {
    doc: &'a Doc,
    look: &'a Look,
    list: Vec<Namespace>,
    user: User,
    /// Whether the caller may make and join namespaces outside of a user namespace.
    able: bool,
}

impl<'a> Spaces<'a> {
    pub(crate) fn of(doc: &'a Doc, look: &'a Look) -> Result<Spaces<'a>> {
        let list = doc.namespaces()?;
        let user = match list.iter().find(|n| n.kind == "user") {
            None => User::Callers,
            Some(Namespace { path: Some(_), .. }) => User::Joined,
            Some(_) => User::New,
        };
        Ok(Spaces { doc, look, list, user, able: look.host.is_able() })
    }

    /// Whether a new one of this kind is made.
    pub(crate) fn makes(&self, kind: &str) -> bool {
        self.list.iter().any(|n| n.kind == kind && n.path.is_none())
    }

    /// From the caller's namespaces into the container's.
    pub(crate) fn enter(&self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        let by_parent = self.by_parent();
        if !by_parent.is_empty() {
            steps.push(Step::parent(Act::Hide {}));
        }
        steps.extend(by_parent.into_iter().map(Step::parent));
        if self.able {
            steps.extend(self.time()?.into_iter().map(Step::parent));
        }
        steps.extend(self.pass()?.map(Step::parent));
        steps.push(Step::parent(Act::Clone {
            namespaces: if self.user == User::Joined { Vec::new() } else { self.cloned() },
            cgroup: self.look.cloned_into().filter(|_| self.look.unit.is_empty()),
        }));
        if self.doc.stave_flag("dieWithParent") {
            steps.push(Step::child(Act::DieWithParent {}));
        }
        steps.extend(self.look.unit.iter().cloned().map(Step::parent));
        // With the rights that the caller has outside.
        steps.extend(self.join_slice().map(Step::child));
        steps.extend(join_cgroups(self.look).map(Step::child));
        steps.extend(every_processor(self.look).map(Step::child));
        match self.user {
            User::Callers => {
                steps.extend(oom_score(self.doc)?.map(Step::child));
                steps.extend(self.joined(|kind| kind != "pid").into_iter().map(Step::child));
            }
            User::New => {
                steps.extend(oom_score(self.doc)?.map(Step::parent));
                steps.push(Step::parent(self.map()?));
                steps.push(Step::child(Act::Root {}));
            }
            User::Joined => {
                steps.extend(oom_score(self.doc)?.map(Step::child));
                steps.extend(self.join_user()?.into_iter().map(Step::child));
            }
        }
        if self.makes("cgroup") {
            // Its root is where the process is now.
            steps.push(Step::child(Act::Unshare { kind: "cgroup".into() }));
        }
        if !self.able {
            steps.extend(self.time()?.into_iter().map(Step::child));
        }
        Ok(steps)
    }

    /// systemd puts no process into a slice.
    fn join_slice(&self) -> Option<Act> {
        let Some(Act::Unit { name, .. }) = self.look.unit.first() else { return None };
        let dir = self.look.v2().filter(|_| name.ends_with(".slice"))?;
        Some(Act::JoinCgroup { path: dir.path.clone(), file: "cgroup.procs".into() })
    }

    /// What the parent joins: a pid namespace holds for children only.
    fn by_parent(&self) -> Vec<Act> {
        match self.user {
            User::New => self.joined(|kind| kind != "user"),
            User::Joined if !self.able => Vec::new(),
            _ => self.joined(|kind| kind == "pid"),
        }
    }

    /// Into a user namespace that is there. Whoever has rights outside joins the others by them; who has
    /// none has those of the user namespace, once in it.
    fn join_user(&self) -> Result<Vec<Act>> {
        let user = self.joined(|kind| kind == "user");
        let others = self.joined(|kind| kind != "user" && !(kind == "pid" && self.able));
        let (first, then) = if self.able { (others, user) } else { (user, others) };
        let mut acts: Vec<Act> = first.into_iter().chain(then).collect();
        let (uids, gids) = self.doc.id_maps()?;
        if !uids.is_empty() || !gids.is_empty() {
            acts.push(Act::MapIds { uids: rows(&uids), gids: rows(&gids) });
        }
        acts.push(Act::Root {});
        let new = self.cloned();
        let pid = self.list.iter().any(|n| n.kind == "pid" && (n.path.is_none() || !self.able));
        if pid {
            acts.push(Act::Clone { namespaces: new, cgroup: None });
        } else {
            acts.extend(new.into_iter().map(|kind| Act::Unshare { kind }));
        }
        Ok(acts)
    }

    /// Those to join of the kinds that are asked for; a mount namespace last, since it takes the
    /// host's paths away.
    fn joined(&self, asked: impl Fn(&str) -> bool) -> Vec<Act> {
        let mut list: Vec<(&str, PathBuf)> = self
            .list
            .iter()
            .filter(|n| asked(&n.kind))
            .filter_map(|n| Some((n.kind.as_str(), PathBuf::from(n.path.as_ref()?))))
            .collect();
        list.sort_by_key(|(kind, _)| *kind == "mount");
        list.into_iter().map(|(kind, path)| Act::Setns { kind: kind.into(), path }).collect()
    }

    /// The new ones that a clone makes. A cgroup namespace waits until the child is in its cgroups; one
    /// of time holds for children, and they find its clocks set.
    fn cloned(&self) -> Vec<String> {
        let late = |kind: &str| matches!(kind, "cgroup" | "time");
        self.list.iter().filter(|n| n.path.is_none() && !late(&n.kind)).map(|n| n.kind.clone()).collect()
    }

    /// A new time namespace with its clocks set, for the next process or the next exec (Linux 6.3).
    fn time(&self) -> Result<Vec<Act>> {
        if !self.makes("time") {
            return Ok(Vec::new());
        }
        if !self.able && !sys::process::kernel_is(6, 3) {
            bail!("namespaces: a time namespace in a user namespace needs Linux 6.3");
        }
        let mut acts = vec![Act::Unshare { kind: "time".into() }];
        let offsets = self.doc.time_offsets()?;
        if !offsets.is_empty() {
            let line = |o: &doc::TimeOffset| format!("{} {} {}\n", o.clock, o.secs, o.nanosecs);
            let text = offsets.iter().map(line).collect();
            acts.push(Act::Write { path: "/proc/self/timens_offsets".into(), text });
        }
        Ok(acts)
    }

    /// The container's directory is nobody's but the caller's; the root of the user namespace has to
    /// come through to what is mounted there.
    fn pass(&self) -> Result<Option<Act>> {
        if self.user != User::New || !self.able || self.look.overlay.is_none() {
            return Ok(None);
        }
        let (_, gids) = self.doc.id_maps()?;
        let outside = gids.iter().find(|m| m.inside == 0).map(|m| m.outside);
        Ok(outside.map(|gid| Act::Pass { path: self.look.bundle.clone(), gid }))
    }

    /// The ids of the new user namespace.
    fn map(&self) -> Result<Act> {
        let (uids, gids) = self.doc.id_maps()?;
        for (key, list) in [("uidMappings", &uids), ("gidMappings", &gids)] {
            if !list.iter().any(|m| m.inside == 0) {
                bail!("linux.{key}: nothing stands for 0, the container's root");
            }
        }
        Ok(Act::MapIds { uids: rows(&uids), gids: rows(&gids) })
    }
}

fn rows(list: &[IdMapping]) -> Vec<[u32; 3]> {
    list.iter().map(|m| [m.inside, m.outside, m.size]).collect()
}
