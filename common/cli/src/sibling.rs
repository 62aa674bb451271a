//! The other tools.

use std::path::PathBuf;

/// The program of a tool, such as `pull`: beside this one, else as found in PATH.
pub fn sibling(name: &str) -> PathBuf {
    let file = format!("stave-{name}");
    let beside = sys::seal::program().ok().map(|own| own.with_file_name(&file)).filter(|p| p.exists());
    beside.unwrap_or_else(|| PathBuf::from(&file))
}
