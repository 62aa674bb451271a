//! The ends of a pipe: a document in, a process out of it.

use crate::{Host, bundle, error, input};
use anyhow::{Context, Result};
use doc::Doc;

/// Reads the document (of a container that is named, or from stdin), gives it an id where it has
/// none, and hands it to `lead`. What this call made goes when it fails; what earlier stages made
/// is named.
pub fn end(
    name: &str,
    container: Option<&str>,
    lead: impl FnOnce(&mut Doc, &Host) -> Result<u8>,
) -> Result<u8> {
    let host = Host::gather()?;
    let mut doc = match container {
        Some(word) => state::read(&host.roots, &state::find(&host.roots, word)?)?,
        None => input::document()?,
    };
    let born = bundle::identify(&mut doc)?;
    let result = lead(&mut doc, &host);
    let Err(e) = result else { return result };
    let id = doc.id()?.context("the document has no id")?;
    if doc.stave_flag("rm") || container.is_some() || !host.roots.bundle(id).is_dir() {
        return Err(e);
    }
    if born {
        bundle::remove(id, &host)?;
        return Err(e);
    }
    Err(error::left(name, id, &e, 125))
}
