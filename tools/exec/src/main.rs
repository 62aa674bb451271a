//! `stave-exec`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::cloning_tool::<stave_exec::Words>("exec", 125, |w| stave_exec::run(&w))
}
