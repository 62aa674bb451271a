//! What nobody uses goes. Nobody adds or unpacks meanwhile: the store is held alone.

use anyhow::{Context, Result};
use cli::Host;
use store::{Digest, Held, Store};

/// Takes names away, and then what is left without one.
pub(crate) fn remove(store: &Store, host: &Host, words: &[String]) -> Result<u8> {
    let mut status = 0;
    let _alone = store.alone()?;
    for word in words {
        match forget(store, word) {
            Ok(()) => cli::print(&format!("{word}\n"))?,
            Err(e) => {
                cli::say("images", &cli::line(&e));
                status = 1;
            }
        }
    }
    store.collect(&store.garbage(&held(host)?)?)?;
    Ok(status)
}

fn forget(store: &Store, word: &str) -> Result<()> {
    let found = store.find(word)?;
    store.change(|index| {
        match found.name.as_ref().filter(|_| !found.by_digest) {
            Some(name) => drop(index.remove_name(name)),
            None => index.remove_digest(&found.descriptor.digest),
        }
        Ok(())
    })
}

/// Removes it, or shows it, and says how much.
pub(crate) fn gc(store: &Store, host: &Host, dry_run: bool) -> Result<()> {
    let _alone = store.alone()?;
    let garbage = store.garbage(&held(host)?)?;
    if !dry_run {
        store.collect(&garbage)?;
    }
    for g in &garbage {
        let path = step::quote(&g.path.to_string_lossy());
        let line = match (dry_run, g.size) {
            (true, None) => format!("rm -rf {path}"),
            (true, Some(_)) => format!("rm -f {path}"),
            (false, _) => g.path.display().to_string(),
        };
        cli::print(&format!("{line}\n"))?;
    }
    Ok(())
}

/// What containers use. One whose document cannot be read may use anything, so nothing is removed.
fn held(host: &Host) -> Result<Held> {
    let mut held = Held::default();
    for entry in state::list(&host.roots)? {
        let doc = match entry.doc {
            Ok(doc) => doc,
            // A container that is just coming to be: its document is not saved yet.
            Err(_) if !host.roots.in_bundle(&entry.id, "config.json").exists() => continue,
            Err(e) => return Err(e).context(format!("nothing collected: container {}", entry.id)),
        };
        let shown = || format!("nothing collected: container {}", entry.id);
        if let Some(image) = doc.image().with_context(shown)? {
            held.manifests.push(Digest::parse(&image.digest).with_context(shown)?);
        }
        for layer in doc.layers().with_context(shown)? {
            held.dirs.push(layer.dir.into());
        }
    }
    Ok(held)
}
