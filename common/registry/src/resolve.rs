//! Names of hosts. A static binary has no NSS, so the host's own getent(1) is asked: it knows
//! /etc/hosts, DNS, mDNS and whatever else nsswitch.conf says.

use crate::hosts::bare;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::process::{Command, Stdio};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// For ureq.
#[derive(Debug)]
pub(crate) struct Names;

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let authority = uri.authority().ok_or_else(|| Error::BadUri(uri.to_string()))?;
        let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let port = authority.port_u16().unwrap_or(usual);
        let mut list = self.empty();
        for ip in addresses(bare(&authority.host().to_ascii_lowercase()))?.into_iter().take(16) {
            list.push(SocketAddr::new(ip, port));
        }
        if list.is_empty() { Err(Error::HostNotFound) } else { Ok(list) }
    }
}

/// What a name stands for, in the order of getaddrinfo(3).
pub(crate) fn addresses(host: &str) -> Result<Vec<IpAddr>, Error> {
    if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
        return Ok(vec![ip]);
    }
    if host == "localhost" {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    if host.starts_with('-') {
        return Err(Error::HostNotFound);
    }
    let asked = Command::new("getent").args(["ahosts", host]).stdin(Stdio::null()).output();
    match asked {
        Ok(out) => Ok(listed(&String::from_utf8_lossy(&out.stdout))),
        // glibc's own resolver in a static program: /etc/hosts and DNS.
        Err(_) => Ok((host, 0).to_socket_addrs().map(|l| l.map(|a| a.ip()).collect()).unwrap_or_default()),
    }
}

/// Each address once; getent names it for every kind of socket.
fn listed(text: &str) -> Vec<IpAddr> {
    let mut list: Vec<IpAddr> = Vec::new();
    for ip in text.lines().filter_map(|l| l.split_whitespace().next()?.parse().ok()) {
        if !list.contains(&ip) {
            list.push(ip);
        }
    }
    list
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn getent() {
        let text = "10.0.0.1 STREAM a.example\n10.0.0.1 DGRAM\n10.0.0.1 RAW\nfe80::1 STREAM\n";
        assert_eq!(listed(text), ["10.0.0.1".parse::<IpAddr>().unwrap(), "fe80::1".parse().unwrap()]);
        assert_eq!(addresses("[::1]").unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
        assert!(addresses("-x").is_err());
    }
}
