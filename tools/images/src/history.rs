//! How an image came to be.

use anyhow::Result;
use serde_json::json;
use store::Store;

/// The steps, newest first, as docker lists them; each that made a layer with the layer's size.
pub(crate) fn print(store: &Store, word: &str, as_json: bool, whole: bool) -> Result<()> {
    let image = store.image(word)?;
    let mut layers = image.manifest.layers.iter();
    let mut steps = Vec::new();
    for step in &image.config.history {
        let layer = if step.empty_layer { None } else { layers.next() };
        steps.push((step.clone(), layer));
    }
    // Layers that the history does not know of.
    steps.extend(layers.map(|l| (store::History::default(), Some(l))));
    let mut rows = vec![["CREATED", "LAYER", "SIZE", "CREATED BY", "COMMENT"].map(String::from).to_vec()];
    let mut out = String::new();
    for (step, layer) in steps.iter().rev() {
        if as_json {
            let line = json!({
                "created": step.created,
                "createdBy": step.created_by,
                "comment": step.comment,
                "layer": layer.map(|l| &l.digest),
                "size": layer.map_or(0, |l| l.size),
            });
            out += &format!("{line}\n");
            continue;
        }
        let short = |text: &str, most: usize| -> String {
            let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if whole || text.chars().count() <= most {
                return text;
            }
            text.chars().take(most - 1).chain(['…']).collect()
        };
        rows.push(vec![
            step.created.as_ref().map_or("-".into(), |c| c.chars().take(10).collect()),
            layer.map_or("-".into(), |l| l.digest.hex()[..12].to_owned()),
            cli::parse::human(layer.map_or(0, |l| l.size)),
            short(&step.created_by, 60),
            short(&step.comment, 30),
        ]);
    }
    if !as_json {
        out = cli::table(&rows);
    }
    cli::print(&out)
}
