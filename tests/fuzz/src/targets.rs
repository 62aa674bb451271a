//! What must hold, format by format.

mod archive;
mod json;
mod layer;
mod names;

pub(crate) use archive::archive;
pub(crate) use json::{config, document, index, manifest};
pub(crate) use layer::{compressed, layer};
pub(crate) use names::{platform, reference};

/// An error is of a length that can be read, and nobody's panic. Gives the line.
fn line(error: &dyn std::fmt::Display) -> String {
    let text = format!("{error:#}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(!text.is_empty());
    text
}
