//! `stave-pack`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_pack::Words>("pack", 1, |w| stave_pack::run(&w))
}
