//! The command line as runc and crun read it, brought into the form that clap reads: `--flag=true`
//! and `--flag=false` for switches, `--rootless auto`; what follows the id of `ps` is ps's, and from the
//! command of `exec` on all is the command's.

use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;

/// The words after the program's name, brought into form; an error says what is wrong with one.
pub fn formed(command: &Command, words: &[OsString]) -> Result<Vec<OsString>, String> {
    let mut form = Form { command, out: Vec::with_capacity(words.len()), operands: 0 };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        // What is no text is no flag.
        let Some(text) = word.to_str() else {
            form.out.push(word.clone());
            form.operands += 1;
            continue;
        };
        if text == "--" || form.rest_is_operands(text, words.as_slice()) {
            form.out.extend((text != "--").then(|| "--".into()));
            form.out.push(word.clone());
            form.out.extend(words.cloned());
            break;
        }
        match Flag::of(form.command, text) {
            Some(flag) if text.contains('=') => form.joined(&flag, text)?,
            Some(flag) => {
                let optional = flag.arg.is_require_equals_set();
                let next = words.as_slice().first().and_then(|w| w.to_str());
                if optional && next.is_some_and(|w| WHEN.contains(&w)) {
                    form.out.push(format!("{text}={}", next.unwrap_or_default()).into());
                    words.next();
                    continue;
                }
                form.out.push(word.clone());
                if takes_value(flag.arg) && !optional && !flag.has_value {
                    form.out.extend(words.next().cloned());
                }
            }
            None => form.operand(text),
        }
    }
    Ok(form.out)
}

/// The verb among the words after the program's name, found without reading the rest: the first word
/// that is neither a flag nor the value of one.
pub fn verb(words: &[OsString]) -> Option<&str> {
    const WITH_VALUE: [&str; 5] = ["--root", "--log", "--log-format", "--log-level", "--cgroup-manager"];
    let mut words = words.iter().map(|w| w.to_str().unwrap_or_default());
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            if !WHEN.contains(&word) {
                return Some(word);
            }
        } else if WITH_VALUE.contains(&word) {
            words.next();
        }
    }
    None
}

/// The values of `--rootless`.
const WHEN: [&str; 3] = ["true", "false", "auto"];

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

struct Form<'a> {
    /// The program's, then the verb's.
    command: &'a Command,
    out: Vec<OsString>,
    /// How many words of the verb were no flags.
    operands: usize,
}

impl<'a> Form<'a> {
    fn operand(&mut self, text: &str) {
        match self.command.find_subcommand(text) {
            Some(verb) if self.command.has_subcommands() => self.command = verb,
            _ if !text.starts_with('-') => self.operands += 1,
            _ => {}
        }
        self.out.push(text.into());
    }

    /// Whether this word and all after it are another program's.
    fn rest_is_operands(&self, text: &str, rest: &[OsString]) -> bool {
        if self.operands == 0 {
            return false;
        }
        match self.command.get_name() {
            "exec" => return !text.starts_with('-'),
            "ps" => {}
            _ => return false,
        }
        let ours = |v: &str| matches!(v, "json" | "table");
        let next = rest.first().and_then(|w| w.to_str()).unwrap_or_default();
        match text.split_once('=') {
            Some(("--format" | "-f", value)) => !ours(value),
            _ if text.strip_prefix("-f").is_some_and(ours) => false,
            _ => !(matches!(text, "--format" | "-f") && ours(next)),
        }
    }

    /// `--flag=value`: of a switch, the value says whether it is there.
    fn joined(&mut self, flag: &Flag, text: &str) -> Result<(), String> {
        if takes_value(flag.arg) {
            self.out.push(text.into());
            return Ok(());
        }
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => self.out.push(name.into()),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => {}
            _ => return Err(format!("invalid boolean value '{value}' for {name}")),
        }
        Ok(())
    }
}

struct Flag<'a> {
    arg: &'a Arg,
    /// The value stands in the same word: `-bDIR`.
    has_value: bool,
}

impl<'a> Flag<'a> {
    /// The flag that a word is: of several letters in one, the one that may have a value.
    fn of(command: &'a Command, text: &str) -> Option<Flag<'a>> {
        if let Some(name) = text.strip_prefix("--") {
            let name = name.split('=').next().unwrap_or_default();
            let arg = command.get_arguments().find(|a| a.get_long() == Some(name))?;
            return Some(Flag { arg, has_value: text.contains('=') });
        }
        let letters = text.strip_prefix('-').filter(|l| !l.is_empty())?;
        let mut found = None;
        for (at, letter) in letters.char_indices() {
            let Some(arg) = command.get_arguments().find(|a| a.get_short() == Some(letter)) else { break };
            let has_value = letters.len() > at + letter.len_utf8();
            found = Some(Flag { arg, has_value });
            if takes_value(arg) {
                break;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn form(text: &str) -> Result<String, String> {
        let words: Vec<OsString> = text.split(' ').map(OsString::from).collect();
        let out = formed(&crate::Words::command(), &words)?;
        Ok(out.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn forms() {
        for (given, formed) in [
            ("--root=/r create --no-pivot=true a", "--root=/r create --no-pivot a"),
            ("--debug=false run -d=false a -b x", "run a -b x"),
            ("--rootless auto state a", "--rootless=auto state a"),
            ("--rootless state a", "--rootless state a"),
            ("ps a -ef", "ps a -- -ef"),
            ("ps a -f json", "ps a -f json"),
            ("ps a --format=pid", "ps a -- --format=pid"),
            ("ps -f json a", "ps -f json a"),
            ("exec -tu 1 a ls --tty=x", "exec -tu 1 a -- ls --tty=x"),
            ("exec -e A=1 --tty=false a ls", "exec -e A=1 a -- ls"),
            ("exec a --tty=true ls", "exec a --tty -- ls"),
        ] {
            assert_eq!(form(given).as_deref(), Ok(formed), "{given}");
        }
        assert!(form("run --keep=maybe a").is_err());
    }

    #[test]
    fn verbs() {
        let find = |text: &str| {
            let words: Vec<OsString> = text.split(' ').map(OsString::from).collect();
            verb(&words).map(String::from)
        };
        assert_eq!(find("--root create state x").as_deref(), Some("state"));
        assert_eq!(find("--root=x --rootless auto run x").as_deref(), Some("run"));
        assert_eq!(find("--version"), None);
    }
}
