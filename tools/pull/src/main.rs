//! `stave-pull`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_pull::Words>("pull", 1, |w| stave_pull::run(&w))
}
