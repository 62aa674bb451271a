//! Links and their addresses, by rtnetlink(7): what is asked here has no other way. Messages are those of
//! linux/rtnetlink.h, if_link.h and if_addr.h, in the machine's own byte order.

use crate::{Errno, Result, ns};
use nix::sys::socket::{self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE: u16 = 0x400;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;

const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFA_LABEL: u16 = 3;
const IFA_FLAGS: u16 = 8;

const IFF_UP: u32 = 1;
const IFA_F_PERMANENT: u32 = 0x80;
const RT_SCOPE_UNIVERSE: u8 = 0;

/// struct nlmsghdr, ifinfomsg, ifaddrmsg: how long.
const HEADER: usize = 16;
const LINK: usize = 16;
const ADDRESS: usize = 8;

/// Asks the network namespace that the caller was in when it was opened.
pub struct Netlink(OwnedFd);

/// A network device of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// In its namespace.
    pub index: i32,
    /// In its namespace.
    pub name: String,
    /// Whether it was brought up.
    pub up: bool,
}

/// An address of a device, as the kernel tells it and takes it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    family: u8,
    prefix: u8,
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Netlink {
    /// Of the calling thread's namespace.
    pub fn open() -> Result<Netlink> {
        let (kind, flags) = (SockType::Raw, SockFlag::SOCK_CLOEXEC);
        let fd = socket::socket(AddressFamily::Netlink, kind, flags, SockProtocol::NetlinkRoute)?;
        socket::connect(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Netlink(fd))
    }

    /// Of a namespace that the calling thread may join; it comes back.
    pub fn open_in(namespace: &File) -> Result<Netlink> {
        ns::within_file("network", namespace, Netlink::open)
    }

    /// Every device.
    pub fn links(&self) -> Result<Vec<Link>> {
        let all = self.dump(RTM_GETLINK, &[0; LINK])?;
        Ok(all.iter().filter_map(|body| link(body)).collect())
    }

    /// The device of a name, where there is one; another name that it goes by as well does not count.
    pub fn link(&self, name: &str) -> Result<Option<Link>> {
        Ok(self.links()?.into_iter().find(|l| l.name == name))
    }

    /// Those addresses of a device that are there for good and hold everywhere: `IFA_F_PERMANENT`, of
    /// global scope. In the kernel's order: the first of a subnet is its primary one.
    pub fn lasting_addresses(&self, index: i32) -> Result<Vec<Address>> {
        let all = self.dump(RTM_GETADDR, &[0; ADDRESS])?;
        Ok(all.iter().filter_map(|body| address(body, index)).collect())
    }

    /// Moves a device into another namespace, under this name. The kernel brings it down for that, and its
    /// addresses and routes are gone then. It moves first and renames second: after an error it may be in
    /// either.
    pub fn move_link(&self, index: i32, namespace: &File, name: &str) -> Result<()> {
        let mut body = link_body(index, 0, 0);
        attribute(&mut body, IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
        attribute(&mut body, IFLA_IFNAME, &zero_ended(name));
        self.command(RTM_NEWLINK, 0, &body)
    }

    /// Post-condition: the device is up.
    pub fn up(&self, index: i32) -> Result<()> {
        self.command(RTM_NEWLINK, 0, &link_body(index, IFF_UP, IFF_UP))
    }

    /// Gives a device an address that it had under the name `former`: a label that begins with that begins
    /// with the new one (netdevice(7): labels do). One that it has already is fine.
    pub fn add_address(&self, link: &Link, address: &Address, former: &str) -> Result<()> {
        let mut body = vec![address.family, address.prefix, 0, RT_SCOPE_UNIVERSE];
        body.extend(link.index.to_ne_bytes());
        for (kind, value) in &address.attributes {
            if *kind != IFA_LABEL {
                attribute(&mut body, *kind, value);
            } else if let Some(rest) = text(value).strip_prefix(former)
                && link.name.len() + rest.len() < libc::IFNAMSIZ
            {
                attribute(&mut body, *kind, &zero_ended(&format!("{}{rest}", link.name)));
            }
        }
        match self.command(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body) {
            Err(Errno(libc::EEXIST)) => Ok(()),
            other => other,
        }
    }

    fn send(&self, kind: u16, flags: u16, body: &[u8]) -> Result<()> {
        let length = u32::try_from(HEADER + body.len()).map_err(|_| Errno(libc::EMSGSIZE))?;
        let mut message = Vec::from(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        message.extend([0; 8]); // sequence and port: one question at a time
        message.extend(body);
        socket::send(self.0.as_raw_fd(), &message, MsgFlags::empty())?;
        Ok(())
    }

    /// Messages as they come: kind, flags, body.
    fn receive(&self) -> Result<Vec<(u16, u16, Vec<u8>)>> {
        // More than the kernel puts into one.
        let mut buffer = vec![0; 1 << 16];
        let length = loop {
            match socket::recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(nix::Error::EINTR) => {}
                other => break other?,
            }
        };
        let mut rest = &buffer[..length];
        let mut messages = Vec::new();
        while rest.len() >= HEADER {
            let length = number(rest, 0) as usize;
            let Some(body) = rest.get(HEADER..length) else { return Err(Errno(libc::EBADMSG)) };
            messages.push((half(rest, 4), half(rest, 6), body.to_vec()));
            rest = rest.get(aligned(length)..).unwrap_or_default();
        }
        Ok(messages)
    }

    fn command(&self, kind: u16, flags: u16, body: &[u8]) -> Result<()> {
        self.send(kind, flags | NLM_F_ACK, body)?;
        loop {
            for (kind, _, body) in self.receive()? {
                if kind == NLMSG_ERROR {
                    return answer(&body);
                }
            }
        }
    }

    /// All that the kernel has of a kind; once more where that changed amid the telling.
    fn dump(&self, kind: u16, body: &[u8]) -> Result<Vec<Vec<u8>>> {
        for _ in 0..16 {
            self.send(kind, NLM_F_DUMP, body)?;
            if let Some(all) = self.told()? {
                return Ok(all);
            }
        }
        Err(Errno(libc::EAGAIN))
    }

    fn told(&self) -> Result<Option<Vec<Vec<u8>>>> {
        let (mut all, mut whole) = (Vec::new(), true);
        loop {
            for (kind, flags, body) in self.receive()? {
                whole &= flags & NLM_F_DUMP_INTR == 0;
                match kind {
                    NLMSG_DONE => return Ok(whole.then_some(all)),
                    NLMSG_ERROR => answer(&body)?,
                    _ => all.push(body),
                }
            }
        }
    }
}

/// struct nlmsgerr: 0, or the negative of an errno.
fn answer(body: &[u8]) -> Result<()> {
    match number(body, 0).cast_signed() {
        0 => Ok(()),
        errno => Err(Errno(errno.saturating_neg())),
    }
}

fn link_body(index: i32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0; 4]; // family AF_UNSPEC, type
    body.extend(index.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(change.to_ne_bytes());
    body
}

fn link(body: &[u8]) -> Option<Link> {
    let name = attributes(body.get(LINK..)?).into_iter().find(|(kind, _)| *kind == IFLA_IFNAME)?;
    let index = number(body, 4).cast_signed();
    Some(Link { index, name: text(name.1).to_owned(), up: number(body, 8) & IFF_UP != 0 })
}

fn address(body: &[u8], of: i32) -> Option<Address> {
    let attributes = attributes(body.get(ADDRESS..)?);
    // The byte of the header holds the first eight alone.
    let wide = attributes.iter().find(|(kind, _)| *kind == IFA_FLAGS).map(|(_, value)| number(value, 0));
    let flags = wide.unwrap_or(u32::from(body[2]));
    let wanted =
        number(body, 4).cast_signed() == of && body[3] == RT_SCOPE_UNIVERSE && flags & IFA_F_PERMANENT != 0;
    let attributes = attributes.into_iter().map(|(kind, value)| (kind, value.to_vec())).collect();
    wanted.then_some(Address { family: body[0], prefix: body[1], attributes })
}

/// struct rtattr: length and kind, then the value, in steps of four bytes.
fn attributes(mut rest: &[u8]) -> Vec<(u16, &[u8])> {
    let mut list = Vec::new();
    while rest.len() >= 4 {
        let length = usize::from(half(rest, 0));
        let Some(value) = rest.get(4..length) else { break };
        list.push((half(rest, 2), value));
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    list
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // Names and addresses: far from 64 KiB.
    body.extend(u16::try_from(4 + value.len()).unwrap_or(u16::MAX).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(aligned(body.len()), 0);
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// The bytes from `at` on; what is not there is 0.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_ne_bytes)
}

fn zero_ended(name: &str) -> Vec<u8> {
    name.bytes().chain([0]).collect()
}

fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap_or_default().trim_end_matches('\0')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_own_loopback_is_told() {
        let lo = Netlink::open().unwrap().link("lo").unwrap().unwrap();
        assert_eq!(lo.index, 1);
        assert_eq!(Netlink::open().unwrap().link("no-such").unwrap(), None);
    }

    #[test]
    fn attributes_as_they_were_put() {
        let mut body = Vec::new();
        attribute(&mut body, IFLA_IFNAME, &zero_ended("eth10"));
        attribute(&mut body, IFA_FLAGS, &0x80u32.to_ne_bytes());
        assert_eq!(body.len(), 12 + 8);
        let told = attributes(&body);
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].0, text(told[0].1)), (IFLA_IFNAME, "eth10"));
        assert_eq!((told[1].0, number(told[1].1, 0)), (IFA_FLAGS, 0x80));
        // One that says to be longer than what is there.
        assert_eq!(attributes(&[9, 0, 3, 0, b'a']), []);
        assert_eq!(attributes(&[0, 0, 3, 0, b'a']), []);
    }

    #[test]
    fn which_addresses_last() {
        let body = |scope: u8, flags: u32| {
            let mut body = vec![2, 24, flags as u8, scope];
            body.extend(7i32.to_ne_bytes());
            attribute(&mut body, IFA_FLAGS, &flags.to_ne_bytes());
            body
        };
        assert!(address(&body(0, 0x80), 7).is_some());
        assert!(address(&body(0, 0x180), 7).is_some());
        assert!(address(&body(0, 0x80), 8).is_none());
        assert!(address(&body(0, 0x100), 7).is_none());
        assert!(address(&body(253, 0x80), 7).is_none());
    }
}
