//! The frame that every tool stands in: it reads the document, shows or does or undoes the steps,
//! prints the document, and says errors once. A tool adds its flags and its plan.
#![forbid(unsafe_code)]

pub mod archive;
pub mod bundle;
mod drive;
mod end;
mod error;
mod filter;
pub mod freezer;
pub mod input;
mod output;
pub mod parse;
mod sibling;
mod words;

pub use drive::{Drive, Driver, roll_back, undo_all};
pub use end::end;
pub use error::{
    Failure, SUBIDS, Usage, cloning_tool, fail, fail_with, fail_with_status, left, line, say, status, teller,
    tool, usage,
};
pub use filter::{Filter, Stage, command, filter, run as stage, show};
pub use output::{each, print, print_doc, table};
pub use sibling::sibling;
pub use words::words;

pub use state::Host;
