//! `stave-login`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_login::Words>("login", 1, |w| stave_login::run(&w))
}
