//! What strangers' bytes must never do. A target takes any bytes and panics where something that
//! always holds does not; seeds and mutations know the formats, so that they get past checksums
//! and digests. The same targets run for a moment in the tests, on stable and with fixed numbers,
//! and for as long as one likes under libFuzzer (`make fuzz`).
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is how a target reports")]

mod json;
mod mutate;
mod place;
mod redigest;
mod rng;
mod seeds;
mod tar;
mod targets;

pub use mutate::{mutate, repair};
pub use place::tidy;
pub use rng::Rng;

/// What the bytes of a target are, for whoever mutates them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// A tar archive; checksums are made right.
    Tar,
    /// A tar archive with files named by their digests, which are made right too.
    Images,
    /// A JSON object.
    Json,
    /// Some lines' worth of text.
    Text,
    /// Anything.
    Bytes,
}

/// One parser with what must hold of it.
pub struct Target {
    /// As `make fuzz TARGETS=...` has it.
    pub name: &'static str,
    /// Panics where something does not hold.
    pub run: fn(&[u8]),
    /// Good inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Of its inputs.
    pub form: Form,
    /// How many mutations make about a second in an unoptimised build.
    pub count: u32,
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target { name: "layer", run: targets::layer, seeds: seeds::layers, form: Form::Tar, count: 300 },
    Target { name: "archive", run: targets::archive, seeds: seeds::archives, form: Form::Images, count: 300 },
    Target {
        name: "compressed",
        run: targets::compressed,
        seeds: seeds::compressed,
        form: Form::Bytes,
        count: 400,
    },
    Target {
        name: "manifest",
        run: targets::manifest,
        seeds: seeds::manifests,
        form: Form::Json,
        count: 4000,
    },
    Target { name: "index", run: targets::index, seeds: seeds::indexes, form: Form::Json, count: 3000 },
    Target { name: "config", run: targets::config, seeds: seeds::configs, form: Form::Json, count: 4000 },
    Target {
        name: "reference",
        run: targets::reference,
        seeds: seeds::references,
        form: Form::Text,
        count: 20000,
    },
    Target {
        name: "platform",
        run: targets::platform,
        seeds: seeds::platforms,
        form: Form::Text,
        count: 20000,
    },
    Target {
        name: "document",
        run: targets::document,
        seeds: seeds::documents,
        form: Form::Json,
        count: 2000,
    },
];

/// By its name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|t| t.name == name)
}
