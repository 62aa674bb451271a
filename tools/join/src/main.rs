//! `stave-join`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::cloning_tool::<stave_join::Words>("join", 125, |w| stave_join::run(&w))
}
