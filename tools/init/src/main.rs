//! `stave-init`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_init::Words>("init", 125, |w| stave_init::run(&w))
}
