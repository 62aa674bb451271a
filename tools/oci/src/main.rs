//! `stave-oci`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool("oci", 1, |words: stave_oci::Words| stave_oci::run(&words))
}
