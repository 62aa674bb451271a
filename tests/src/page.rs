//! One page as roff (man(7)): NAME and SYNOPSIS from clap, DESCRIPTION, OPTIONS from clap, and the
//! rest of the prose.

use crate::{Tool, VERSION};
use anyhow::{Context, Result, ensure};
use clap::{Arg, Command};
use std::fmt::Write;

/// The head; a page with a table tells man(1) to run tbl(1) first.
fn head(title: &str, section: &str, from: &str, body: &str) -> String {
    let tbl = if body.contains("\n.TS\n") { "'\\\" t\n" } else { "" };
    format!(
        "{tbl}.\\\" Made by `make man` from {from}.\n.TH {} {section} \"\" \"Stave {VERSION}\" \"Stave\"\n.nr HY 0\n.nh\n.ad l\n",
        title.to_uppercase().replace('-', "\\-")
    )
}

/// The page of a tool.
pub fn of_tool(tool: &Tool) -> Result<String> {
    let mut command = tool.command.clone();
    command.build();
    let name = command.get_name().to_owned();
    let about = command.get_about().with_context(|| format!("{name} says nothing about itself"))?.to_string();
    let (description, rest) = split(tool.prose).with_context(|| format!("the prose of {name}"))?;

    let source = format!("its --help and tools/{}/page.roff", name.trim_start_matches("stave-"));
    let mut page = head(&name, "1", &source, tool.prose);
    let _ = writeln!(page, ".SH NAME\n{}", escape(&format!("{name} - {about}")));
    page += &synopsis(&mut command);
    page += &escape(description);
    page += ".SH OPTIONS\n";
    page += &options(&command)?;
    page += &verbs(&mut command)?;
    page += &escape(rest);
    Ok(page)
}

/// A page that is prose alone. A head that is there already is made anew.
pub fn of_prose(file: &str, prose: &str) -> Result<String> {
    let (title, section) = file.rsplit_once('.').context("a page has a section")?;
    let at = prose.find(".SH NAME\n").with_context(|| format!("{file} has no NAME"))?;
    let from = if section == "1" { format!("tools/{title}/page.roff") } else { "itself".to_owned() };
    let head = head(title, section, &from, prose);
    Ok(head + &escape(&prose[at..]))
}

/// DESCRIPTION, and all after it.
fn split(prose: &str) -> Result<(&str, &str)> {
    ensure!(prose.starts_with(".SH DESCRIPTION\n"), "it must begin with .SH DESCRIPTION");
    let end = prose[1..].find("\n.SH ").context("nothing comes after DESCRIPTION")?;
    Ok(prose.split_at(end + 2))
}

/// clap's own usage, one line a form.
fn synopsis(command: &mut Command) -> String {
    let usage = command.render_usage().to_string();
    let mut out = ".SH SYNOPSIS\n".to_owned();
    for (n, form) in usage.trim_start_matches("Usage:").lines().map(str::trim).enumerate() {
        // As it is typed: `stave new`, whichever of the two clap shows.
        let form = form.replacen("stave-", "stave ", 1);
        let (stave, rest) = form.split_once(' ').unwrap_or((&form, ""));
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if n > 0 {
            out += ".br\n";
        }
        let _ = writeln!(out, "\\fB{stave} {name}\\fR {}", escape(rest));
    }
    out
}

/// The options, by their headings, which become subsections.
fn options(command: &Command) -> Result<String> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone().mut_args(aliases)).render_options_section(&mut bytes)?;
    let text = String::from_utf8(bytes)?;
    let headings: Vec<&str> = command.get_arguments().filter_map(|a| a.get_help_heading()).collect();
    let mut out = String::new();
    for line in text.lines() {
        // clap_mangen opens every section with the same two definitions.
        if line.starts_with(".ie ") || line.starts_with(".el ") || line == ".SH OPTIONS" {
            continue;
        }
        match line.strip_prefix(".SH ").map(|h| h.trim_matches('"')) {
            None => out += line.trim_end(),
            Some(upper) => {
                let plain = upper.replace("\\-", "-");
                let heading = headings.iter().find(|h| h.to_uppercase() == plain).copied().unwrap_or(upper);
                let _ = write!(out, ".SS \"{}\"", escape(heading));
            }
        }
        out.push('\n');
    }
    Ok(out.replace("\\*(Aq", "\\(aq"))
}

/// clap_mangen leaves other names of a flag out.
fn aliases(arg: Arg) -> Arg {
    let names = arg.get_visible_aliases().unwrap_or_default();
    if names.is_empty() {
        return arg;
    }
    let names: Vec<String> = names.iter().map(|n| format!("--{n}")).collect();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(format!("{help} [also {}]", names.join(", ")))
}

/// The verbs of a tool that has some, each with its options.
fn verbs(command: &mut Command) -> Result<String> {
    let mut out = String::new();
    for verb in command.get_subcommands_mut().filter(|v| v.get_name() != "help") {
        let usage = verb.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").trim().replacen("stave-", "stave ", 1);
        let about = verb.get_about().with_context(|| format!("{usage} says nothing about itself"))?;
        let _ = writeln!(out, ".SS \"{}\"\n{}.", escape(&usage), escape(&about.to_string()));
        let own = verb.clone().mut_args(|a| if a.get_id() == "help" { a.hide(true) } else { a });
        out += &options(&own)?;
    }
    Ok(out)
}

/// Prose as it is written, into roff that renders as ASCII: a `-` becomes `\-`, and in examples
/// the characters that groff would make typographic stay the shell's. Doing it twice is fine.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    let mut example = false;
    for line in text.split_inclusive('\n') {
        if line.starts_with(".\\\"") {
            out += line;
            continue;
        }
        match line.trim_end() {
            ".EX" => example = true,
            ".EE" => example = false,
            _ => {}
        }
        let mut before = ' ';
        for c in line.chars() {
            match c {
                '-' if before != '\\' => out += "\\-",
                '\'' if example => out += "\\(aq",
                '`' if example => out += "\\(ga",
                '^' if example => out += "\\(ha",
                '~' if example => out += "\\(ti",
                c => out.push(c),
            }
            before = c;
        }
    }
    out
}

/// The long flags that the --help of a command and of its verbs shows.
pub fn flags(command: &Command) -> Vec<String> {
    let mut command = command.clone();
    let help = command.render_long_help().to_string();
    let words = help.split(|c: char| c.is_whitespace() || ",.;:()[]<>=|".contains(c));
    let own = words.filter(|w| w.len() > 2 && w.starts_with("--")).map(String::from);
    let verbs = command.get_subcommands().flat_map(flags);
    let mut flags: Vec<String> = own.chain(verbs).collect();
    flags.sort();
    flags.dedup();
    flags
}

/// The pages of Stave that a page's SEE ALSO names, as file names.
pub fn see_also(page: &str) -> Vec<String> {
    let Some(at) = page.find(".SH \"SEE ALSO\"\n") else { return Vec::new() };
    let mut found = Vec::new();
    for line in page[at..].lines().filter_map(|l| l.strip_prefix(".BR ")) {
        let line = line.replace("\\-", "-");
        if let Some((name, rest)) = line.split_once(" (")
            && (name == "stave" || name.starts_with("stave-"))
            && let Some((section, _)) = rest.split_once(')')
        {
            found.push(format!("{name}.{section}"));
        }
    }
    found
}
