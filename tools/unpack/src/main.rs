//! `stave-unpack`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_unpack::Words>("unpack", 1, |w| stave_unpack::run(&w))
}
