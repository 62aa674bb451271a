//! `stave`: runs `stave-X` for `stave X`, as git does; the tools lie beside it, or in PATH.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const HELP: &str = "\
stave: containers as small tools

  stave unpack busybox | stave new web - | stave mount | stave ns | stave limit -m 64M | stave spawn -- sh
  stave run -it -m 64M busybox sh          the same in one line
  stave run -it --host sh                  this machine, copy-on-write

images      pull push load save import export unpack pack images login logout
stages      new mount ns limit           a document in, a document out
ends        spawn keep join exec init    a process
signals     kill pause resume wait
looking     ps stat inspect diff step
front       run rm oci

stave X --help says more, and man stave-X, stave(7), stave-document(7).
";

/// Those that seal their program, which one exec is enough for if it is done here.
const CLONING: [&str; 6] = ["exec", "join", "keep", "oci", "run", "spawn"];

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let Some(word) = args.next() else {
        let _ = std::io::stderr().write_all(HELP.as_bytes());
        return ExitCode::from(2);
    };
    match word.to_str() {
        Some("-h" | "--help" | "help") => {
            // `stave help X` is `stave X --help`.
            return match args.next() {
                Some(tool) => exec(&tool, vec!["--help".into()]),
                None => print(HELP),
            };
        }
        Some("-V" | "--version") => {
            return print(concat!("stave ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        // docker's word.
        Some("unpause") => return exec(&"resume".into(), args.collect()),
        _ => {}
    }
    exec(&word, args.collect())
}

/// A reader that went away is a silent failure.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            if e.kind() != std::io::ErrorKind::BrokenPipe {
                say(&format!("write to stdout: {}", words(&e)));
            }
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "stave: {text}");
}

/// The error without its number.
fn words(e: &std::io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn exec(word: &OsString, args: Vec<OsString>) -> ExitCode {
    let name = word.to_string_lossy().into_owned();
    if name.is_empty()
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        || name.starts_with('-')
    {
        say(&format!("no tool '{name}' (see stave --help)"));
        return ExitCode::from(2);
    }
    let file = format!("stave-{name}");
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(&file)).filter(|p| p.exists());
    let program = beside.unwrap_or_else(|| PathBuf::from(&file));
    if CLONING.contains(&name.as_str()) && program.is_absolute() {
        let words: Vec<OsString> =
            std::iter::once(OsString::from(&file)).chain(args.iter().cloned()).collect();
        let _ = sys::seal::exec_sealed(&program, &words);
    }
    let error = Command::new(&program).arg0(&file).args(args).exec();
    if error.kind() == std::io::ErrorKind::NotFound {
        say(&format!("no tool '{name}' (see stave --help)"));
        return ExitCode::from(2);
    }
    say(&format!("run {}: {}", program.display(), words(&error)));
    ExitCode::from(126)
}
