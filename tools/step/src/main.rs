//! `stave-step`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_step::Words>("step", 1, |w| stave_step::run(&w))
}
