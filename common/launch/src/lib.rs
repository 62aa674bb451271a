//! From a document to a running process: the plan of the child's side, the clone, and the watch
//! over pid 1 afterwards. `parent.rs` and `child.rs` are the two sides of one clone3(2).
#![forbid(unsafe_code)]

mod attend;
mod child;
mod denials;
mod enter;
pub mod flags;
mod line;
mod look;
mod message;
mod monitor;
mod parent;
mod plan;
mod process;
mod rdt;
mod rights;
mod root;
mod seccomp;
mod show;
mod spaces;
pub mod user;

pub use attend::{Attend, all_signals, attend, callers_size, signals};
pub use denials::{Denials, Tell};
pub use enter::{Enter, enter, may_trace};
pub use line::Door;
pub use look::{Look, overlay};
pub use monitor::{Foreground, foreground, save, save_end, save_in};
pub use parent::{Child, Start, Stdio, go, start};
pub use plan::{create, hooks, init, poststart};
pub use rdt::rdt;
pub use rights::warnings;
pub use show::show;
