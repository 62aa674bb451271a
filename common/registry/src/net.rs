//! HTTP: one agent for each host with its own certificates and patience, requests without any
//! hidden redirect, and tries again where that may help.

use crate::fault::{Fault, Kind};
use crate::hosts::{Registries, bare, certs_d, is_loopback};
use crate::progress::{Event, Progress};
use crate::resolve::Names;
use anyhow::{Context, Result, bail};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use ureq::http::{Request, Response, Uri};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Proxy, ProxyProtocol, SendBody};

/// What all requests of one run share.
#[derive(Debug)]
pub struct Net {
    /// What is said of registries.
    pub registries: Registries,
    /// Who is told.
    pub progress: Progress,
    agents: Mutex<HashMap<String, Agent>>,
    plain: Mutex<HashMap<String, bool>>,
    spoke: Mutex<HashSet<String>>,
}

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body<'a>,
}

/// What a request brings along.
pub(crate) enum Body<'a> {
    None,
    Bytes(&'a [u8]),
    /// So many bytes of a reader, which is asked for anew at each try.
    Reader(&'a (dyn Fn() -> io::Result<Box<dyn Read + 'a>> + 'a), u64),
}

/// A name is resolved, a connection and its TLS made in this time.
const CONNECT: Duration = Duration::from_secs(30);
/// A connection that brings nothing for so long is cut.
const IDLE: u64 = 60;
/// After the first of so many waits of 0.2, 0.4, ... seconds it is enough.
pub(crate) const TRIES: u32 = 6;
/// No server makes us wait longer than this.
const PATIENCE: Duration = Duration::from_secs(120);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    /// Reads the registries' files.
    pub fn new(progress: Progress) -> Result<Net> {
        Ok(Net {
            registries: Registries::load()?,
            progress,
            agents: Mutex::default(),
            plain: Mutex::default(),
            spoke: Mutex::default(),
        })
    }

    /// Whether a registry is spoken to without TLS: because it is said so, or on this machine (and
    /// where certificates do not matter) because it knows no TLS.
    pub(crate) fn is_plain(&self, host: &str) -> bool {
        let settings = self.registries.of(host);
        if settings.plain_http || !(is_loopback(host) || settings.insecure) {
            return settings.plain_http;
        }
        if let Some(known) = locked(&self.plain).get(host) {
            return *known;
        }
        let plain = !speaks_tls(host);
        locked(&self.plain).insert(host.to_owned(), plain);
        plain
    }

    fn agent(&self, url: &str) -> Result<Agent> {
        let host = origin(url)?;
        let key = format!("{}{host}", if secure(url) { "https://" } else { "http://" });
        if let Some(agent) = locked(&self.agents).get(&key) {
            return Ok(agent.clone());
        }
        let settings = self.registries.of(&host);
        let idle = Duration::from_secs(settings.idle_timeout.unwrap_or(IDLE).max(1));
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("stave/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(idle.max(Duration::from_secs(300))))
            .timeout_per_read(Some(idle))
            .timeout_per_write(Some(idle))
            .max_idle_connections_per_host(8);
        config = config.proxy(proxy(url, &host)?);
        if secure(url) {
            config = config.tls_config(tls(&host, settings.ca.as_deref(), settings.insecure)?);
        }
        let agent = Agent::with_parts(config.build(), DefaultConnector::default(), Names);
        locked(&self.agents).insert(key, agent.clone());
        Ok(agent)
    }

    /// One request, one answer, whatever it is: no redirect is followed.
    pub(crate) fn call(&self, call: &Call) -> Result<Response<ureq::Body>> {
        let host = origin(&call.url)?;
        let agent = self.agent(&call.url)?;
        let mut request = Request::builder().method(call.method).uri(&call.url);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let answer = match &call.body {
            Body::None => agent.run(request.body(SendBody::none())?),
            Body::Bytes(bytes) => agent.run(request.body(*bytes)?),
            Body::Reader(open, size) => {
                let mut reader = open().with_context(|| format!("send to {host}"))?;
                let request = request.header("content-length", size.to_string());
                agent.run(request.body(SendBody::from_reader(&mut reader))?)
            }
        };
        let answer = answer.map_err(|e| Fault::network(&host, e))?;
        locked(&self.spoke).insert(host);
        Ok(answer)
    }

    /// Whether a host has ever answered.
    pub(crate) fn spoke(&self, host: &str) -> bool {
        locked(&self.spoke).contains(host)
    }

    /// Does something until it succeeds, as long as another try may help, but not more often.
    pub(crate) fn retried<T>(&self, most: u32, act: impl Fn() -> Result<T>) -> Result<T> {
        let mut tries = Tries::most(most);
        loop {
            match act() {
                Ok(value) => return Ok(value),
                Err(e) => tries.again(self, e)?,
            }
        }
    }
}

/// How often something was tried.
#[derive(Debug)]
pub(crate) struct Tries {
    done: u32,
    most: u32,
}

impl Tries {
    /// So many at most.
    pub(crate) fn most(most: u32) -> Tries {
        Tries { done: 0, most }
    }

    /// Waits for the next try; where none is left, or none helps, the error again.
    pub(crate) fn again(&mut self, net: &Net, error: anyhow::Error) -> Result<()> {
        let Some(fault) = error.downcast_ref::<Fault>() else { return Err(error) };
        self.done += 1;
        if !fault.passes(net.spoke(&fault.host)) || self.done >= self.most {
            return Err(error);
        }
        let own = Duration::from_millis(100 << self.done);
        let wait = match fault.kind {
            Kind::Status(_, Some(after)) => after.max(own),
            _ => own,
        };
        if wait > PATIENCE {
            return Err(error.context(format!("it is to be asked again in {} s", wait.as_secs())));
        }
        net.progress.tell(&Event::Retry { cause: &fault.to_string(), wait, tries: self.done });
        std::thread::sleep(wait);
        Ok(())
    }

    /// As [`Tries::again`], of what does not pass by itself.
    pub(crate) fn count(&mut self, net: &Net, error: anyhow::Error) -> Result<()> {
        self.done += 1;
        if self.done >= self.most {
            return Err(error);
        }
        net.progress.tell(&Event::Retry {
            cause: &error.to_string(),
            wait: Duration::ZERO,
            tries: self.done,
        });
        Ok(())
    }

    /// Something came: the count begins anew.
    pub(crate) fn moved(&mut self) {
        self.done = 0;
    }
}

/// A whole small body.
pub(crate) fn small(response: Response<ureq::Body>, host: &str, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reader = response.into_body().into_reader();
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Fault::io(host, &e))?;
    if bytes.len() as u64 > limit {
        return Err(Fault::never(host, format!("its answer is larger than {} MiB", limit >> 20)).into());
    }
    Ok(bytes)
}

/// HOST[:PORT] of an address.
pub(crate) fn origin(url: &str) -> Result<String> {
    let uri: Uri = url.parse().with_context(|| format!("address '{url}'"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if !authority.as_str().contains('@') => {
            Ok(authority.as_str().to_ascii_lowercase())
        }
        _ => bail!("address '{url}' is not http://HOST or https://HOST"),
    }
}

/// Whether an address is https.
pub(crate) fn secure(url: &str) -> bool {
    url.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://"))
}

/// Where a Location leads that an address answered with. From TLS it leads to TLS only: neither what
/// is read nor what is sent goes on in the open.
pub(crate) fn joined(base: &str, location: &str) -> Result<String> {
    let next = resolved(base, location)?;
    if secure(base) && !secure(&next) {
        let text = format!("it leads to {} without TLS", origin(&next)?);
        return Err(Fault::never(&origin(base)?, text).into());
    }
    Ok(next)
}

fn resolved(base: &str, location: &str) -> Result<String> {
    if location.contains("://") {
        origin(location)?;
        return Ok(location.to_owned());
    }
    let (scheme, rest) = base.split_once("://").with_context(|| format!("address '{base}'"))?;
    let host = rest.split('/').next().unwrap_or(rest);
    if let Some(other) = location.strip_prefix("//") {
        return Ok(format!("{scheme}://{other}"));
    }
    let path = match location.strip_prefix('/') {
        Some(path) => path.to_owned(),
        None => {
            let path = rest[host.len()..].split('?').next().unwrap_or_default();
            let dir = path.rfind('/').map_or("", |at| &path[..at]);
            format!("{}/{location}", dir.trim_start_matches('/')).trim_start_matches('/').to_owned()
        }
    };
    Ok(format!("{scheme}://{host}/{path}"))
}

/// Whether a server on this machine answers a TLS handshake by TLS. What is sent is a handshake in
/// name only, which a server of plain HTTP sees as a request that it does not understand.
fn speaks_tls(host: &str) -> bool {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    let port = host.strip_prefix(bare(host)).and_then(|p| p.rsplit_once(':')).map(|(_, p)| p);
    let port =
        port.or_else(|| host.rsplit_once("]:").map(|(_, p)| p)).and_then(|p| p.parse().ok()).unwrap_or(443);
    let Ok(addresses) = crate::resolve::addresses(bare(host)) else { return true };
    for ip in addresses {
        let wait = Duration::from_secs(2);
        let Ok(mut stream) = TcpStream::connect_timeout(&SocketAddr::new(ip, port), wait) else { continue };
        let _ = stream.set_read_timeout(Some(wait));
        let mut answer = [0];
        let hello = [&[HANDSHAKE, 3, 1, 0, 8, 1, 0, 0, 4][..], b"\r\n\r\n"].concat();
        return stream.write_all(&hello).is_ok()
            && stream.read_exact(&mut answer).is_ok()
            && [ALERT, HANDSHAKE].contains(&answer[0]);
    }
    // On 443 nobody is there: perhaps on 80.
    port != 443
}

/// As Go and curl have it: HTTPS_PROXY is for https, HTTP_PROXY for http, ALL_PROXY where there is
/// none of its own; this machine, and what NO_PROXY names, is not reached through a proxy.
fn proxy(url: &str, host: &str) -> Result<Option<Proxy>> {
    if is_loopback(host) {
        return Ok(None);
    }
    let env = |name: &'static str| std::env::var(name).ok().map(|value| (name, value));
    let Some((name, value)) = proxies(secure(url)).into_iter().filter_map(env).find(|(_, v)| !v.is_empty())
    else {
        return Ok(None);
    };
    // Not shown: it may hold a password. And not left out, as if none had been wanted.
    let Ok(proxy) = Proxy::new(&value) else { bail!("{name} is not the address of a proxy") };
    if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        bail!("{name} is a SOCKS proxy: only those of HTTP are known here");
    }
    let uri: Uri = url.parse().with_context(|| format!("address '{url}'"))?;
    let direct = Proxy::try_from_env().is_some_and(|p| p.is_no_proxy(&uri));
    Ok((!direct).then_some(proxy))
}

/// The variables that are looked at, in order.
fn proxies(secure: bool) -> [&'static str; 4] {
    let [upper, lower] = if secure { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    [upper, lower, "ALL_PROXY", "all_proxy"]
}

/// Certificates for a host: the system's, what the registries' file adds, and certs.d.
fn tls(host: &str, ca: Option<&Path>, insecure: bool) -> Result<TlsConfig> {
    let mut config = TlsConfig::builder().disable_verification(insecure);
    let mut more = Vec::new();
    for path in ca.map(Path::to_owned).into_iter().chain(certs_d(host, ".crt")) {
        more.extend(certificates(&path)?);
    }
    if !insecure {
        let mut roots = system().to_vec();
        roots.extend(more);
        // A bare container has no certificates: Mozilla's list.
        config = config.root_certs(if roots.is_empty() {
            RootCerts::WebPki
        } else {
            RootCerts::new_with_certs(&roots)
        });
    }
    if let Some(path) = certs_d(host, ".cert").first() {
        let key = path.with_extension("key");
        let pem = std::fs::read(&key).with_context(|| format!("read {}", key.display()))?;
        let private = PrivateKey::from_pem(&pem).with_context(|| format!("read {}", key.display()))?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&certificates(path)?, private)));
    }
    Ok(config.build())
}

fn system() -> &'static [Certificate<'static>] {
    static ROOTS: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs().certs;
        found.iter().map(|c| Certificate::from_der(c.as_ref()).to_owned()).collect()
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let shown = || format!("read {}", path.display());
    let mut pem = Vec::new();
    File::open(path).and_then(|f| f.take(16 << 20).read_to_end(&mut pem)).with_context(shown)?;
    let items = ureq::tls::parse_pem(&pem).collect::<Result<Vec<_>, _>>().with_context(shown)?;
    let certificates = items.into_iter().filter_map(|item| match item {
        ureq::tls::PemItem::Certificate(c) => Some(c),
        _ => None,
    });
    let list: Vec<_> = certificates.collect();
    if list.is_empty() {
        bail!("read {}: no certificate in it", path.display());
    }
    Ok(list)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let base = "https://h:5000/v2/a/blobs/uploads/";
        for (location, is) in [
            ("/v2/x?_state=a%3D", "https://h:5000/v2/x?_state=a%3D"),
            ("https://other/x", "https://other/x"),
            ("//other/x", "https://other/x"),
            ("uuid?x=/", "https://h:5000/v2/a/blobs/uploads/uuid?x=/"),
        ] {
            assert_eq!(joined(base, location).unwrap(), is);
        }
        let open = joined(base, "http://h:5000/v2/x").unwrap_err().to_string();
        assert_eq!(open, "h:5000: it leads to h:5000 without TLS");
        assert!(joined("http://h/", "http://other/").is_ok());
        assert!(joined(base, "ftp://x/").is_err() && origin("http://u:p@h/").is_err());
        assert_eq!(origin("HTTP://H:1/x").unwrap(), "h:1");
        assert!(secure("HTTPS://h") && !secure("http://h"));
    }
}
