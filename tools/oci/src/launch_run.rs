//! run: create and start in one, and wait for the end unless detached.

use crate::Making;
use crate::container::Container;
use crate::create::Made;
use crate::{delete, start};
use anyhow::Result;
use std::path::Path;

/// The verb.
pub fn run(container: &Container, making: &Making, detach: bool, keep: bool) -> Result<u8> {
    let made = Made::begin(container, making)?;
    let steps = launch::init(&made.doc, &made.look);
    let bundle = made.look.bundle.clone();
    let child = made.finish(steps, making, launch::start)?;
    start::after(container, &bundle, child.pid)?;
    if detach {
        return Ok(0);
    }
    let exit = sys::process::wait(child.pid)?;
    if !keep {
        delete::remove(container, Path::new(&bundle))?;
    }
    Ok(exit.status() as u8)
}
