//! What went over the network of a container, as its first process sees it (proc_pid_net(5)).

use state::Record;
use std::path::{Path, PathBuf};
use sys::files::Files;

/// Over all its devices but the loopback.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Bytes received.
    pub received: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Packets sent.
    pub packets_sent: u64,
}

/// The caller's own network namespace: a container that is in it has no network of its own.
pub struct Own(Option<(u64, u64)>);

impl Own {
    pub fn new() -> Own {
        Own(Files::open(Path::new("/proc/self")).ok().and_then(|own| own.identity("ns/net")))
    }

    /// Of a container that runs. `None`: it is the host's, or cannot be told.
    pub fn network_of(&self, record: &Record) -> Option<Network> {
        let mut process = Files::open(&PathBuf::from(format!("/proc/{}", record.pid))).ok()?;
        // Opened first: if it is the container's now, what was opened is.
        record.running()?;
        let namespace = process.identity("ns/net")?;
        (self.0? != namespace).then(|| process.read("net/dev").map(added_up))?
    }
}

/// Two lines of head; then `NAME: BYTES PACKETS` and six more received, and as many sent.
fn added_up(text: &str) -> Network {
    let mut all = Network::default();
    for (name, counts) in text.lines().skip(2).filter_map(|l| l.rsplit_once(':')) {
        if name.trim() == "lo" {
            continue;
        }
        let counts: Vec<u64> = counts.split_whitespace().map(|n| n.parse().unwrap_or_default()).collect();
        let of = |n: usize| counts.get(n).copied().unwrap_or_default();
        all.received += of(0);
        all.packets_received += of(1);
        all.sent += of(8);
        all.packets_sent += of(9);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed\n    \
            lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0: 100 2 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n\
            veth1:7 1 0 0 0 0 0 0 4 3 0 0 0 0 0 0\n";
        let all = Network { received: 107, packets_received: 3, sent: 34, packets_sent: 4 };
        assert_eq!(added_up(text), all);
        assert_eq!(added_up(""), Network::default());
    }
}
