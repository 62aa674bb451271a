//! `stave-load`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_load::Words>("load", 1, |w| stave_load::run(&w))
}
