//! A blob goes to a registry: not at all where it is there, by a mount where another repository of
//! the registry has it, in one request, and after a cut from where the registry says that it is.

use crate::auth::percent;
use crate::client::Client;
use crate::fault::Fault;
use crate::net::{Body, Call, TRIES, Tries, joined};
use crate::progress::{Event, Progress};
use anyhow::{Context, Result};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Descriptor, Stopped};
use ureq::http::Response;

/// Where blobs come from.
pub trait Source: Sync {
    /// A blob from a byte on.
    fn open<'s>(&'s self, blob: &Descriptor, from: u64) -> Result<Box<dyn Read + 's>>;
}

/// An upload that has begun.
#[derive(Clone, Debug)]
struct Session {
    url: String,
    /// So many bytes are there.
    at: u64,
    /// The registry wants no smaller pieces.
    least: u64,
}

/// Pieces for a registry, or what is before it, that takes no large request.
const PIECE: u64 = 16 << 20;

const OCTETS: &str = "application/octet-stream";

/// At most so many repositories are tried as the source of a mount.
const MOUNTS: usize = 3;

impl Client<'_> {
    /// Afterwards the registry has the blob. `from`: repositories there that perhaps have it.
    pub(crate) fn upload(
        &self,
        blob: &Descriptor,
        source: &dyn Source,
        from: &[String],
        stop: &AtomicBool,
    ) -> Result<()> {
        let (digest, size) = (&blob.digest, blob.size);
        let state = |state| self.net.progress.tell(&Event::Layer { digest, size, state });
        if self.has_blob(blob)? {
            state("there");
            return Ok(());
        }
        let mut session = match self.mount(blob, from)? {
            Mount::Done => {
                state("mounted");
                return Ok(());
            }
            Mount::Begun(session) => session,
        };
        state("send");
        let mut tries = Tries::most(TRIES);
        let mut piece = None;
        loop {
            let before = session.as_ref().map_or(0, |s| s.at);
            let sent = match &mut session {
                Some(session) => self.rest(session, blob, source, piece, stop),
                None => {
                    self.begin(None).and_then(|s| self.rest(session.insert(s), blob, source, piece, stop))
                }
            };
            let Err(e) = sent else { break };
            if stop.load(Ordering::Relaxed) {
                return Err(Stopped.into());
            }
            let status = e.downcast_ref::<Fault>().and_then(Fault::status);
            match status {
                Some(413) if piece.is_none() => {
                    piece = Some(PIECE);
                    session = None;
                    continue;
                }
                // It has forgotten the upload, or has other bytes than were sent: once more.
                Some(400 | 404 | 416) if before > 0 || status == Some(404) => {
                    session = None;
                    tries.count(self.net, e)?;
                }
                _ => {
                    tries.again(self.net, e).with_context(|| format!("send {digest}"))?;
                    // Perhaps only its answer was lost.
                    if self.has_blob(blob)? {
                        break;
                    }
                    session = session.and_then(|s| self.status(&s, blob));
                }
            }
            if session.as_ref().is_some_and(|s| s.at > before) {
                tries.moved();
            }
        }
        self.net.progress.tell(&Event::Done { digest });
        Ok(())
    }

    /// Whether the registry has it, in this repository.
    pub(crate) fn has_blob(&self, blob: &Descriptor) -> Result<bool> {
        let end = self.own()?;
        let url = self.url(end, &format!("blobs/{}", blob.digest));
        self.net.retried(TRIES, || {
            let call = Call { method: "HEAD", url: url.clone(), headers: Vec::new(), body: Body::None };
            let response = self.send(end, &call, &self.scopes())?;
            match response.status().as_u16() {
                200 => Ok(true),
                status if unknown(status) => Ok(false),
                _ => Err(Fault::answer(end.host(), response).into()),
            }
        })
    }

    fn mount(&self, blob: &Descriptor, from: &[String]) -> Result<Mount> {
        let from = from.iter().filter(|f| **f != self.reference.repository);
        let mut begun: Option<Session> = None;
        for repository in from.take(MOUNTS) {
            if let Some(old) = begun.take() {
                self.cancel(&old);
            }
            match self.begin(Some((blob, repository))) {
                Ok(session) if session.url.is_empty() => return Ok(Mount::Done),
                Ok(session) => begun = Some(session),
                // Whatever it has against it: the blob is sent.
                Err(e) if e.is::<Fault>() => break,
                Err(e) => return Err(e),
            }
        }
        Ok(Mount::Begun(begun))
    }

    /// Begins an upload; with a blob and a repository, asks for a mount: done, the address is empty.
    fn begin(&self, mount: Option<(&Descriptor, &String)>) -> Result<Session> {
        let end = self.own()?;
        let mut url = self.url(end, "blobs/uploads/");
        let mut scopes = self.scopes();
        if let Some((blob, repository)) = mount {
            url += &format!("?mount={}&from={}", blob.digest, percent(repository));
            scopes.push(format!("repository:{repository}:pull"));
        }
        let call = Call { method: "POST", url: url.clone(), headers: Vec::new(), body: Body::Bytes(b"") };
        let response = self.send(end, &call, &scopes)?;
        match (response.status().as_u16(), mount) {
            (201, Some(_)) => Ok(Session { url: String::new(), at: 0, least: 0 }),
            (202, _) => {
                let least = header(&response, "oci-chunk-min-length").and_then(|l| l.parse().ok());
                let url = location(&response, &url, end.host())?;
                Ok(Session { url, at: 0, least: least.unwrap_or(0) })
            }
            _ => Err(Fault::answer(end.host(), response).into()),
        }
    }

    /// What is not there yet, and then the digest that it must have.
    fn rest(
        &self,
        session: &mut Session,
        blob: &Descriptor,
        source: &dyn Source,
        piece: Option<u64>,
        stop: &AtomicBool,
    ) -> Result<()> {
        let end = self.own()?;
        let last =
            |url: &str| format!("{url}{}digest={}", if url.contains('?') { '&' } else { '?' }, blob.digest);
        let octets = || vec![("content-type", OCTETS.to_owned())];
        let reader = |from: u64, length: u64| {
            let inner = source.open(blob, from).map_err(io::Error::other)?.take(length);
            Ok(Box::new(Sending { inner, at: from, blob: blob.clone(), progress: &self.net.progress, stop })
                as Box<dyn Read + '_>)
        };
        if session.at == 0 && piece.is_none() {
            let open = || reader(0, blob.size);
            let body = Body::Reader(&open, blob.size);
            let call = Call { method: "PUT", url: last(&session.url), headers: octets(), body };
            let response = self.send(end, &call, &self.scopes())?;
            return if response.status().is_success() {
                Ok(())
            } else {
                Err(Fault::answer(end.host(), response).into())
            };
        }
        while session.at < blob.size {
            let at = session.at;
            let length = (blob.size - at).min(piece.map_or(u64::MAX, |p| p.max(session.least)));
            let open = || reader(at, length);
            let mut headers = octets();
            headers.push(("content-range", format!("{at}-{}", at + length - 1)));
            let call = Call {
                method: "PATCH",
                url: session.url.clone(),
                headers,
                body: Body::Reader(&open, length),
            };
            let response = self.send(end, &call, &self.scopes())?;
            if !response.status().is_success() {
                return Err(Fault::answer(end.host(), response).into());
            }
            session.url = location(&response, &session.url, end.host())?;
            session.at = there(&response).unwrap_or(at + length).min(at + length);
            // It takes a piece and has no more than before: so it would go on for ever.
            if session.at <= at {
                return Err(Fault::never(
                    end.host(),
                    format!("it keeps nothing of what it is sent after byte {at}"),
                )
                .into());
            }
        }
        let call = Call { method: "PUT", url: last(&session.url), headers: octets(), body: Body::Bytes(b"") };
        let response = self.send(end, &call, &self.scopes())?;
        if response.status().is_success() { Ok(()) } else { Err(Fault::answer(end.host(), response).into()) }
    }

    /// How far an upload is; none: it is no more.
    fn status(&self, session: &Session, blob: &Descriptor) -> Option<Session> {
        let end = self.own().ok()?;
        let call = Call { method: "GET", url: session.url.clone(), headers: Vec::new(), body: Body::None };
        let response = self.send(end, &call, &self.scopes()).ok()?;
        if !response.status().is_success() {
            return None;
        }
        let url = location(&response, &session.url, end.host()).unwrap_or_else(|_| session.url.clone());
        let at = there(&response).filter(|at| *at <= blob.size).unwrap_or(0);
        Some(Session { url, at, least: session.least })
    }

    /// The registry may forget it; if it does not hear it, it forgets it later.
    fn cancel(&self, session: &Session) {
        if let Ok(end) = self.own() {
            let call =
                Call { method: "DELETE", url: session.url.clone(), headers: Vec::new(), body: Body::None };
            let _ = self.send(end, &call, &self.scopes());
        }
    }
}

/// A HEAD that says neither yes nor that it is not for us: it may not be there.
pub(crate) fn unknown(status: u16) -> bool {
    matches!(status, 400 | 404 | 405 | 406 | 501)
}

enum Mount {
    Done,
    Begun(Option<Session>),
}

fn header<'r>(response: &'r Response<ureq::Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name).and_then(|v| v.to_str().ok())
}

fn location(response: &Response<ureq::Body>, base: &str, host: &str) -> Result<String> {
    match header(response, "location") {
        Some(location) => joined(base, location),
        None => Err(Fault::never(host, "it does not say where to send to (no Location)").into()),
    }
}

/// `Range: 0-N`: N + 1 bytes; of 0-0, which is said of none as well, none.
fn there(response: &Response<ureq::Body>) -> Option<u64> {
    let range = header(response, "range")?;
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let last: u64 = range.strip_prefix("0-")?.parse().ok()?;
    if last == 0 { Some(0) } else { last.checked_add(1) }
}

/// Counts what goes.
struct Sending<'a, R> {
    inner: R,
    at: u64,
    blob: Descriptor,
    progress: &'a Progress,
    stop: &'a AtomicBool,
}

impl<R: Read> Read for Sending<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other(Stopped));
        }
        let n = self.inner.read(buf)?;
        self.at += n as u64;
        self.progress.tell(&Event::Moved { digest: &self.blob.digest, at: self.at, size: self.blob.size });
        Ok(n)
    }
}
