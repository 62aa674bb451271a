//! Network devices of the host that become a container's (config-linux.md, Network Devices).
//!
//! Until it is certain that there will be a container they can come back: a virtual device would go
//! with the namespace that it was moved to.

use crate::{Done, Fail};
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use sys::Errno;
use sys::netlink::{Address, Link, Netlink};

type Result<T = ()> = std::result::Result<T, Fail>;

thread_local! {
    static MOVED: RefCell<Vec<Move>> = const { RefCell::new(Vec::new()) };
}

/// From the caller's namespace to another, and back.
struct Move {
    device: String,
    name: String,
    was: Link,
    addresses: Vec<Address>,
    /// The namespaces, and whom to ask in each.
    home: File,
    here: Netlink,
    theirs: File,
    there: Netlink,
    /// The devices that the other one had before, by index.
    before: Vec<i32>,
}

/// Post-condition: the device is in the network namespace of the process, up, with its lasting
/// addresses; after an error it is where it was, as it was but for routes.
pub(crate) fn move_in(pid: i32, device: &str, name: &str) -> Result<Done> {
    let theirs = File::open(format!("/proc/{pid}/ns/net"))?;
    let home = File::open("/proc/thread-self/ns/net")?;
    let node = |file: &File| file.metadata().map(|m| (m.dev(), m.ino()));
    if node(&theirs)? == node(&home)? {
        let why = "the container has no network namespace of its own (linux.netDevices)";
        return Err(because(Errno(sys::EINVAL), why));
    }
    let here = Netlink::open()?;
    let Some(was) = here.link(device)? else {
        return Err(because(Errno(sys::ENODEV), "the host has no such device"));
    };
    let there = Netlink::open_in(&theirs).map_err(|e| refused(e, name))?;
    let links = there.links()?;
    if links.iter().any(|l| l.name == name) {
        return Err(refused(Errno(sys::EEXIST), name));
    }
    let it = Move {
        device: device.to_owned(),
        name: name.to_owned(),
        // Before anything is done to it: what goes down has lost its IPv6 addresses.
        addresses: here.lasting_addresses(was.index)?,
        was,
        home,
        here,
        theirs,
        there,
        before: links.iter().map(|l| l.index).collect(),
    };
    match it.there() {
        Ok(()) => {
            MOVED.with_borrow_mut(|moved| moved.push(it));
            Ok(Done::Made)
        }
        Err(e) => {
            it.back();
            Err(e)
        }
    }
}

/// There is a container: they are its own, and go with its namespace.
pub fn stay() {
    MOVED.take();
}

/// There is none: as far as it can be had, they are on the host again, as they were but for routes.
pub fn bring_back() {
    MOVED.take().iter().rev().for_each(Move::back);
}

impl Move {
    fn there(&self) -> Result {
        // It is not brought down here: the kernel does that once nothing stands against the move, so
        // a device that may not go keeps its routes.
        self.here.move_link(self.was.index, &self.theirs, &self.name).map_err(|e| refused(e, &self.name))?;
        let link = self.arrived(&self.name)?.ok_or(Errno(sys::ENODEV))?;
        settle(&self.there, &link, &self.addresses, &self.device)?;
        Ok(self.there.up(link.index)?)
    }

    /// The device in the other namespace, where it may have got another index.
    fn arrived(&self, name: &str) -> sys::Result<Option<Link>> {
        let is = |l: &Link| match name.strip_suffix("%d") {
            Some(stem) => l.name.starts_with(stem),
            None => l.name == name,
        };
        let links = self.there.links()?;
        Ok(links.into_iter().find(|l| !self.before.contains(&l.index) && is(l)))
    }

    fn back(&self) {
        // Under its old name where the kernel could not give it the new one.
        let found = [&self.name, &self.device].into_iter().find_map(|n| self.arrived(n).ok().flatten());
        let Some(link) = found else { return };
        if self.there.move_link(link.index, &self.home, &self.device).is_err() {
            return;
        }
        if let Ok(Some(again)) = self.here.link(&self.device) {
            let _ = settle(&self.here, &again, &self.addresses, &self.device);
            if self.was.up {
                let _ = self.here.up(again.index);
            }
        }
    }
}

fn settle(at: &Netlink, link: &Link, addresses: &[Address], former: &str) -> Result {
    for address in addresses {
        at.add_address(link, address, former)
            .map_err(|e| because(e, &format!("its addresses cannot be had there: {e}")))?;
    }
    Ok(())
}

fn because(errno: Errno, why: &str) -> Fail {
    Fail { errno, why: Some(why.to_owned()), status: None }
}

fn refused(errno: Errno, name: &str) -> Fail {
    match errno {
        Errno(sys::EEXIST) => because(errno, &format!("the container has a device {name} already")),
        Errno(sys::EINVAL) => because(errno, "the kernel does not let it leave its namespace"),
        Errno(sys::EPERM) => because(errno, "it needs CAP_NET_ADMIN and CAP_SYS_ADMIN on the host"),
        _ => errno.into(),
    }
}
