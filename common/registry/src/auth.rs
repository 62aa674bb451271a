//! Tokens: what a registry's 401 asks for is fetched once and used until it expires (the token
//! specification of distribution; OAuth 2's for identity tokens).

use crate::challenge::{self, Challenge};
use crate::credentials::{self, Credential, base64};
use crate::fault::Fault;
use crate::hosts::is_loopback;
use crate::net::{Body, Call, Net, TRIES, origin, secure, small};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::Response;

/// What is known of a registry's wishes.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    state: Mutex<State>,
    /// Given by `login`; else they are looked for.
    pub(crate) own: Option<Credential>,
}

#[derive(Debug, Default)]
struct State {
    challenge: Option<Challenge>,
    tokens: HashMap<String, Token>,
}

#[derive(Debug)]
struct Token {
    header: String,
    until: Option<Instant>,
}

/// How one shows oneself, for people to read: no secret in it.
pub(crate) enum Shown {
    /// With this user's password.
    Basic(String),
    /// With a token that is got from there, perhaps with a user's password.
    Bearer {
        /// With the query.
        url: String,
        /// Whose password.
        user: Option<String>,
    },
}

impl Auth {
    /// What a request brings along; nothing where the registry asked for nothing.
    pub(crate) fn shown(&self, host: &str, scopes: &[String]) -> Result<Option<Shown>> {
        let user = match self.credential(host, scopes)? {
            Some(Credential::Password { user, .. }) => Some(user),
            _ => None,
        };
        Ok(match &self.state().challenge {
            None => None,
            Some(Challenge::Basic) => Some(Shown::Basic(user.unwrap_or_default())),
            Some(Challenge::Bearer { realm, service, .. }) => {
                let mut query: Vec<(&str, &str)> = service.iter().map(|s| ("service", s.as_str())).collect();
                query.extend(scopes.iter().map(|s| ("scope", s.as_str())));
                let url = format!("{realm}{}{}", if realm.contains('?') { '&' } else { '?' }, encode(&query));
                Some(Shown::Bearer { url, user })
            }
        })
    }

    fn credential(&self, host: &str, scopes: &[String]) -> Result<Option<Credential>> {
        let repository = scopes.first().and_then(|s| s.split(':').nth(1)).unwrap_or_default();
        match &self.own {
            Some(own) => Ok(Some(own.clone())),
            None => credentials::find(host, repository),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The Authorization that is known to be wanted, before anything is asked. Where a token has
    /// expired, a new one.
    pub(crate) fn header(&self, net: &Net, host: &str, scopes: &[String]) -> Result<Option<String>> {
        let mut state = self.state();
        if state.challenge.is_none() {
            return Ok(None);
        }
        if let Some(token) = state.tokens.get(&scopes.join(" "))
            && token.until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(Some(token.header.clone()));
        }
        self.fetch(&mut state, net, host, scopes).map(Some)
    }

    /// After a 401: the Authorization for a second try. `used`: what the first had.
    pub(crate) fn answer(
        &self,
        net: &Net,
        host: &str,
        scopes: &[String],
        used: Option<&str>,
        response: &Response<ureq::Body>,
    ) -> Result<Option<String>> {
        let headers = response.headers().get_all("www-authenticate");
        let Some(challenge) = challenge::parse(headers.iter().filter_map(|h| h.to_str().ok())) else {
            return Ok(None);
        };
        let mut state = self.state();
        // Another thread may have fetched a new one since.
        if let Some(token) = state.tokens.get(&scopes.join(" "))
            && used != Some(token.header.as_str())
        {
            return Ok(Some(token.header.clone()));
        }
        if challenge == Challenge::Basic && used.is_some() {
            return Ok(None);
        }
        state.challenge = Some(challenge);
        self.fetch(&mut state, net, host, scopes).map(Some)
    }

    fn fetch(&self, state: &mut State, net: &Net, host: &str, scopes: &[String]) -> Result<String> {
        let credential = self.credential(host, scopes)?;
        let token = match &state.challenge {
            Some(Challenge::Bearer { realm, service, scope }) => {
                let asked: Vec<&str> = match scopes {
                    [] => scope.iter().map(String::as_str).collect(),
                    some => some.iter().map(String::as_str).collect(),
                };
                bearer(net, host, realm, service.as_deref(), &asked, credential.as_ref())?
            }
            _ => match credential {
                Some(Credential::Password { user, password }) => {
                    Token { header: basic(&user, &password), until: None }
                }
                Some(Credential::Identity(_)) => {
                    bail!("{host}: an identity token is no password, which it asks for")
                }
                None => bail!("{host}: it asks for a user and a password: stave login {host}"),
            },
        };
        let header = token.header.clone();
        state.tokens.insert(scopes.join(" "), token);
        Ok(header)
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(&format!("{user}:{password}")))
}

/// A token lives so long where nothing is said.
const USUAL: u64 = 60;

fn bearer(
    net: &Net,
    host: &str,
    realm: &str,
    service: Option<&str>,
    scopes: &[&str],
    credential: Option<&Credential>,
) -> Result<Token> {
    let there = origin(realm).with_context(|| format!("{host}: its realm '{realm}'"))?;
    if credential.is_some() && !secure(realm) && !is_loopback(&there) && !net.is_plain(host) {
        bail!("{host}: it wants the password sent to {there} without TLS");
    }
    let mut query: Vec<(&str, &str)> = service.iter().map(|s| ("service", *s)).collect();
    query.extend(scopes.iter().map(|s| ("scope", *s)));
    let shown = || match credential {
        Some(_) => format!("{host}: token from {there}"),
        None => format!("{host}: token from {there} without credentials (stave login {host})"),
    };
    let mut headers = Vec::new();
    let mut form = String::new();
    let mut url = realm.to_owned();
    match credential {
        Some(Credential::Identity(token)) => {
            let scope = scopes.join(" ");
            let mut grant =
                vec![("grant_type", "refresh_token"), ("client_id", "stave"), ("refresh_token", token)];
            grant.extend(service.iter().map(|s| ("service", *s)));
            grant.push(("scope", &scope));
            form = encode(&grant);
            headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
        }
        other => {
            if let Some(Credential::Password { user, password }) = other {
                query.push(("account", user));
                headers.push(("authorization", basic(user, password)));
            }
            url = format!("{realm}{}{}", if realm.contains('?') { '&' } else { '?' }, encode(&query));
        }
    }
    let text = net.retried(TRIES, || {
        let (method, body) = match form.is_empty() {
            true => ("GET", Body::None),
            false => ("POST", Body::Bytes(form.as_bytes())),
        };
        let response = net.call(&Call { method, url: url.clone(), headers: headers.clone(), body })?;
        if !response.status().is_success() {
            return Err(Fault::answer(&there, response).into());
        }
        small(response, &there, 1 << 20)
    });
    // It was tried often enough here: who asked for the token need not try again.
    let text = text.map_err(settled).with_context(shown)?;
    let value: Value = serde_json::from_slice(&text).with_context(shown)?;
    let Some(token) =
        ["token", "access_token"].iter().find_map(|k| value[*k].as_str().filter(|t| !t.is_empty()))
    else {
        bail!("{}: there is none in the answer", shown());
    };
    // A header of our own making: what would end it is no token.
    if token.bytes().any(|b| !(b' '..=b'~').contains(&b)) {
        bail!("{}: it has characters that no token has", shown());
    }
    let lives = value["expires_in"].as_u64().filter(|n| *n > 0).unwrap_or(USUAL);
    let until = Instant::now().checked_add(Duration::from_secs(lives - lives.min(100) / 10));
    Ok(Token { header: format!("Bearer {token}"), until })
}

fn settled(e: anyhow::Error) -> anyhow::Error {
    match e.downcast::<Fault>() {
        Ok(fault) => anyhow::Error::msg(fault.to_string()),
        Err(e) => e,
    }
}

/// As a query or a form.
pub(crate) fn encode(pairs: &[(&str, &str)]) -> String {
    let one = |(key, value): &(&str, &str)| format!("{key}={}", percent(value));
    pairs.iter().map(one).collect::<Vec<_>>().join("&")
}

/// Percent-encoding (RFC 3986) but for what is safe in a query.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b',' => {
                out.push(byte.into())
            }
            other => out += &format!("%{other:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let pairs = [("service", "a b&c"), ("scope", "repository:x/y:pull,push")];
        assert_eq!(encode(&pairs), "service=a%20b%26c&scope=repository:x/y:pull,push");
    }
}
