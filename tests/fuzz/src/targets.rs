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
    // Who waited for a thread says so; a name may have the word too, and then it does not end there.
    assert!(!text.ends_with(" thread panicked"), "{text}");
    assert!(!text.is_empty());
    text
}
