//! `stave-rm`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_rm::Words>("rm", 1, |w| stave_rm::run(&w))
}
