//! Images by their layers: which of them are shared, and what of each nobody sees.

use anyhow::{Context, Result};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use store::{Digest, Image, Share, Store, Waste};

/// Of so many hidden files the largest are shown.
const FILES: usize = 10;

/// The named images, or all; of named ones also the hidden files.
pub(crate) fn print(store: &Store, words: &[String], as_json: bool) -> Result<()> {
    let all = images(store)?;
    let wanted: Vec<Image> = match words {
        [] => all.clone(),
        words => words.iter().map(|w| store.image(w)).collect::<Result<_>>()?,
    };
    let mut users: BTreeMap<&Digest, BTreeSet<&str>> = BTreeMap::new();
    for image in &all {
        for layer in &image.manifest.layers {
            users.entry(&layer.digest).or_default().insert(name(image));
        }
    }
    let mut out = String::new();
    for image in &wanted {
        let (shares, wastes) = store.shares(image).with_context(|| format!("read image {}", name(image)))?;
        let others = |d: &Digest| -> Vec<String> {
            let own: BTreeSet<&str> =
                all.iter().filter(|i| i.descriptor.digest == image.descriptor.digest).map(name).collect();
            users
                .get(d)
                .into_iter()
                .flatten()
                .filter(|n| !own.contains(**n))
                .map(|n| (*n).to_owned())
                .collect()
        };
        if as_json {
            writeln!(out, "{}", json(image, &shares, &wastes, &others))?;
        } else {
            text(&mut out, image, &shares, &others)?;
            if !words.is_empty() {
                files(&mut out, &wastes)?;
            }
        }
    }
    cli::print(&out)
}

/// Each name has its entry; one that cannot be read is said, and left out.
fn images(store: &Store) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for entry in store.index()?.manifests {
        let name = entry.ref_name().map(|n| store::normal(n).unwrap_or_else(|_| n.to_owned()));
        match store.open(&entry, name) {
            Ok(image) => images.push(image),
            Err(e) => cli::say("images", &cli::line(&e)),
        }
    }
    Ok(images)
}

fn name(image: &Image) -> &str {
    image.name.as_deref().unwrap_or_else(|| &image.descriptor.digest.hex()[..12])
}

fn text(
    out: &mut String,
    image: &Image,
    shares: &[Share],
    others: &dyn Fn(&Digest) -> Vec<String>,
) -> Result<()> {
    let human = cli::parse::human;
    let sum = |part: fn(&Share) -> u64| shares.iter().map(part).sum::<u64>();
    let (size, plain, wasted) = (sum(|s| s.size), sum(|s| s.plain), sum(|s| s.wasted));
    writeln!(
        out,
        "{}  {}  {}, {} in files, {} of it hidden by later layers",
        name(image),
        &image.descriptor.digest.hex()[..12],
        human(size),
        human(plain),
        human(wasted),
    )?;
    let mut rows = Vec::new();
    for (i, share) in shares.iter().enumerate() {
        let others = others(&share.digest);
        rows.push(vec![
            format!("{} {}", if i + 1 == shares.len() { "└─" } else { "├─" }, &share.digest.hex()[..12]),
            human(share.size),
            format!("{} in files", human(share.plain)),
            format!("{} hidden", human(share.wasted)),
            if others.is_empty() { String::new() } else { format!("also in {}", others.join(", ")) },
        ]);
    }
    out.push_str(&cli::table(&rows));
    Ok(())
}

fn files(out: &mut String, wastes: &[Waste]) -> Result<()> {
    for w in wastes.iter().take(FILES).filter(|w| w.bytes > 0) {
        let path = w.path.to_string_lossy();
        let path = path.escape_debug();
        let bytes = cli::parse::human(w.bytes);
        writeln!(out, "   {bytes} hidden: {path}, of layer {}, by layer {}", w.layer, w.hidden_by)?;
    }
    if wastes.len() > FILES {
        writeln!(out, "   and {} files more", wastes.len() - FILES)?;
    }
    Ok(())
}

fn json(
    image: &Image,
    shares: &[Share],
    wastes: &[Waste],
    others: &dyn Fn(&Digest) -> Vec<String>,
) -> serde_json::Value {
    let layers: Vec<_> = shares
        .iter()
        .map(|s| {
            json!({
                "digest": s.digest, "size": s.size, "bytes": s.plain, "wasted": s.wasted,
                "sharedWith": others(&s.digest),
            })
        })
        .collect();
    let hidden: Vec<_> = wastes
        .iter()
        .map(|w| {
            let path = w.path.to_string_lossy();
            json!({ "path": path, "bytes": w.bytes, "layer": w.layer, "hiddenBy": w.hidden_by })
        })
        .collect();
    json!({ "name": image.name, "digest": image.descriptor.digest, "layers": layers, "hidden": hidden })
}
