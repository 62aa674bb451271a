//! `process` (config.md, Process).

use super::{Result, absolute, one_of, variables, word};
use crate::sched::Scheduler;
use crate::{Doc, shape};
use serde_json::Value;

const RLIMITS: [&str; 16] = [
    "RLIMIT_AS",
    "RLIMIT_CORE",
    "RLIMIT_CPU",
    "RLIMIT_DATA",
    "RLIMIT_FSIZE",
    "RLIMIT_LOCKS",
    "RLIMIT_MEMLOCK",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_NOFILE",
    "RLIMIT_NPROC",
    "RLIMIT_RSS",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
    "RLIMIT_SIGPENDING",
    "RLIMIT_STACK",
];

pub(super) fn check(doc: &Doc) -> Result {
    if let Some(cwd) = doc.text("/process/cwd") {
        absolute("/process/cwd", cwd)?;
    }
    variables("/process/env", doc.get("/process/env"))?;
    doc.user()?;
    rlimits(doc)?;
    if let Some(score) = doc.read::<i64>("/process/oomScoreAdj")?
        && !(-1000..=1000).contains(&score)
    {
        return Err(shape("/process/oomScoreAdj", "not from -1000 to 1000"));
    }
    scheduler(doc)?;
    if let Some(io) = doc.get("/process/ioPriority") {
        let at = "/process/ioPriority";
        let classes = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];
        one_of("/process/ioPriority/class", word(io, at, "class")?, &classes)?;
        if !(0..=7).contains(&io.get("priority").and_then(Value::as_i64).unwrap_or(0)) {
            return Err(shape("/process/ioPriority/priority", "not from 0 to 7"));
        }
    }
    doc.exec_affinity().map(drop)
}

fn rlimits(doc: &Doc) -> Result {
    let mut seen = Vec::new();
    for (n, limit) in doc.list("/process/rlimits").iter().enumerate() {
        let at = format!("/process/rlimits/{n}");
        let kind = word(limit, &at, "type")?;
        one_of(&format!("{at}/type"), kind, &RLIMITS)?;
        if seen.contains(&kind) {
            return Err(shape(&at, &format!("a second {kind}")));
        }
        seen.push(kind);
        let value = |key: &str| limit.get(key).and_then(Value::as_u64);
        let value = |key: &str| value(key).ok_or_else(|| shape(&format!("{at}/{key}"), "is missing"));
        if value("soft")? > value("hard")? {
            return Err(shape(&format!("{at}/soft"), &format!("{kind}: more than the hard limit")));
        }
    }
    Ok(())
}

fn scheduler(doc: &Doc) -> Result {
    const POLICIES: [&str; 7] =
        ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"];
    const FLAGS: [&str; 7] = [
        "SCHED_FLAG_RESET_ON_FORK",
        "SCHED_FLAG_RECLAIM",
        "SCHED_FLAG_DL_OVERRUN",
        "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS",
        "SCHED_FLAG_UTIL_CLAMP_MIN",
        "SCHED_FLAG_UTIL_CLAMP_MAX",
    ];
    let at = "/process/scheduler";
    let Some(value) = doc.get(at) else { return Ok(()) };
    let policy = word(value, at, "policy")?;
    one_of("/process/scheduler/policy", policy, &POLICIES)?;
    let Some(s) = doc.scheduler()? else { return Ok(()) };
    for flag in &s.flags {
        one_of("/process/scheduler/flags", flag, &FLAGS)?;
    }
    let fixed = matches!(policy, "SCHED_FIFO" | "SCHED_RR");
    if !(-20..=19).contains(&s.nice) {
        return Err(shape("/process/scheduler/nice", "not from -20 to 19"));
    }
    if s.priority != 0 && !fixed {
        return Err(shape("/process/scheduler/priority", &format!("{policy} takes none")));
    }
    if fixed && !(1..=99).contains(&s.priority) {
        return Err(shape("/process/scheduler/priority", "not from 1 to 99"));
    }
    for (key, time) in [("runtime", s.runtime), ("deadline", s.deadline), ("period", s.period)] {
        if time != 0 && policy != "SCHED_DEADLINE" {
            return Err(shape(&format!("{at}/{key}"), &format!("{policy} takes none")));
        }
    }
    if policy == "SCHED_DEADLINE" && !s.flags.iter().any(|f| f == "SCHED_FLAG_KEEP_PARAMS") {
        deadline(value, &s)?;
    }
    Ok(())
}

/// What the kernel answers with EINVAL alone (sched(7)), in the words of crun.
fn deadline(value: &Value, s: &Scheduler) -> Result {
    const LEAST: u64 = 1024;
    const MOST: u64 = 1 << 63;
    let wrong =
        |why: String| Err(shape("/process/scheduler", &format!("sched_setattr: `SCHED_DEADLINE` {why}")));
    let times = [("runtime", s.runtime), ("deadline", s.deadline), ("period", s.period)];
    for (key, time) in &times[..2] {
        if value.get(key).is_none() {
            return wrong(format!("requires `{key}`"));
        }
        if *time == 0 {
            return wrong(format!("{key} must be greater than 0"));
        }
    }
    // A period of 0 is the deadline.
    for pair in times.windows(2).filter(|pair| pair[1].1 != 0) {
        let [(less, a), (more, b)] = pair else { continue };
        if a > b {
            return wrong(format!("{less} ({a}) must be <= {more} ({b})"));
        }
    }
    for (key, time) in times.iter().filter(|(_, time)| *time != 0) {
        if !(LEAST..MOST).contains(time) {
            return wrong(format!("{key} ({time}) must be between {LEAST} and {MOST}"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_that_no_kernel_takes() {
        let wrong = |rest: &str| {
            let text = format!(r#"{{"process":{{"scheduler":{{"policy":"SCHED_DEADLINE"{rest}}}}}}}"#);
            scheduler(&Doc::parse(text.as_bytes()).unwrap()).map_err(|e| e.to_string())
        };
        for (rest, why) in [
            (r#","deadline":2000"#, "requires `runtime`"),
            (r#","runtime":2000"#, "requires `deadline`"),
            (r#","runtime":0,"deadline":2000"#, "runtime must be greater than 0"),
            (r#","runtime":3000,"deadline":2000"#, "runtime (3000) must be <= deadline (2000)"),
            (r#","runtime":2000,"deadline":4000,"period":3000"#, "deadline (4000) must be <= period (3000)"),
            (r#","runtime":1000,"deadline":2000"#, "runtime (1000) must be between 1024 and "),
        ] {
            assert!(wrong(rest).unwrap_err().contains(why), "{rest}: {:?}", wrong(rest));
        }
        assert_eq!(wrong(r#","runtime":2000,"deadline":3000"#), Ok(()));
        assert_eq!(wrong(r#","flags":["SCHED_FLAG_KEEP_PARAMS"]"#), Ok(()));
    }
}
