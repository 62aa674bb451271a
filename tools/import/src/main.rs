//! `stave-import`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_import::Words>("import", 1, |w| stave_import::run(&w))
}
