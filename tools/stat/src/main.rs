//! `stave-stat`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_stat::Words>("stat", 1, |w| stave_stat::run(&w))
}
