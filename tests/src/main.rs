//! `pages man DIR`, `pages completions DIR`: what is made from the tools' own words.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["man", dir] => pages::man(Path::new(dir)),
        ["completions", dir] => pages::completions(Path::new(dir)),
        _ => {
            eprintln!("usage: pages man|completions DIR");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("pages: {e:#}");
            ExitCode::FAILURE
        }
    }
}
