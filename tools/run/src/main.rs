//! `stave-run`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::cloning_tool("run", 125, stave_run::run)
}
