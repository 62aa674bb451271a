//! `stave-exec`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_exec::Words>("exec", 125, |w| stave_exec::run(&w))
}
