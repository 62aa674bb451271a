//! Where a container rests: roots, ids, names, bundle, lock, state. Every fact is a file.
#![forbid(unsafe_code)]

mod find;
mod host;
mod place;
mod record;
mod roots;
mod subid;

pub use find::{Entry, Gone, cgroup, find, ids, list, lock, lock_dir, names_of, read};
pub use host::{CgroupDir, Host};
pub use place::{Place, Unit, manager, usual_slice};
pub use record::{Exit, Record, Run, Status, ago, moment, now};
pub use roots::{Roots, new_id};
pub use subid::Range;
pub use systemd::of_user;
