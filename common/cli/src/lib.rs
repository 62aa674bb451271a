//! The frame that every tool stands in: it reads the document, shows or does or undoes the steps,
//! prints the document, and says errors once. A tool adds its flags and its plan.
#![forbid(unsafe_code)]

pub mod bundle;
mod drive;
mod error;
mod filter;
pub mod input;
mod output;
pub mod parse;

pub use drive::{Drive, Driver, explain, roll_back, undo_all};
pub use error::{Failure, Usage, fail, fail_with, line, say, tool, usage};
pub use filter::{Filter, Stage, command, filter, show};
pub use output::{print, print_doc, table};

pub use state::Host;
