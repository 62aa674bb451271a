//! `stave-new`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_new::Words>("new", 1, |w| stave_new::run(&w))
}
