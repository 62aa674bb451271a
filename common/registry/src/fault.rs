//! What goes wrong between us and a registry, and whether another try may help.

use serde_json::Value;
use std::fmt;
use std::io::Read;
use std::time::Duration;
use ureq::http::{Response, StatusCode};

/// An answer that is none, or not the one that was due.
#[derive(Debug)]
pub struct Fault {
    /// Which.
    pub kind: Kind,
    /// Who it was: `localhost:5000`.
    pub host: String,
    /// What it said, or what the network did.
    pub text: String,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// There is no connection to it.
    Connect,
    /// The connection broke off, or brought nothing for too long.
    Cut,
    /// It answered with this status; and perhaps said when to come again.
    Status(u16, Option<Duration>),
    /// It is not to be talked to like this: certificate, address, protocol.
    Never,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.kind {
            Kind::Status(status, _) => {
                let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
                write!(f, "{} answers {status} {}", self.host, reason.unwrap_or_default())?;
                let known = reason.is_some_and(|r| r.eq_ignore_ascii_case(&self.text));
                if self.text.is_empty() || known { Ok(()) } else { write!(f, ": {}", self.text) }
            }
            _ => write!(f, "{}: {}", self.host, self.text),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// One that no further try helps.
    pub(crate) fn never(host: &str, text: impl Into<String>) -> Fault {
        Fault { kind: Kind::Never, host: host.to_owned(), text: text.into() }
    }

    /// From a response that is not the one due; its body is read.
    pub(crate) fn answer(host: &str, response: Response<ureq::Body>) -> Fault {
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(seconds);
        let mut body = Vec::new();
        let _ = response.into_body().into_reader().take(64 << 10).read_to_end(&mut body);
        Fault { kind: Kind::Status(status, after), host: host.to_owned(), text: said(&body) }
    }

    /// From the HTTP client.
    pub(crate) fn network(host: &str, e: ureq::Error) -> Fault {
        use ureq::{Error, Timeout};
        let fault = |kind, text: String| Fault { kind, host: host.to_owned(), text };
        match e {
            Error::Io(e) => Fault::io(host, &e),
            Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                fault(Kind::Connect, "no connection in time".into())
            }
            Error::Timeout(_) => fault(Kind::Cut, "it brought nothing for too long".into()),
            Error::HostNotFound => fault(Kind::Connect, "no such host".into()),
            Error::ConnectionFailed => fault(Kind::Connect, "no connection".into()),
            Error::Rustls(e) => fault(Kind::Never, format!("TLS: {e}")),
            Error::Protocol(e) => fault(Kind::Cut, format!("it does not speak HTTP: {e}")),
            other => fault(Kind::Never, other.to_string()),
        }
    }

    /// From reading or writing.
    pub(crate) fn io(host: &str, e: &std::io::Error) -> Fault {
        use std::io::ErrorKind as E;
        if let Some(tls) = e.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
            let text = match tls {
                ureq::Error::Timeout(_) => "it brought nothing for too long".to_owned(),
                other => other.to_string(),
            };
            return Fault { kind: Kind::Cut, host: host.to_owned(), text };
        }
        let kind = match e.kind() {
            E::ConnectionRefused | E::HostUnreachable | E::NetworkUnreachable | E::AddrNotAvailable => {
                Kind::Connect
            }
            E::InvalidData => Kind::Never,
            _ => Kind::Cut,
        };
        let text = e.to_string();
        let text = match e.kind() {
            E::UnexpectedEof => "the connection was cut",
            _ => text.split(" (os error").next().unwrap_or(&text),
        };
        let text = text.to_owned();
        Fault { kind, host: host.to_owned(), text }
    }

    /// A body that ended before its end.
    pub(crate) fn cut(host: &str, at: u64, size: u64) -> Fault {
        let text = format!("the connection was cut after {at} of {size} bytes");
        Fault { kind: Kind::Cut, host: host.to_owned(), text }
    }

    /// Whether the same request may succeed a little later. `spoke`: the other side has answered
    /// before, so it is there.
    pub(crate) fn passes(&self, spoke: bool) -> bool {
        match self.kind {
            Kind::Connect => spoke,
            Kind::Cut => true,
            Kind::Status(status, _) => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            Kind::Never => false,
        }
    }

    /// The status, where there is one.
    pub(crate) fn status(&self) -> Option<u16> {
        match self.kind {
            Kind::Status(status, _) => Some(status),
            _ => None,
        }
    }
}

/// Retry-After in seconds; as a date it is left to our own back-off.
fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

/// The messages of a registry's `errors` (distribution specification, "Error Codes"), on one line.
pub(crate) fn said(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |v: &Value| v.as_str().map(str::to_owned).filter(|t| !t.is_empty());
    let one = |e: &Value| text(&e["message"]).or_else(|| text(&e["code"]));
    let list: Vec<String> = match value["errors"].as_array() {
        Some(errors) => errors.iter().filter_map(one).collect(),
        None => ["details", "message", "error"].iter().filter_map(|k| text(&value[*k])).take(1).collect(),
    };
    let line: String = list.join("; ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        for (body, text) in [
            (r#"{"errors":[{"code":"A","message":"no\nsuch"},{"code":"B"}]}"#, "no such; B"),
            (r#"{"details":"incorrect username or password"}"#, "incorrect username or password"),
            ("<html>", ""),
            ("", ""),
        ] {
            assert_eq!(said(body.as_bytes()), text);
        }
        let fault =
            |status| Fault { kind: Kind::Status(status, None), host: "h".into(), text: String::new() };
        assert_eq!(fault(404).to_string(), "h answers 404 Not Found");
        assert!(fault(429).passes(false) && fault(503).passes(true) && !fault(404).passes(true));
    }
}
