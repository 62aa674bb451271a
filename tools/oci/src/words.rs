//! The words of the command line: what stands before the verb, and the verbs.

use crate::{
    checkpoint, create, delete, events, exec, features, kill, list, pause, ps, run, spec, start, state,
    update,
};
use clap::{ArgAction, Args, Command, Parser, Subcommand};
use std::path::Path;

/// What `--version` says after the name: a client looks for `runc version X`, then for these lines.
const VERSION: &str = concat!(
    "version ",
    env!("CARGO_PKG_VERSION"),
    "\ncommit: v",
    env!("CARGO_PKG_VERSION"),
    "\nspec: ",
    "1.3.0"
);

/// Open Container Initiative runtime, by runc's command line
#[derive(Parser, Debug)]
#[command(
    name = "stave-oci",
    version = VERSION,
    args_override_self = true,
    disable_version_flag = true,
    arg_required_else_help = true
)]
pub struct Words {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags before the command.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Where the state of containers is kept
    #[arg(long, value_name = "DIR")]
    pub root: Option<String>,
    /// Write errors and warnings to this file too
    #[arg(long, value_name = "FILE")]
    pub log: Option<String>,
    /// How they are written there: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: String,
    /// What is written: error, warning or debug
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Say each step
    #[arg(long)]
    pub debug: bool,
    /// Let systemd make the cgroups
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Who makes the cgroups: cgroupfs, systemd or disabled
    #[arg(long, value_name = "WHO")]
    pub cgroup_manager: Option<String>,
    /// Go on without cgroups where they are not allowed and no limit is asked for: true, false or auto
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub rootless: Option<String>,
    /// Print version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Not supported: save a container that runs
    Checkpoint(checkpoint::Checkpoint),
    /// Make a container; its process waits for its start
    Create(create::Create),
    /// Take away what a container holds
    Delete(delete::Delete),
    /// Print what a container uses, and when its memory runs out
    Events(events::Events),
    /// Run one more process in a container
    Exec(exec::Exec),
    /// Print what this runtime can do, as JSON
    Features(features::Features),
    /// Send a signal to a container's process
    Kill(kill::Kill),
    /// List containers
    List(list::List),
    /// Stop all processes of a container where they are
    Pause(pause::Pause),
    /// List the processes of a container
    Ps(ps::Ps),
    /// Not supported: go on with a container that was saved
    Restore(checkpoint::Restore),
    /// Let the processes of a paused container go on
    Resume(pause::Resume),
    /// Make a container and start it
    Run(run::Run),
    /// Write a config.json to begin with
    Spec(spec::Spec),
    /// Start the process of a container that was created
    Start(start::Start),
    /// Print the state of a container
    State(state::State),
    /// Change the limits of a container
    Update(update::Update),
}

impl Words {
    /// The words with one verb alone, which is quick to make and to read; nothing to tell of errors with.
    pub(crate) fn with(verb: &str) -> Option<Command> {
        let (name, arguments): (&'static str, fn(Command) -> Command) = match verb {
            "checkpoint" => ("checkpoint", checkpoint::Checkpoint::augment_args),
            "create" => ("create", create::Create::augment_args),
            "delete" => ("delete", delete::Delete::augment_args),
            "events" => ("events", events::Events::augment_args),
            "exec" => ("exec", exec::Exec::augment_args),
            "features" => ("features", features::Features::augment_args),
            "kill" => ("kill", kill::Kill::augment_args),
            "list" => ("list", list::List::augment_args),
            "pause" => ("pause", pause::Pause::augment_args),
            "ps" => ("ps", ps::Ps::augment_args),
            "restore" => ("restore", checkpoint::Restore::augment_args),
            "resume" => ("resume", pause::Resume::augment_args),
            "run" => ("run", run::Run::augment_args),
            "spec" => ("spec", spec::Spec::augment_args),
            "start" => ("start", start::Start::augment_args),
            "state" => ("state", state::State::augment_args),
            "update" => ("update", update::Update::augment_args),
            _ => return None,
        };
        let program = Global::augment_args(Command::new("stave-oci").args_override_self(true));
        let program = program.version(VERSION).disable_version_flag(true);
        Some(program.subcommand(arguments(Command::new(name))))
    }
}

impl Verb {
    /// Its name, and the container it is about.
    pub(crate) fn name(&self) -> (&'static str, &str) {
        match self {
            Verb::Checkpoint(w) => ("checkpoint", &w.id),
            Verb::Create(w) => ("create", &w.id),
            Verb::Delete(w) => ("delete", &w.id),
            Verb::Events(w) => ("events", &w.id),
            Verb::Exec(w) => ("exec", &w.id),
            Verb::Features(_) => ("features", ""),
            Verb::Kill(w) => ("kill", &w.id),
            Verb::List(_) => ("list", ""),
            Verb::Pause(w) => ("pause", &w.id),
            Verb::Ps(w) => ("ps", &w.id),
            Verb::Restore(w) => ("restore", &w.id),
            Verb::Resume(w) => ("resume", &w.id),
            Verb::Run(w) => ("run", &w.id),
            Verb::Spec(_) => ("spec", ""),
            Verb::Start(w) => ("start", &w.id),
            Verb::State(w) => ("state", &w.id),
            Verb::Update(w) => ("update", &w.id),
        }
    }
}

/// Where a flag's value is a path, an empty one is none, as engines pass it.
pub(crate) fn path(value: &Option<String>) -> Option<&Path> {
    value.as_deref().filter(|v| !v.is_empty()).map(Path::new)
}
