//! `stave-oci`: see lib.rs.

use std::process::ExitCode;

/// What clones into a container. The word may also be an operand of another command, which then
/// costs no more than time.
const CLONING: [&str; 4] = ["create", "run", "exec", "restore"];

fn main() -> ExitCode {
    let run = |words: stave_oci::Words| stave_oci::run(&words);
    if std::env::args_os().any(|word| CLONING.iter().any(|c| word == *c)) {
        cli::cloning_tool("oci", 1, run)
    } else {
        cli::tool("oci", 1, run)
    }
}
