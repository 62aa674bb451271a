//! `stave-push`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_push::Words>("push", 1, |w| stave_push::run(&w))
}
