//! create: all but the workload's exec. The process is left waiting on its socket.

use crate::Engine;
use crate::container::Container;
use crate::making::{Made, Making};
use anyhow::Result;
use clap::Args;
use launch::Door;

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
    made.finish(steps, &mut signals, |steps, mut how, signals| {
        how.door = Some(Door::make(&container.dir)?);
        let child = launch::start(steps, how, signals)?;
        Door::ready(&container.dir)?;
        Ok(child)
    })?;
    Ok(0)
}
