//! `stave-diff`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_diff::Words>("diff", 1, |w| stave_diff::run(&w))
}
