//! `stave-spawn`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::cloning_tool::<stave_spawn::Words>("spawn", 125, |w| stave_spawn::run(&w))
}
