//! The table of images. One that cannot be read has its line too.

use anyhow::Result;
use serde_json::json;
use store::Store;

pub(crate) fn print(store: &Store, as_json: bool, quiet: bool) -> Result<()> {
    let mut rows = vec![["NAME", "DIGEST", "SIZE", "CREATED"].map(String::from).to_vec()];
    let mut out = String::new();
    for entry in store.index()?.manifests {
        let name = entry.ref_name().map(|n| store::normal(n).unwrap_or_else(|_| n.to_owned()));
        let image = store.open(&entry, name.clone());
        if let Err(e) = &image {
            cli::say("images", &cli::line(e));
        }
        let image = image.ok();
        let size = image.as_ref().map(store::Image::size);
        let created = image.and_then(|i| i.config.created);
        if quiet {
            out += &format!("{}\n", entry.digest);
        } else if as_json {
            let line = json!({
                "name": name,
                "digest": entry.digest,
                "mediaType": entry.media_type,
                "size": size,
                "created": created,
            });
            out += &format!("{line}\n");
        } else {
            rows.push(vec![
                name.unwrap_or_else(|| "-".into()),
                entry.digest.hex()[..12].to_owned(),
                size.map_or("-".into(), cli::parse::human),
                created.map_or("-".into(), |c| c.chars().take(10).collect()),
            ]);
        }
    }
    if !quiet && !as_json {
        out = cli::table(&rows);
    }
    cli::print(&out)
}
