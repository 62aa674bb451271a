//! From a document to a running process: the plan of the child's side, the clone, and the watch
//! over pid 1 afterwards. `parent.rs` and `child.rs` are the two sides of one clone3(2).
#![forbid(unsafe_code)]

mod child;
mod enter;
mod look;
mod monitor;
mod parent;
mod plan;
pub mod user;

pub use enter::{Enter, enter};
pub use look::Look;
pub use monitor::{Terminal, exit_record, save, signals, until_exit};
pub use parent::{Child, Error, Stdio, start};
pub use plan::init;
