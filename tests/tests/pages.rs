//! The committed pages are those that the tools' own words make, and nothing in them dangles.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn man() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../man")
}

#[test]
fn committed_pages_are_as_made() {
    for (file, text) in pages::pages().unwrap() {
        let there = fs::read_to_string(man().join(&file)).unwrap_or_default();
        assert!(there == text, "man/{file} is not what the tools say now: run `make man`");
    }
}

#[test]
fn no_page_is_left_over() {
    let made: HashSet<String> = pages::pages().unwrap().into_iter().map(|(file, _)| file).collect();
    for entry in fs::read_dir(man()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".1") || name.ends_with(".7") {
            assert!(made.contains(&name), "man/{name} belongs to no tool");
        }
    }
}

#[test]
fn every_tool_has_a_page() {
    let made: HashSet<String> = pages::pages().unwrap().into_iter().map(|(file, _)| file).collect();
    for entry in fs::read_dir(man().join("../tools")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let page = if name == "stave" { "stave.1".to_owned() } else { format!("stave-{name}.1") };
        assert!(made.contains(&page), "tools/{name} has no page");
    }
}

#[test]
fn every_flag_stands_in_its_page() {
    let pages = pages::pages().unwrap();
    for tool in pages::tools() {
        let file = format!("{}.1", tool.command.get_name());
        let text = &pages.iter().find(|(f, _)| *f == file).unwrap().1;
        for flag in pages::flags(&tool.command) {
            assert!(text.contains(&pages::escape(&flag)), "{file} does not say {flag}");
        }
    }
}

#[test]
fn see_also_names_pages_that_are_there() {
    let pages = pages::pages().unwrap();
    for (file, text) in &pages {
        let named = pages::see_also(text);
        assert!(!named.is_empty(), "{file} names no other page");
        for page in named {
            assert!(pages.iter().any(|(f, _)| *f == page), "{file} names {page}, which is not there");
            assert_ne!(page, *file, "{file} names itself");
        }
    }
}

#[test]
fn every_page_has_its_sections() {
    for (file, text) in pages::pages().unwrap() {
        for section in ["NAME", "DESCRIPTION", "EXAMPLES", "\"SEE ALSO\""] {
            assert!(text.contains(&format!("\n.SH {section}\n")), "{file} has no {section}");
        }
        assert!(text.lines().any(|l| l.starts_with("$ ")), "{file} shows no example");
        let long = text.lines().find(|l| l.len() > 300 && !l.starts_with("$ ") && !l.contains(' '));
        assert_eq!(long, None, "{file}");
    }
}

#[test]
fn rendering_twice_changes_nothing() {
    let text = "a-b \\-c\n.EX\n$ echo 'x' `y` ~ ^\n.EE\n";
    let once = pages::escape(text);
    assert_eq!(once, "a\\-b \\-c\n.EX\n$ echo \\(aqx\\(aq \\(gay\\(ga \\(ti \\(ha\n.EE\n");
    assert_eq!(pages::escape(&once), once);
}

#[test]
fn completions_know_every_tool() {
    let dir = std::env::temp_dir().join(format!("stave-completions-{}", std::process::id()));
    pages::completions(&dir).unwrap();
    for file in ["stave.bash", "_stave", "stave.fish"] {
        let text = fs::read_to_string(dir.join(file)).unwrap();
        for tool in pages::tools() {
            let name = tool.command.get_name().trim_start_matches("stave-").to_owned();
            assert!(text.contains(&name), "{file} does not know {name}");
        }
    }
    for entry in fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()) {
        if entry.extension().is_some_and(|e| e == "bash") {
            let out = Command::new("bash").arg("-n").arg(&entry).output();
            assert!(out.is_ok_and(|o| o.status.success()), "{}", entry.display());
        }
    }
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn groff_has_no_complaint() {
    let there = |program: &str| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !there("groff") {
        println!("skipped: no groff");
        return;
    }
    for (file, _) in pages::pages().unwrap() {
        let path = man().join(&file);
        // -t: tbl.
        let out =
            Command::new("groff").args(["-ww", "-t", "-man", "-Tutf8", "-z"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "groff of {file}:\n{said}");
    }
}
