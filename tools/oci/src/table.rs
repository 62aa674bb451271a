//! Every flag of runc's and crun's command lines, in every form in which a client may write it. A flag
//! that is here and not in the words, or the other way round, is an error.

use crate::Words;
use crate::args::formed;
use clap::{ArgMatches, CommandFactory};
use std::ffi::OsString;

/// Verb (empty: before it), long name, letter, an example of its value (empty: a switch), whose it is
/// (runc's, crun's that runc lacks, ours), and where its effect is tested.
type Flag = (&'static str, &'static str, Option<char>, &'static str, char, &'static str);

/// Nothing but that it is taken.
const PARSE: &str = "parse";

const FLAGS: &[Flag] = &[
    ("", "root", None, "/r", 'r', "451 and all others"),
    ("", "log", None, "/l", 'r', "452"),
    ("", "log-format", None, "json", 'r', "452"),
    ("", "log-level", None, "debug", 'c', "452"),
    ("", "debug", None, "", 'r', "452"),
    ("", "systemd-cgroup", None, "", 'r', "452"),
    ("", "cgroup-manager", None, "cgroupfs", 'c', "452"),
    ("", "rootless", None, "=auto", 'r', "452"),
    ("create", "bundle", Some('b'), "/b", 'r', "451"),
    ("create", "config", Some('f'), "c.json", 'c', "451"),
    ("create", "console-socket", None, "/s", 'r', "453"),
    ("create", "pidfd-socket", None, "/s", 'r', "453"),
    ("create", "pid-file", None, "/p", 'r', "451"),
    ("create", "no-pivot", None, "", 'r', "402"),
    ("create", "no-new-keyring", None, "", 'r', "451"),
    ("create", "preserve-fds", None, "2", 'r', "451"),
    ("create", "no-subreaper", None, "", 'c', PARSE),
    ("run", "bundle", Some('b'), "/b", 'r', "451"),
    ("run", "config", Some('f'), "c.json", 'c', "451"),
    ("run", "console-socket", None, "/s", 'r', "453"),
    ("run", "pidfd-socket", None, "/s", 'r', "453"),
    ("run", "pid-file", None, "/p", 'r', "451"),
    ("run", "detach", Some('d'), "", 'r', "451"),
    ("run", "keep", None, "", 'r', "451"),
    ("run", "no-subreaper", None, "", 'r', "453"),
    ("run", "no-pivot", None, "", 'r', "402"),
    ("run", "no-new-keyring", None, "", 'r', "451"),
    ("run", "preserve-fds", None, "2", 'r', "451"),
    ("exec", "console-socket", None, "/s", 'r', "453"),
    ("exec", "pidfd-socket", None, "/s", 'r', "453"),
    ("exec", "pid-file", None, "/p", 'r', "454"),
    ("exec", "cwd", None, "/tmp", 'r', "454"),
    ("exec", "env", Some('e'), "A=b,c", 'r', "454"),
    ("exec", "tty", Some('t'), "", 'r', "453"),
    ("exec", "user", Some('u'), "1:2", 'r', "454"),
    ("exec", "additional-gids", Some('g'), "7", 'r', "454"),
    ("exec", "process", Some('p'), "p.json", 'r', "454"),
    ("exec", "detach", Some('d'), "", 'r', "454"),
    ("exec", "process-label", None, "l", 'r', "454"),
    ("exec", "apparmor", None, "p", 'r', "454"),
    ("exec", "no-new-privs", None, "=true", 'r', "454"),
    ("exec", "cap", Some('c'), "CAP_KILL", 'r', "454"),
    ("exec", "preserve-fds", None, "1", 'r', "454"),
    ("exec", "cgroup", None, "cpu,cpuacct:a", 'r', "454"),
    ("exec", "ignore-paused", None, "", 'r', "455"),
    ("kill", "all", Some('a'), "", 'r', "455"),
    ("delete", "force", Some('f'), "", 'r', "451"),
    ("list", "format", Some('f'), "json", 'r', "451"),
    ("list", "quiet", Some('q'), "", 'r', "451"),
    ("ps", "format", Some('f'), "json", 'r', "455"),
    ("events", "interval", None, "5s", 'r', "455"),
    ("events", "stats", None, "", 'r', "455"),
    ("update", "resources", Some('r'), "-", 'r', "455"),
    ("update", "blkio-weight", None, "10", 'r', PARSE),
    ("update", "cpu-period", None, "100000", 'r', "455"),
    ("update", "cpu-quota", None, "-1", 'r', "455"),
    ("update", "cpu-burst", None, "0", 'r', PARSE),
    ("update", "cpu-share", None, "100", 'r', "455"),
    ("update", "cpu-rt-period", None, "1", 'r', PARSE),
    ("update", "cpu-rt-runtime", None, "1", 'r', PARSE),
    ("update", "cpu-idle", None, "1", 'r', PARSE),
    ("update", "cpuset-cpus", None, "0-1", 'r', "455"),
    ("update", "cpuset-mems", None, "0", 'r', "455"),
    ("update", "kernel-memory", None, "1", 'r', "455"),
    ("update", "kernel-memory-tcp", None, "1", 'r', PARSE),
    ("update", "memory", None, "-1", 'r', "455"),
    ("update", "memory-reservation", None, "1m", 'r', "455"),
    ("update", "memory-swap", None, "-1", 'r', PARSE),
    ("update", "pids-limit", None, "-1", 'r', "455"),
    ("update", "l3-cache-schema", None, "L3:0=f", 'r', "455"),
    ("update", "mem-bw-schema", None, "MB:0=20", 'r', "455"),
    ("spec", "bundle", Some('b'), "/b", 'r', "451"),
    ("spec", "file", Some('f'), "x.json", 'c', "451"),
    ("spec", "rootless", None, "", 'r', "451"),
    ("checkpoint", "image-path", None, "/i", 'r', "455"),
    ("checkpoint", "work-path", None, "/w", 'r', PARSE),
    ("checkpoint", "parent-path", None, "/p", 'r', PARSE),
    ("checkpoint", "leave-running", None, "", 'r', PARSE),
    ("checkpoint", "tcp-established", None, "", 'r', PARSE),
    ("checkpoint", "tcp-skip-in-flight", None, "", 'r', PARSE),
    ("checkpoint", "link-remap", None, "", 'r', PARSE),
    ("checkpoint", "ext-unix-sk", None, "", 'r', PARSE),
    ("checkpoint", "shell-job", None, "", 'r', PARSE),
    ("checkpoint", "lazy-pages", None, "", 'r', PARSE),
    ("checkpoint", "status-fd", None, "3", 'r', PARSE),
    ("checkpoint", "page-server", None, "h:1", 'r', PARSE),
    ("checkpoint", "file-locks", None, "", 'r', PARSE),
    ("checkpoint", "pre-dump", None, "", 'r', PARSE),
    ("checkpoint", "manage-cgroups-mode", None, "soft", 'r', PARSE),
    ("checkpoint", "empty-ns", None, "network", 'r', PARSE),
    ("checkpoint", "auto-dedup", None, "", 'r', PARSE),
    ("checkpoint", "network-lock", None, "nftables", 'c', PARSE),
    ("restore", "console-socket", None, "/s", 'r', PARSE),
    ("restore", "image-path", None, "/i", 'r', "455"),
    ("restore", "work-path", None, "/w", 'r', PARSE),
    ("restore", "tcp-established", None, "", 'r', PARSE),
    ("restore", "ext-unix-sk", None, "", 'r', PARSE),
    ("restore", "shell-job", None, "", 'r', PARSE),
    ("restore", "file-locks", None, "", 'r', PARSE),
    ("restore", "manage-cgroups-mode", None, "soft", 'r', PARSE),
    ("restore", "bundle", Some('b'), "/b", 'r', PARSE),
    ("restore", "detach", Some('d'), "", 'r', PARSE),
    ("restore", "pid-file", None, "/p", 'r', PARSE),
    ("restore", "no-subreaper", None, "", 'r', PARSE),
    ("restore", "no-pivot", None, "", 'r', PARSE),
    ("restore", "empty-ns", None, "network", 'r', PARSE),
    ("restore", "auto-dedup", None, "", 'r', PARSE),
    ("restore", "lazy-pages", None, "", 'r', PARSE),
    ("restore", "lsm-profile", None, "apparmor:x", 'r', PARSE),
    ("restore", "lsm-mount-context", None, "x", 'r', PARSE),
    ("restore", "tcp-close", None, "", 'c', PARSE),
    ("restore", "network-lock", None, "nftables", 'c', PARSE),
];

/// Verbs without an operand.
const ALONE: [&str; 3] = ["list", "spec", "features"];

fn parsed(words: &[String]) -> Result<ArgMatches, String> {
    let command = Words::command();
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let all = std::iter::once("stave-oci".into()).chain(formed(&command, &words)?);
    command.try_get_matches_from(all).map_err(|e| e.to_string())
}

/// The words for a flag in one form, and for nothing else that its verb does not need.
fn line(verb: &str, flag: &[&str], after: bool) -> Vec<String> {
    let flag: Vec<String> = flag.iter().map(|w| w.to_string()).collect();
    let id = || (!ALONE.contains(&verb)).then(|| "ctr".to_owned());
    match (verb, after) {
        ("", _) => [flag, vec!["state".into(), "ctr".into()]].concat(),
        (_, true) => [vec![verb.to_owned()], id().into_iter().collect(), flag].concat(),
        (_, false) => [vec![verb.to_owned()], flag, id().into_iter().collect()].concat(),
    }
}

fn value(matches: &ArgMatches, verb: &str, name: &str) -> Option<String> {
    let id = name.replace('-', "_");
    let matches = if verb.is_empty() { matches } else { matches.subcommand_matches(verb)? };
    let mut raw = matches.get_raw(&id)?;
    raw.next().map(|v| v.to_string_lossy().into_owned())
}

#[test]
fn every_flag_in_every_form() {
    for (verb, name, letter, example, ..) in FLAGS {
        let long = format!("--{name}");
        let short = letter.map(|l| format!("-{l}"));
        let optional = example.starts_with('=');
        let example = example.trim_start_matches('=');
        let mut forms: Vec<(Vec<String>, &str)> = Vec::new();
        if example.is_empty() {
            forms.push((vec![long.clone()], "true"));
            forms.push((vec![format!("{long}=true")], "true"));
            forms.push((vec![format!("{long}=false")], "false"));
            forms.extend(short.map(|s| (vec![s], "true")));
        } else {
            forms.push((vec![format!("{long}={example}")], example));
            if optional {
                forms.push((vec![long.clone()], "true"));
            } else {
                forms.push((vec![long.clone(), example.into()], example));
            }
            if let Some(short) = short {
                forms.push((vec![short.clone(), example.into()], example));
                forms.push((vec![format!("{short}{example}")], example));
            }
        }
        for (form, wanted) in forms {
            let form: Vec<&str> = form.iter().map(String::as_str).collect();
            for after in [false, true] {
                // What follows the id of ps is ps's own, unless it can only be meant for us.
                let line = line(verb, &form, after);
                let matches = parsed(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
                let got = value(&matches, verb, name).unwrap_or_else(|| "false".into());
                assert_eq!(got, *wanted, "{line:?}");
            }
        }
    }
}

#[test]
fn a_verb_alone_has_the_same_words() {
    let words = |c: &clap::Command| c.get_arguments().map(|a| format!("{a:?}")).collect::<Vec<_>>();
    let whole = Words::command();
    for verb in whole.get_subcommands() {
        let alone = Words::with(verb.get_name()).unwrap_or_else(|| panic!("{}", verb.get_name()));
        alone.clone().debug_assert();
        assert_eq!(words(&alone), words(&whole));
        assert_eq!(alone.get_subcommands().map(words).collect::<Vec<_>>(), [words(verb)]);
    }
    assert!(Words::with("frobnicate").is_none());
}

#[test]
fn no_other_flag() {
    let command = Words::command();
    let verbs = std::iter::once(("", &command)).chain(command.get_subcommands().map(|c| (c.get_name(), c)));
    for (verb, command) in verbs {
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            if matches!(long, "help" | "version") {
                continue;
            }
            let row = FLAGS.iter().find(|(v, name, ..)| *v == verb && *name == long);
            let Some((_, _, letter, ..)) = row else { panic!("{verb} --{long} is not in the table") };
            assert_eq!(arg.get_short(), *letter, "{verb} --{long}");
        }
    }
}

#[test]
fn the_last_of_two_counts() {
    let words = ["--root=/a", "--root", "/b", "run", "-b", "x", "ctr", "--bundle=y"].map(String::from);
    let matches = parsed(&words).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(matches.get_raw("root").and_then(|mut v| v.next()), Some("/b".as_ref()));
    assert_eq!(value(&matches, "run", "bundle").as_deref(), Some("y"));
}

#[test]
fn what_is_wrong() {
    for line in [
        &["create", "--nope", "ctr"][..],
        &["create"],
        &["create", "a", "b"],
        &["frobnicate"],
        &["run", "--preserve-fds", "x", "ctr"],
        &["--nope", "state", "ctr"],
    ] {
        let words: Vec<String> = line.iter().map(|w| w.to_string()).collect();
        assert!(parsed(&words).is_err(), "{line:?}");
    }
}
