//! `stave-images`: see lib.rs.

fn main() -> std::process::ExitCode {
    cli::tool::<stave_images::Words>("images", 1, |w| stave_images::run(&w))
}
