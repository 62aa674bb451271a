//! What the two sides of a clone say to each other, one message each.

use serde::{Deserialize, Serialize};
use step::{Act, Fail, Fault};
use sys::Errno;

/// From the child to its parent, or to whoever starts it later.
#[derive(Debug, Deserialize, Serialize)]
pub enum Message {
    /// What about step `n`? `g`o, `s`kip, `b`ack or `q`uit is the answer.
    Ask { n: usize },
    /// Step `n` is the parent's: any answer means that it is done.
    Hand { n: usize },
    /// Step `n` was done, or was so already, or (with a text) failed.
    Did { n: usize, so: bool, text: String },
    /// The master of the terminal comes beside this message.
    Master,
    /// The filter that asks somebody is loaded now, and its listener has this number here; any answer.
    Listener { number: i32 },
    /// This process goes on as `pid`, whose pidfd comes beside; any answer to that one.
    Again { pid: i32 },
    /// Everything is made; it waits for its start.
    Made,
    /// It was told to start, and its hooks have run: an end of the talk means exec from here on.
    Going,
    /// Stopped because it was told to.
    Quit,
    /// The end: step `n`, or what it was where the reader does not know the steps.
    Failed { n: usize, act: Option<Box<Act>>, errno: i32, why: Option<String>, status: Option<u8> },
}

/// A message is received in one buffer of this size.
const LIMIT: usize = 8000;

impl Message {
    /// Of a step that failed. An exec's environment stays out.
    pub fn failed(act: &Act, n: usize, fail: &Fail) -> Message {
        let short = match act {
            Act::Exec { args, fds, .. } => {
                Act::Exec { args: args.iter().take(1).cloned().collect(), env: Vec::new(), fds: *fds }
            }
            Act::LookUp { args, .. } => {
                Act::LookUp { args: args.iter().take(1).cloned().collect(), env: Vec::new() }
            }
            other => other.clone(),
        };
        let why = fail.why.as_ref().map(|w| w.chars().take(1000).collect());
        let (errno, status) = (fail.errno.0, fail.status);
        let whole = Message::Failed { n, act: Some(Box::new(short)), errno, why: fail.why.clone(), status };
        if bytes(&whole).len() < LIMIT {
            return whole;
        }
        Message::Failed { n, act: None, errno, why, status }
    }

    /// The fault that it tells of; `known`: the step, where the message does not say.
    pub fn fault(self, known: impl Fn(usize) -> Option<Act>) -> Option<Fault> {
        let Message::Failed { n, act, errno, why, status } = self else { return None };
        let act = act.map(|a| *a).or_else(|| known(n))?;
        Some(Fault::new(&act, Fail { errno: Errno(errno), why, status }))
    }
}

/// As it is sent: one line.
pub fn bytes(message: &Message) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(message).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
