//! checkpoint and restore: their words are known, and answered in one clear sentence. They would be
//! CRIU's work, which this runtime does not drive.

use crate::words;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::Path;

/// The words of `checkpoint`.
#[derive(Args, Debug)]
#[allow(dead_code)] // they are taken, and nothing is done
pub struct Checkpoint {
    #[command(flatten)]
    images: Images,
    /// Images of an earlier pre-dump
    #[arg(long, value_name = "DIR")]
    parent_path: Option<String>,
    /// The container goes on
    #[arg(long)]
    leave_running: bool,
    /// Leave out connections that are being made
    #[arg(long)]
    tcp_skip_in_flight: bool,
    /// Link unlinked files back where that is possible
    #[arg(long)]
    link_remap: bool,
    /// Told once pages can be asked for
    #[arg(long, value_name = "FD")]
    status_fd: Option<i32>,
    /// Where pages are sent
    #[arg(long, value_name = "ADDRESS:PORT")]
    page_server: Option<String>,
    /// The memory alone
    #[arg(long)]
    pre_dump: bool,
    /// How the network is held meanwhile
    #[arg(long, value_name = "METHOD")]
    network_lock: Option<String>,
    /// The container
    pub id: String,
}

/// The words of `restore`.
#[derive(Args, Debug)]
#[allow(dead_code)] // they are taken, and nothing is done
pub struct Restore {
    #[command(flatten)]
    images: Images,
    /// The bundle's directory
    #[arg(short = 'b', long, value_name = "DIR")]
    bundle: Option<String>,
    /// A unix socket that gets the terminal's master
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<String>,
    /// Where to write the process's pid
    #[arg(long, value_name = "FILE")]
    pid_file: Option<String>,
    /// Do not wait for its end
    #[arg(short = 'd', long)]
    detach: bool,
    /// Do not adopt orphans
    #[arg(long)]
    no_subreaper: bool,
    /// Change the root without pivot_root(2)
    #[arg(long)]
    no_pivot: bool,
    /// Close the connections
    #[arg(long)]
    tcp_close: bool,
    /// TYPE:NAME of the security module's profile
    #[arg(long, value_name = "PROFILE")]
    lsm_profile: Option<String>,
    /// The security module's context of mounts
    #[arg(long, value_name = "CONTEXT")]
    lsm_mount_context: Option<String>,
    /// How the network is held meanwhile
    #[arg(long, value_name = "METHOD")]
    network_lock: Option<String>,
    /// The container
    pub id: String,
}

/// What both have.
#[derive(Args, Debug)]
#[allow(dead_code)] // they are taken, and nothing is done
struct Images {
    /// Where the images are
    #[arg(long, value_name = "DIR")]
    image_path: Option<String>,
    /// Where logs and other files are
    #[arg(long, value_name = "DIR")]
    work_path: Option<String>,
    /// With its connections
    #[arg(long)]
    tcp_established: bool,
    /// With unix sockets of others
    #[arg(long)]
    ext_unix_sk: bool,
    /// Although it is a shell's job
    #[arg(long)]
    shell_job: bool,
    /// Pages as they are needed
    #[arg(long)]
    lazy_pages: bool,
    /// With its file locks
    #[arg(long)]
    file_locks: bool,
    /// What of the cgroups: soft, full, strict or ignore
    #[arg(long, value_name = "MODE")]
    manage_cgroups_mode: Option<String>,
    /// A namespace that begins empty
    #[arg(long, value_name = "KIND")]
    empty_ns: Vec<String>,
    /// Each page once
    #[arg(long)]
    auto_dedup: bool,
}

/// checkpoint: what is wrong in its words is told before what is not to be had at all.
pub fn checkpoint(words: &Checkpoint) -> Result<u8> {
    if let Some(parent) = words::path(&words.parent_path) {
        // As criu takes it: from the images' own directory.
        if parent.is_absolute() {
            bail!("--parent-path must be relative: {}", parent.display());
        }
        let at = words::path(&words.images.image_path).unwrap_or(Path::new("checkpoint")).join(parent);
        let meta = std::fs::metadata(&at).with_context(|| format!("--parent-path: {}", at.display()))?;
        if !meta.is_dir() {
            bail!("--parent-path: {}: not a directory", at.display());
        }
    }
    refuse("checkpoint")
}

/// Both verbs.
pub fn refuse(verb: &str) -> Result<u8> {
    bail!("{verb} is not supported: it would need criu, which this runtime does not use")
}
