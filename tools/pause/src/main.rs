//! `stave-pause`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_pause::Words>("pause", 1, |w| stave_pause::run(&w))
}
