//! Doing steps one after another, looked at (`--trace`) or led (`--step`), and taking back what
//! was made when one fails.

use anyhow::{Result, anyhow};
use clap::Args;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use step::{Act, Done, Fail, Fault, Next, Side, Step, Stopped, Watch};

/// The flags that every tool with steps has.
#[derive(Args, Clone, Debug, Default)]
pub struct Drive {
    /// Show the steps as shell that can be run, and do nothing
    #[arg(short = 'n', long, action = clap::ArgAction::Count)]
    pub dry_run: u8,
    /// Print each step on stderr as it is done, with the kernel's answer
    #[arg(long)]
    pub trace: bool,
    /// Stop before each step: look, go on, skip, undo or quit
    #[arg(long)]
    pub step: bool,
}

/// Who does the steps.
pub struct Driver {
    name: &'static str,
    trace: bool,
    ask: Option<(BufReader<File>, File)>,
    total: usize,
}

impl Driver {
    /// For a tool, as its flags say. `--step` talks with the terminal, whatever stdin is.
    pub fn new(name: &'static str, flags: &Drive) -> Result<Driver> {
        let ask = if flags.step {
            let tty = File::options().read(true).write(true).open("/dev/tty");
            let tty = tty.map_err(|_| crate::usage("--step needs a terminal to ask at"))?;
            Some((BufReader::new(tty.try_clone()?), tty))
        } else {
            None
        };
        Ok(Driver { name, trace: flags.trace, ask, total: 0 })
    }

    /// The tool it drives for.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether anybody looks.
    pub fn watches(&self) -> bool {
        self.trace || self.ask.is_some()
    }

    /// How many steps are to come, for the prompt.
    pub fn expect(&mut self, total: usize) {
        self.total = total;
    }

    /// Does the parent's steps in order. On failure, or when told to quit, what this call made is
    /// undone. Gives the indexes of the steps that made something.
    pub fn run(&mut self, steps: &[Step]) -> Result<Vec<usize>> {
        let mine: Vec<usize> = (0..steps.len()).filter(|i| steps[*i].side == Side::Parent).collect();
        self.total = mine.len();
        let mut made: Vec<usize> = Vec::new();
        let mut n = 0;
        while n < mine.len() {
            let act = &steps[mine[n]].act;
            match if self.watches() { self.before(n, act) } else { Next::Go } {
                Next::Go => {}
                Next::Skip => {
                    n += 1;
                    continue;
                }
                Next::Back => {
                    n = n.saturating_sub(1);
                    if made.last() == Some(&mine[n]) {
                        made.pop();
                        steps[mine[n]]
                            .act
                            .undo()
                            .map_err(|e| anyhow!("undo {}: {e}", steps[mine[n]].act.what()))?;
                    }
                    continue;
                }
                Next::Quit => {
                    roll_back(self.name, steps, &made);
                    return Err(Stopped::default().into());
                }
            }
            let result = act.make();
            if self.watches() {
                self.after(n, act, &result);
            }
            match result {
                Ok(Done::Made) => made.push(mine[n]),
                Ok(Done::WasSo) => {}
                Err(e) => {
                    roll_back(self.name, steps, &made);
                    return Err(Fault::new(act, e).into());
                }
            }
            n += 1;
        }
        Ok(made)
    }
}

/// Undoes the steps made, last first. It goes on after errors and says each.
pub fn roll_back(name: &str, steps: &[Step], made: &[usize]) {
    for i in made.iter().rev() {
        if let Err(e) = steps[*i].act.undo() {
            crate::say(name, &format!("undo {}: {e}", steps[*i].act.what()));
        }
    }
}

/// Undoes all the parent's steps, last first; already gone is fine. The errors are gathered.
pub fn undo_all(steps: &[Step]) -> Result<()> {
    let mut errors = Vec::new();
    for s in steps.iter().rev().filter(|s| s.side == Side::Parent) {
        if let Err(e) = s.act.undo() {
            errors.push(format!("undo {}: {e}", s.act.what()));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(anyhow!(errors.join("; "))) }
}

/// HUP INT QUIT TERM.
const ENDING: [i32; 4] = [1, 2, 3, 15];

impl Watch for Driver {
    fn before(&mut self, n: usize, act: &Act) -> Next {
        let Some((from, to)) = &mut self.ask else { return Next::Go };
        loop {
            // A signal is as good an answer: while a child waits for it, none would be heard.
            let Ok(mut held) = sys::io::Held::back(&ENDING) else { return Next::Quit };
            let _ = write!(
                to,
                "{}\r\nstave-{} step {}/{}: [Enter] do  [s]kip  [u]ndo the last  [q]uit > ",
                act.show().replace('\n', "\r\n"),
                self.name,
                n + 1,
                self.total
            );
            let ahead = !from.buffer().is_empty();
            if !ahead && !held.readable(from.get_ref()).unwrap_or(false) {
                let _ = writeln!(to);
                return Next::Quit;
            }
            let mut answer = String::new();
            match from.read_line(&mut answer) {
                Ok(0) | Err(_) => return Next::Quit,
                Ok(_) => {}
            }
            match answer.trim() {
                "" | "d" | "do" | "n" | "y" => return Next::Go,
                "s" | "skip" => return Next::Skip,
                "u" | "undo" if n > 0 => return Next::Back,
                "u" | "undo" => {
                    let _ = writeln!(to, "there is nothing to undo yet");
                }
                "q" | "quit" => return Next::Quit,
                other => {
                    let _ = writeln!(to, "'{other}'? Enter, s, u or q");
                }
            }
        }
    }

    fn after(&mut self, _n: usize, act: &Act, result: &std::result::Result<Done, Fail>) {
        if self.trace || self.ask.is_some() {
            let answer = match result {
                Ok(Done::Made) => "ok".to_owned(),
                Ok(Done::WasSo) => "it was so".to_owned(),
                Err(e) => e.to_string(),
            };
            // On the first line: what follows may be a here-document.
            let shown = act.show();
            let (first, rest) = shown.split_once('\n').unwrap_or((&shown, ""));
            let line = format!("+ {first}  # {answer}\n{rest}");
            let line = line.trim_end_matches('\n');
            match &mut self.ask {
                Some((_, to)) => {
                    let _ = write!(to, "{}\r\n", line.replace('\n', "\r\n"));
                }
                None => eprintln!("{line}"),
            }
        }
    }
}
