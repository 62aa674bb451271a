//! Network, uts and ipc namespaces that are there without a process: each is pinned by a bind
//! mount of its file, and the document says where. Pid, mount and cgroup namespaces live in a
//! process; they stay in the document for `spawn`.
#![forbid(unsafe_code)]

mod user;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use cli::Host;
use doc::{Doc, Namespace};
use std::path::Path;
use step::{Act, Step};

/// The namespaces that can be pinned, by their OCI words.
pub const PINNED: [&str; 3] = ["network", "uts", "ipc"];

/// The flags of `stave ns`.
#[derive(Args, Debug, Default)]
pub struct Ns {
    /// none: a network of its own with nothing but lo; host: the host's
    #[arg(long, visible_alias = "net", value_enum, value_name = "none|host", help_heading = "Namespaces")]
    pub network: Option<Network>,
    /// The container's host name [default: its id]
    #[arg(long, value_name = "NAME", help_heading = "Namespaces")]
    pub hostname: Option<String>,
    /// private or host
    #[arg(long, value_enum, value_name = "private|host", help_heading = "Namespaces")]
    pub ipc: Option<Mode>,
    /// private or host
    #[arg(long, value_enum, value_name = "private|host", help_heading = "Namespaces")]
    pub uts: Option<Mode>,
    /// private or host
    #[arg(long, value_enum, value_name = "private|host", help_heading = "Namespaces")]
    pub pid: Option<Mode>,
    /// private: its own cgroup is the root of all that it sees; host
    #[arg(long, value_enum, value_name = "private|host", help_heading = "Namespaces")]
    pub cgroupns: Option<Mode>,
    /// The user namespace.
    #[command(flatten)]
    pub user: user::User,
}

/// What `--network` takes.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Network {
    /// Of its own, with nothing but lo.
    None,
    /// The host's.
    Host,
}

/// What the others take.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Mode {
    /// Of its own.
    Private,
    /// The host's.
    Host,
}

impl cli::Stage for Ns {
    const NAME: &'static str = "ns";
    const ABOUT: &'static str = "Make and pin a container's network, uts and ipc namespaces";

    fn edit(&self, doc: &mut Doc, host: &Host) -> Result<()> {
        let Some(id) = doc.id()?.map(String::from) else { bail!("the document has no id") };
        let mut list = doc.namespaces()?;
        if list.is_empty() {
            list.extend(PINNED.map(Namespace::new));
        }
        let network = self.network.map(|n| if n == Network::Host { Mode::Host } else { Mode::Private });
        for (kind, mode) in [
            ("network", network),
            ("ipc", self.ipc),
            ("uts", self.uts),
            ("pid", self.pid),
            ("cgroup", self.cgroupns),
        ] {
            let there = list.iter().any(|n| n.kind == kind);
            match mode {
                Some(Mode::Host) => list.retain(|n| n.kind != kind),
                Some(Mode::Private) if !there => list.push(Namespace::new(kind)),
                _ => {}
            }
        }
        self.user.edit(doc, &mut list, host)?;
        // What belongs to a user namespace is made with it, in the process.
        let own_user = list.iter().any(|n| n.kind == "user");
        for n in
            list.iter_mut().filter(|n| !own_user && n.path.is_none() && PINNED.contains(&n.kind.as_str()))
        {
            n.path = Some(host.roots.pin(&id, &n.kind).to_string_lossy().into_owned());
        }
        let uts = list.iter().any(|n| n.kind == "uts");
        if self.hostname.is_some() && !uts {
            return Err(cli::usage("--hostname: the uts namespace is the host's"));
        }
        if let Some(name) = &self.hostname {
            if name.is_empty() || name.len() > 64 {
                return Err(cli::usage("--hostname: 1 to 64 bytes"));
            }
            doc.set("/hostname", name.as_str())?;
        } else if uts {
            doc.set_default("/hostname", id)?;
        }
        Ok(doc.set_namespaces(&list)?)
    }

    fn plan(doc: &Doc, host: &Host) -> Result<Vec<Step>> {
        let Some(id) = doc.id()? else { bail!("the document has no id") };
        let mut acts = Vec::new();
        for n in doc.namespaces()? {
            let pin = host.roots.pin(id, &n.kind);
            // A path that is not this container's pin was given by somebody: it is only joined.
            if !PINNED.contains(&n.kind.as_str()) || n.path.as_deref().map(Path::new) != Some(&pin) {
                continue;
            }
            if let (true, Some(dir)) = (acts.is_empty(), pin.parent()) {
                acts.push(Act::Mkdir { path: host.roots.run_of(id), mode: 0o711 });
                acts.push(Act::Mkdir { path: dir.to_owned(), mode: 0o711 });
            }
            acts.push(Act::Pin { kind: n.kind.clone(), at: pin.clone() });
            match n.kind.as_str() {
                "network" => acts.push(Act::LinkUp { name: "lo".into(), ns: Some(pin) }),
                "uts" => {
                    if let Some(name) = doc.get("/hostname").and_then(|h| h.as_str()) {
                        acts.push(Act::Hostname { name: name.into(), ns: Some(pin) });
                    }
                }
                _ => {}
            }
        }
        Ok(acts.into_iter().map(Step::parent).collect())
    }

    fn view(doc: &Doc, _host: &Host) -> Result<String> {
        let mut rows = vec![["NAMESPACE", "WHERE"].map(String::from).to_vec()];
        for n in doc.namespaces()? {
            rows.push(vec![n.kind, n.path.unwrap_or_else(|| "new, in the process".into())]);
        }
        Ok(cli::table(&rows))
    }
}
