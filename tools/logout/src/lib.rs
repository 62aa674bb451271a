//! Credentials for a registry are taken away.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use registry::credentials;

/// Log out from a registry
#[derive(Parser, Debug)]
#[command(name = "stave-logout", version)]
pub struct Words {
    /// HOST[:PORT]; without it docker.io
    #[arg(default_value = "docker.io", value_parser = credentials::registry)]
    registry: String,
}

/// The main of `stave logout`.
pub fn run(words: &Words) -> Result<u8> {
    let host = &words.registry;
    let shown = || format!("log out from {host}");
    let was = credentials::forget(host).with_context(shown)?;
    if let Some(file) = credentials::stands_in(host) {
        cli::say("logout", &format!("credentials for {host} still stand in {}", file.display()));
    }
    cli::print(&format!("{}\n", if was { "Removed login credentials" } else { "Not logged in" }))?;
    Ok(0)
}
