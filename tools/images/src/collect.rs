//! What nobody uses goes. Nobody adds or unpacks meanwhile: the store is held alone.

use anyhow::{Context, Result, bail};
use cli::Host;
use store::{Digest, Reference, Store, User};

/// Takes names away, and then what is left without one.
pub(crate) fn remove(store: &Store, host: &Host, words: &[String]) -> Result<u8> {
    let mut status = 0;
    let alone = store.alone()?;
    for word in words {
        match forget(store, word) {
            Ok(()) => cli::print(&format!("{word}\n"))?,
            Err(e) => {
                cli::say("images", &cli::line(&e));
                status = 1;
            }
        }
    }
    let Some(alone) = alone else { return Ok(status) };
    store.collect(alone, store.account(&users(host)?)?, || users(host))?;
    Ok(status)
}

fn forget(store: &Store, word: &str) -> Result<()> {
    let found = store.find(word)?;
    store.change(|index| {
        let name = found.name.as_ref().filter(|_| !found.by_digest);
        match (name, Reference::parse(word).ok().filter(|r| r.digest.is_some())) {
            (Some(name), _) => drop(index.remove_name(name)),
            // A repository and a digest: what other repositories call it is not meant.
            (None, Some(reference)) => {
                if !index.remove_from(&reference.short(), &found.descriptor.digest) {
                    bail!("no image {word}");
                }
            }
            (None, None) => index.remove_digest(&found.descriptor.digest),
        }
        Ok(())
    })
}

/// Removes it, and says what.
pub(crate) fn gc(store: &Store, host: &Host) -> Result<()> {
    let Some(alone) = store.alone()? else { return Ok(()) };
    for item in store.collect(alone, store.account(&users(host)?)?, || users(host))? {
        cli::print(&format!("{}\n", item.path.display()))?;
    }
    Ok(())
}

/// What containers use. One whose document cannot be read may use anything, so nothing is removed.
pub(crate) fn users(host: &Host) -> Result<Vec<User>> {
    let mut users = Vec::new();
    for entry in state::list(&host.roots)? {
        // A container that is just coming to be, or going, has no document; one that came between
        // two looks is read again.
        let there = || host.roots.in_bundle(&entry.id, "config.json").exists();
        let again = || if there() { Some(state::read(&host.roots, &entry.id)) } else { None };
        let doc = match entry.doc {
            Err(_) => match again() {
                Some(Err(_)) if !there() => continue,
                None => continue,
                Some(other) => other,
            },
            found => found,
        };
        let doc = doc.with_context(|| format!("nothing collected: container {}", entry.id))?;
        let shown = || format!("nothing collected: container {}", entry.id);
        let image = doc.image().with_context(shown)?;
        let manifest = image.map(|i| Digest::parse(&i.digest)).transpose().with_context(shown)?;
        let dirs = doc.layers().with_context(shown)?.into_iter().map(|l| l.dir.into()).collect();
        let name = doc.name().with_context(shown)?.map_or_else(|| entry.id.clone(), str::to_owned);
        users.push(User { name, manifest, dirs });
    }
    Ok(users)
}
