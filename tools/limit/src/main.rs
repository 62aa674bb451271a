//! `stave-limit`: see lib.rs for the stage, and the frame in `cli` for the rest.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_limit::Words>("limit", 1, |w| stave_limit::run(&w))
}
