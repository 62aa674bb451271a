//! `stave-oci`: see lib.rs.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let given = words.get(1..).unwrap_or_default();
    if sys::io::ensure_stdio().is_err() {
        return ExitCode::FAILURE;
    }
    // What clones into a container could be written to by it.
    if stave_oci::verb(given).is_some_and(|v| stave_oci::CLONING.contains(&v))
        && let Err(e) = sys::seal::seal()
    {
        cli::say("oci", &format!("seal this program against writing: {e}"));
        return ExitCode::FAILURE;
    }
    ExitCode::from(stave_oci::main(stave_oci::called(words.first()), given))
}
