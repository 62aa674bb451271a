//! Flags that were parsed, as words again: `run -n` shows the pipeline that it stands for.

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, Command};
use step::quote;

/// Those of the flags of `S` that were given, quoted for a shell; each begins with a space.
pub fn words<S: Args>(matches: &ArgMatches) -> String {
    let command = S::augment_args(Command::new("words"));
    let mut out = String::new();
    for arg in command.get_arguments().filter(|a| !a.is_positional()) {
        let id = arg.get_id().as_str();
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let flag = match (arg.get_short(), arg.get_long()) {
            (Some(c), _) => format!("-{c}"),
            (None, Some(long)) => format!("--{long}"),
            (None, None) => continue,
        };
        if matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count) {
            out += &format!(" {flag}");
            continue;
        }
        for value in matches.get_raw(id).into_iter().flatten() {
            let value = quote(&value.to_string_lossy());
            let between = if value.starts_with('-') { "=" } else { " " };
            out += &format!(" {flag}{between}{value}");
        }
    }
    out
}
