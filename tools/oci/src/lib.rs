//! A front door with runc's command line: what engines call to make, start and end containers of
//! bundles that they have made (runtime.md of the OCI runtime specification, and runc(8)).
#![forbid(unsafe_code)]

mod container;
mod create;
mod delete;
mod kill;
mod launch_run;
mod start;
mod state;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use container::Container;
use std::path::PathBuf;

/// Run OCI bundles, by runc's command line
#[derive(Parser, Debug)]
#[command(name = "stave-oci", version)]
pub struct Words {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags before the command.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Where the state of containers is kept
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Write errors to this file too
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: String,
    /// Say more
    #[arg(long)]
    debug: bool,
    /// Let systemd make the cgroups
    #[arg(long)]
    systemd_cgroup: bool,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Make a container; its process waits for its start
    Create {
        #[command(flatten)]
        making: Making,
        /// The container
        id: String,
    },
    /// Start the process of a container that was created
    Start {
        /// The container
        id: String,
    },
    /// Make a container and start it
    Run {
        #[command(flatten)]
        making: Making,
        /// Do not wait for its end
        #[arg(short = 'd', long)]
        detach: bool,
        /// Keep the container after its end
        #[arg(long)]
        keep: bool,
        /// The container
        id: String,
    },
    /// Print the state of a container
    State {
        /// The container
        id: String,
    },
    /// Send a signal to a container's process
    Kill {
        /// To all its processes
        #[arg(short = 'a', long)]
        all: bool,
        /// The container
        id: String,
        /// Name or number
        #[arg(default_value = "TERM")]
        signal: String,
    },
    /// Take away what a container holds
    Delete {
        /// Also one that runs; and none is fine
        #[arg(short = 'f', long)]
        force: bool,
        /// The container
        id: String,
    },
}

/// How a container is made.
#[derive(Args, Clone, Debug)]
pub struct Making {
    /// The bundle's directory
    #[arg(short = 'b', long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// Where to write the process's pid
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// A unix socket that gets the terminal's master
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// A unix socket that gets the process's pidfd
    #[arg(long, value_name = "SOCKET")]
    pidfd_socket: Option<PathBuf>,
    /// This many more descriptors, from 3 on, are handed on
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
}

/// The main of `stave oci`.
pub fn run(words: &Words) -> Result<u8> {
    let at = |id: &str| Container::new(words.global.root.as_deref(), id);
    match &words.verb {
        Verb::Create { making, id } => create::create(&at(id)?, making),
        Verb::Start { id } => start::start(&at(id)?),
        Verb::Run { making, detach, keep, id } => launch_run::run(&at(id)?, making, *detach, *keep),
        Verb::State { id } => state::state(&at(id)?),
        Verb::Kill { all, id, signal } => kill::kill(&at(id)?, signal, *all),
        Verb::Delete { force, id } => delete::delete(&at(id)?, *force),
    }
}
