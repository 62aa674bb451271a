//! `stave-wait`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_wait::Words>("wait", 125, |w| stave_wait::run(&w))
}
