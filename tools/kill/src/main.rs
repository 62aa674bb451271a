//! `stave-kill`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_kill::Words>("kill", 1, |w| stave_kill::run(&w))
}
