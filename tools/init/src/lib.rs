//! Pid 1 for `--init`: it starts the command, reaps every process that is left to it, hands
//! signals on, and ends as the command ends. Without it a workload that ignores its children
//! gathers zombies, and one that has no handler for SIGTERM is deaf to it (pid_namespaces(7)).
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use step::Act;
use sys::io::Signals;
use sys::{process, tty};

/// Be pid 1: start a command, reap its orphans, hand signals on
#[derive(Parser, Debug)]
#[command(name = "stave-init", version)]
pub struct Words {
    /// The command
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

const CHLD: i32 = 17;
/// HUP INT QUIT USR1 USR2 ALRM TERM CONT WINCH: what a workload may be sent.
const FORWARD: [i32; 9] = [1, 2, 3, 10, 12, 14, 15, 18, 28];

/// The main of `stave-init`.
pub fn run(words: &Words) -> Result<u8> {
    let mut numbers = FORWARD.to_vec();
    numbers.push(CHLD);
    let mut signals = Signals::take(&numbers).context("take signals")?;
    if process::pid() != 1 {
        process::subreaper().context("become the reaper of orphans")?;
    }
    match process::fork().context("fork")? {
        process::Side::Child => child(words),
        process::Side::Parent(pid, pidfd) => loop {
            sys::io::poll(&[(std::os::fd::AsFd::as_fd(&signals), false)], -1)?;
            while let Some((number, _)) = signals.waiting()? {
                if number == CHLD {
                    while let Some((gone, exit)) = process::reap() {
                        if gone == pid {
                            return Ok(exit.status() as u8);
                        }
                    }
                } else {
                    let _ = process::signal(&pidfd, number);
                }
            }
        },
    }
}

/// In a process group of its own, which has the terminal: its keys reach the command and not
/// pid 1.
fn child(words: &Words) -> ! {
    let _ = process::lead_group();
    tty::take_foreground(std::io::stdin());
    let env = std::env::vars_os().map(|(k, v)| format!("{}={}", k.to_string_lossy(), v.to_string_lossy()));
    let act = Act::Exec { args: words.command.clone(), env: env.collect(), fds: 3 };
    let status = match act.make() {
        Ok(_) => 125,
        Err(fail) => {
            cli::say("init", &format!("{}: {fail}", act.what()));
            fail.status.unwrap_or(125)
        }
    };
    process::exit_now(status.into())
}
