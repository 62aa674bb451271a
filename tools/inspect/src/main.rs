//! `stave-inspect`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_inspect::Words>("inspect", 1, |w| stave_inspect::run(&w))
}
