//! create: all but the workload's exec. The process is left waiting on its socket.

use crate::Engine;
use crate::container::Container;
use crate::making::{Made, Making};
use anyhow::{Context, Result};
use clap::Args;
use std::fs;

/// The words of `create`.
#[derive(Args, Debug)]
pub struct Create {
    #[command(flatten)]
    making: Making,
    /// The container
    pub id: String,
}

/// The verb.
pub fn create(container: &Container, words: &Create, engine: &Engine) -> Result<u8> {
    let made = Made::begin(container, &words.making, engine, true)?;
    let mut signals = launch::signals()?;
    let steps = made.plan(launch::create)?;
    made.finish(&steps, &mut signals, |steps, mut how, signals| {
        how.listener = Some(sys::io::listen(&container.file(".start")).context("listen for the start")?);
        let child = launch::start(steps, how, signals)?;
        fs::rename(container.file(".start"), container.file("start")).context("listen for the start")?;
        Ok(child)
    })?;
    Ok(0)
}
