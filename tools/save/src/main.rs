//! `stave-save`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_save::Words>("save", 1, |w| stave_save::run(&w))
}
