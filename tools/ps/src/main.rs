//! `stave-ps`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_ps::Words>("ps", 1, |w| stave_ps::run(&w))
}
