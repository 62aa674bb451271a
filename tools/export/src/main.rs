//! `stave-export`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_export::Words>("export", 1, |w| stave_export::run(&w))
}
