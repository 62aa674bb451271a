//! `stave-keep`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::cloning_tool::<stave_keep::Words>("keep", 125, |w| stave_keep::run(&w))
}
