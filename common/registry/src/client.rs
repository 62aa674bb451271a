//! A repository in a registry, and in its mirrors: manifests and blobs (OCI distribution
//! specification 1.1, docker's registry API v2).

use crate::auth::Auth;
use crate::credentials::Credential;
use crate::fault::{Fault, Kind};
use crate::net::{Body, Call, Net, TRIES, joined, origin, secure, small};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::Read;
use store::{Descriptor, Digest, Reference};
use ureq::http::Response;

/// What may be done in a repository.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Access {
    /// Read.
    Pull,
    /// Read and write.
    Push,
}

/// A repository.
#[derive(Debug)]
pub struct Client<'n> {
    pub(crate) net: &'n Net,
    /// What was asked for.
    pub reference: Reference,
    /// The mirrors in order, then the registry itself.
    pub(crate) ends: Vec<End>,
    pub(crate) access: Access,
}

/// One server.
#[derive(Debug)]
pub(crate) struct End {
    /// Of the name: credentials and settings are found by it.
    host: String,
    /// The address of a mirror.
    mirror: Option<String>,
    auth: Auth,
    tries: u32,
}

/// A manifest or an index, verified.
#[derive(Debug)]
pub struct Fetched {
    /// As they came.
    pub bytes: Vec<u8>,
    /// Media type, digest, size.
    pub descriptor: Descriptor,
}

impl Fetched {
    /// With the Content-Type that they came with.
    pub(crate) fn new(bytes: Vec<u8>, kind: Option<&str>) -> Result<Fetched> {
        let media_type = media_type(&bytes, kind)?;
        let descriptor = Descriptor::new(&media_type, Digest::of(&bytes), bytes.len() as u64);
        Ok(Fetched { bytes, descriptor })
    }
}

/// A blob that begins to come.
pub(crate) struct Opened {
    pub(crate) reader: Box<dyn Read>,
    /// The first byte that comes is this one.
    pub(crate) start: u64,
    pub(crate) host: String,
}

/// Every kind of manifest that is understood.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// No manifest is larger (distribution specification, "Pushing Manifests").
pub(crate) const LIMIT: u64 = 4 << 20;

/// As many redirects are followed.
const HOPS: usize = 10;

impl End {
    fn new(host: &str, mirror: Option<&str>) -> Result<End> {
        let tries = if mirror.is_some() { 2 } else { TRIES };
        let mirror = mirror.map(|m| m.trim_end_matches('/').to_owned());
        let host = mirror.as_deref().map_or_else(|| Ok(host.to_owned()), origin)?;
        Ok(End { host, mirror, auth: Auth::default(), tries })
    }

    /// Its address, without `/v2/`.
    pub(crate) fn base(&self, net: &Net) -> String {
        if let Some(mirror) = &self.mirror {
            return mirror.clone();
        }
        let scheme = if net.is_plain(&self.host) { "http" } else { "https" };
        format!("{scheme}://{}", address(&self.host))
    }

    /// Sends with whatever credentials it wants, and follows redirects of what only reads. The
    /// credentials go to this registry and nowhere else.
    fn send(&self, net: &Net, call: &Call, scopes: &[String]) -> Result<Response<ureq::Body>> {
        let home = origin(&self.base(net))?;
        let tls = secure(&self.base(net));
        let mut url = call.url.clone();
        let mut used = self.auth.header(net, &self.host, scopes)?;
        let mut asked = false;
        for _ in 0..=HOPS {
            let own = origin(&url)? == home && secure(&url) == tls;
            let mut headers = call.headers.clone();
            headers.extend(used.iter().filter(|_| own).map(|value| ("authorization", value.clone())));
            let body = match &call.body {
                Body::None => Body::None,
                Body::Bytes(bytes) => Body::Bytes(bytes),
                Body::Reader(open, size) => Body::Reader(*open, *size),
            };
            let response = net.call(&Call { method: call.method, url: url.clone(), headers, body })?;
            let status = response.status();
            if status.as_u16() == 401 && own && !asked {
                asked = true;
                if let Some(header) = self.auth.answer(net, &self.host, scopes, used.as_deref(), &response)? {
                    used = Some(header);
                    continue;
                }
            }
            let location = response.headers().get("location").and_then(|l| l.to_str().ok());
            let reads = matches!(call.method, "GET" | "HEAD");
            let Some(location) =
                location.filter(|_| matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) && reads)
            else {
                return Ok(response);
            };
            url = joined(&url, location)?;
        }
        Err(Fault::never(&self.host, "it redirects without end").into())
    }
}

/// Where a registry listens that is called otherwise.
fn address(host: &str) -> &str {
    if host == "docker.io" { "registry-1.docker.io" } else { host }
}

impl<'n> Client<'n> {
    /// For a repository; nothing is asked yet.
    pub fn new(net: &'n Net, reference: &Reference, access: Access) -> Result<Client<'n>> {
        let host = &reference.registry;
        let mut ends = Vec::new();
        // What is written goes to the registry itself.
        for mirror in net.registries.of(host).mirrors.iter().filter(|_| access == Access::Pull) {
            ends.push(End::new(host, Some(mirror))?);
        }
        ends.push(End::new(host, None)?);
        Ok(Client { net, reference: reference.clone(), ends, access })
    }

    /// The registry alone, with credentials that are to be tried.
    pub fn login(net: &'n Net, host: &str, credential: Credential) -> Result<Client<'n>> {
        let reference =
            Reference { registry: host.into(), repository: String::new(), tag: None, digest: None };
        let mut client = Client::new(net, &reference, Access::Push)?;
        for end in &mut client.ends {
            end.auth.own = Some(credential.clone());
        }
        Ok(client)
    }

    pub(crate) fn scopes(&self) -> Vec<String> {
        let what = if self.access == Access::Push { "pull,push" } else { "pull" };
        vec![format!("repository:{}:{what}", self.reference.repository)]
    }

    /// The registry itself.
    pub(crate) fn own(&self) -> Result<&End> {
        self.ends.last().context("a repository has a registry")
    }

    pub(crate) fn url(&self, end: &End, path: &str) -> String {
        format!("{}/v2/{}/{path}", end.base(self.net), self.reference.repository)
    }

    /// Once, to one server.
    pub(crate) fn send(&self, end: &End, call: &Call, scopes: &[String]) -> Result<Response<ureq::Body>> {
        end.send(self.net, call, scopes)
    }

    /// Whether the credentials are good: GET /v2/ is answered by success.
    pub fn verify(&self) -> Result<()> {
        let end = self.own()?;
        let url = format!("{}/v2/", end.base(self.net));
        self.net.retried(end.tries, || {
            let call = Call { method: "GET", url: url.clone(), headers: Vec::new(), body: Body::None };
            let response = end.send(self.net, &call, &[])?;
            if response.status().is_success() {
                Ok(())
            } else {
                Err(Fault::answer(&end.host, response).into())
            }
        })
    }

    /// The manifest or index behind a tag or a digest. The servers are asked in order, and the one
    /// that has it comes first from then on.
    pub fn manifest(&mut self, target: &str) -> Result<Fetched> {
        let mut failed = None;
        for at in 0..self.ends.len() {
            let end = &self.ends[at];
            let found = self.net.retried(end.tries, || self.manifest_of(end, target));
            match found {
                Ok(fetched) => {
                    self.ends.swap(0, at);
                    self.ends[1..].sort_by_key(|e| e.mirror.is_none());
                    return Ok(fetched);
                }
                Err(e) => failed = Some(e),
            }
        }
        Err(failed.unwrap_or_else(|| anyhow::anyhow!("no registry")))
    }

    fn manifest_of(&self, end: &End, target: &str) -> Result<Fetched> {
        let url = self.url(end, &format!("manifests/{target}"));
        let call = Call { method: "GET", url, headers: vec![("accept", ACCEPT.into())], body: Body::None };
        let mut again = false;
        loop {
            let response = self.send(end, &call, &self.scopes())?;
            if !response.status().is_success() {
                return Err(Fault::answer(&end.host, response).into());
            }
            let header =
                |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
            let kind = header("content-type");
            let said = header("docker-content-digest").filter(|d| d.starts_with("sha256:"));
            let bytes = small(response, &end.host, LIMIT).with_context(|| format!("manifest {target}"))?;
            let digest = Digest::of(&bytes);
            let wanted = if target.starts_with("sha256:") { Some(target.to_owned()) } else { said };
            if let Some(wanted) = wanted.filter(|w| *w != digest.to_string()) {
                if again {
                    bail!("{}: manifest {wanted} is something else: its digest is {digest}", end.host);
                }
                again = true;
                continue;
            }
            let media_type =
                media_type(&bytes, kind.as_deref()).with_context(|| format!("manifest {digest}"))?;
            let descriptor = Descriptor::new(&media_type, digest, bytes.len() as u64);
            return Ok(Fetched { bytes, descriptor });
        }
    }

    /// A blob from a byte on, of one server.
    pub(crate) fn open(&self, end: &End, blob: &Descriptor, from: u64) -> Result<Opened> {
        let url = self.url(end, &format!("blobs/{}", blob.digest));
        let call = Call { method: "GET", url, headers: range(from), body: Body::None };
        let response = self.send(end, &call, &self.scopes())?;
        opened(response, &end.host, blob, from)
    }

    /// A blob from elsewhere, as a foreign layer says.
    pub(crate) fn open_url(&self, url: &str, blob: &Descriptor, from: u64) -> Result<Opened> {
        let host = origin(url)?;
        let mut url = url.to_owned();
        for _ in 0..=HOPS {
            let call = Call { method: "GET", url: url.clone(), headers: range(from), body: Body::None };
            let response = self.net.call(&call)?;
            match response.headers().get("location").and_then(|l| l.to_str().ok()) {
                Some(location) if response.status().is_redirection() => url = joined(&url, location)?,
                _ => return opened(response, &host, blob, from),
            }
        }
        Err(Fault::never(&host, "it redirects without end").into())
    }
}

impl End {
    pub(crate) fn auth(&self) -> &Auth {
        &self.auth
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }
}

fn range(from: u64) -> Vec<(&'static str, String)> {
    if from == 0 { Vec::new() } else { vec![("range", format!("bytes={from}-"))] }
}

/// The registry says another size, or sends another part, than was asked for.
#[derive(Debug)]
pub(crate) struct Lie(pub(crate) String);

impl std::fmt::Display for Lie {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lie {}

/// What an answer to a GET of a blob is: whole, a part, or nothing.
fn opened(response: Response<ureq::Body>, host: &str, blob: &Descriptor, from: u64) -> Result<Opened> {
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
    let start = match response.status().as_u16() {
        200 => 0,
        206 => {
            let range = header("content-range").unwrap_or_default();
            if !range.starts_with(&format!("bytes {from}-")) {
                return Err(Lie(format!("blob {}: {host} sends '{range}' of it", blob.digest)).into());
            }
            from
        }
        416 => return Err(Lie(format!("blob {}: {host} has no byte {from} of it", blob.digest)).into()),
        _ => return Err(Fault::answer(host, response).into()),
    };
    let length = header("content-length").and_then(|l| l.parse::<u64>().ok());
    if let Some(has) = length.map(|l| start.saturating_add(l)).filter(|has| *has != blob.size) {
        let (digest, size) = (&blob.digest, blob.size);
        return Err(Lie(format!("blob {digest}: {host} has {has} bytes, its descriptor says {size}")).into());
    }
    Ok(Opened { reader: Box::new(response.into_body().into_reader()), start, host: host.to_owned() })
}

/// What a manifest is: by its own word, else by the registry's, else by what is in it.
fn media_type(bytes: &[u8], header: Option<&str>) -> Result<String> {
    let value: Value = serde_json::from_slice(bytes).context("it is no JSON")?;
    let has = |key: &str| value.get(key).is_some();
    if value["schemaVersion"] == 1 || has("fsLayers") {
        bail!("it is of docker's schema 1, which is no longer read: push the image again with a newer tool");
    }
    // One that is both could be taken for either (CVE-2021-41190).
    if has("manifests") && (has("layers") || has("config")) {
        bail!("it is an index and a manifest at once");
    }
    let header = header.and_then(|h| h.split(';').next()).map(str::trim).unwrap_or_default();
    let own = value["mediaType"].as_str().unwrap_or_default();
    let known = |t: &str| ACCEPT.contains(t) && t.starts_with("application/vnd.");
    if known(header) && known(own) && header != own {
        bail!("it is {own}, but comes as {header}");
    }
    Ok(match (own, header) {
        (own, _) if !own.is_empty() => own.to_owned(),
        (_, header) if known(header) => header.to_owned(),
        _ if has("manifests") => "application/vnd.oci.image.index.v1+json".into(),
        _ if has("config") && has("layers") => store::MANIFEST.into(),
        (_, header) => header.to_owned(),
    })
}

/// Whether what failed is just not there.
pub(crate) fn is_missing(e: &anyhow::Error) -> bool {
    e.downcast_ref::<Fault>().is_some_and(|f| f.status() == Some(404))
}

/// Whether another server may do better.
pub(crate) fn elsewhere(e: &anyhow::Error) -> bool {
    e.downcast_ref::<Fault>().is_some_and(|f| !matches!(f.kind, Kind::Never)) || e.is::<Lie>()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        let index = "application/vnd.oci.image.index.v1+json";
        let docker = "application/vnd.docker.distribution.manifest.v2+json";
        for (body, header, is) in [
            (r#"{"mediaType":"x"}"#, Some(index), "x"),
            (r#"{"manifests":[]}"#, Some("application/json"), index),
            (r#"{"config":{},"layers":[]}"#, None, store::MANIFEST),
            (r#"{"config":{},"layers":[]}"#, Some(&*format!("{docker}; charset=utf-8")), docker),
            ("{}", Some("text/plain"), "text/plain"),
        ] {
            assert_eq!(media_type(body.as_bytes(), header).unwrap(), is);
        }
        for bad in [
            r#"{"schemaVersion":1}"#,
            r#"{"manifests":[],"layers":[]}"#,
            "x",
            "[",
            &format!(r#"{{"mediaType":"{docker}"}}"#),
        ] {
            assert!(media_type(bad.as_bytes(), Some(index)).is_err(), "{bad}");
        }
    }
}

/// Against a server of a few lines: what is asked is what the test says.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "client_tests.rs"]
mod conversation;
