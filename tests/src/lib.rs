//! Every tool's page: OPTIONS from the same clap command that parses its words, the prose from the
//! file beside the tool, so that neither can drift from the other unseen.
#![forbid(unsafe_code)]

mod page;

pub use page::{escape, flags, see_also};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use std::fs;
use std::path::Path;

/// The version in the head of every page; the only thing there that changes, so that pages are
/// the same whenever they are made.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One tool: what parses its words, and what is said about it.
pub struct Tool {
    /// `stave-new`.
    pub command: Command,
    /// tools/X/page.roff.
    pub prose: &'static str,
}

macro_rules! tools {
    ($($name:literal: $command:expr),* $(,)?) => {
        vec![$(Tool {
            command: $command,
            prose: include_str!(concat!("../../tools/", $name, "/page.roff")),
        }),*]
    };
}

/// All tools but the dispatcher, which has no flags of its own.
pub fn tools() -> Vec<Tool> {
    tools! {
        "diff": stave_diff::Words::command(),
        "exec": stave_exec::Words::command(),
        "export": stave_export::Words::command(),
        "images": stave_images::Words::command(),
        "import": stave_import::Words::command(),
        "init": stave_init::Words::command(),
        "inspect": stave_inspect::Words::command(),
        "join": stave_join::Words::command(),
        "keep": stave_keep::Words::command(),
        "kill": stave_kill::Words::command(),
        "limit": cli::command::<stave_limit::Limit>(),
        "load": stave_load::Words::command(),
        "login": stave_login::Words::command(),
        "logout": stave_logout::Words::command(),
        "mount": cli::command::<stave_mount::Mount>(),
        "new": stave_new::Words::command(),
        "ns": cli::command::<stave_ns::Ns>(),
        "oci": stave_oci::Words::command(),
        "pack": stave_pack::Words::command(),
        "pause": stave_pause::Words::command(),
        "ps": stave_ps::Words::command(),
        "pull": stave_pull::Words::command(),
        "push": stave_push::Words::command(),
        "resume": stave_resume::Words::command(),
        "rm": stave_rm::Words::command(),
        "run": stave_run::Words::command(),
        "save": stave_save::Words::command(),
        "spawn": stave_spawn::Words::command(),
        "stat": stave_stat::Words::command(),
        "step": stave_step::Words::command(),
        "unpack": stave_unpack::Words::command(),
        "wait": stave_wait::Words::command(),
    }
}

/// Pages that are prose alone: file name, and text without its head.
const PROSE: [(&str, &str); 3] = [
    ("stave.1", include_str!("../../tools/stave/page.roff")),
    ("stave.7", include_str!("../../man/stave.7")),
    ("stave-document.7", include_str!("../../man/stave-document.7")),
];

/// Every page: (file name, text).
pub fn pages() -> Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    for tool in tools() {
        pages.push((format!("{}.1", tool.command.get_name()), page::of_tool(&tool)?));
    }
    for (file, prose) in PROSE {
        pages.push((file.to_owned(), page::of_prose(file, prose)?));
    }
    Ok(pages)
}

/// Writes every page below `dir`.
pub fn man(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("make directory {}", dir.display()))?;
    for (file, text) in pages()? {
        let path = dir.join(file);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Writes completions for every `stave-X`, and for `stave X`, below `dir`.
pub fn completions(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("make directory {}", dir.display()))?;
    let mut commands: Vec<Command> = tools().into_iter().map(|t| t.command).collect();
    let short = |c: &Command| {
        let name: &'static str = c.get_name().trim_start_matches("stave-").to_owned().leak();
        c.clone().name(name)
    };
    let all: Vec<Command> = commands.iter().map(short).collect();
    commands.push(Command::new("stave").version(VERSION).subcommands(all));
    for command in &mut commands {
        let name = command.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            generate_to(shell, command, &name, dir).with_context(|| format!("complete {name}"))?;
        }
    }
    Ok(())
}
