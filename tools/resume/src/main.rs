//! `stave-resume`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_resume::Words>("resume", 1, |w| stave_resume::run(&w))
}
