//! `stave-logout`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_logout::Words>("logout", 1, |w| stave_logout::run(&w))
}
