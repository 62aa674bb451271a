//! `stave-mount`: see lib.rs for the stage, and the frame in `cli` for the rest.

fn main() -> std::process::ExitCode {
    cli::filter::<stave_mount::Mount>()
}
