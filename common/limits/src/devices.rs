//! Rules for devices, in the document's order: a later one wins. v1 has a list of exceptions in files,
//! v2 a program.

use anyhow::{Result, bail};
use doc::DeviceRule;
use state::CgroupDir;
use step::devices::{self, is_whole};
use step::{Access, Act};

/// The steps that put them in force in one hierarchy; none where another holds them, or where the caller
/// has not the right (`program`): a process of such a caller's makes no device either (mknod(2)).
pub(crate) fn rules(
    dir: &CgroupDir,
    dirs: &[CgroupDir],
    rules: &[Access],
    program: bool,
) -> Result<Vec<Act>> {
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    if dir.holds_devices() {
        return exceptions(dir, rules);
    }
    if !dir.v2 || !program || dirs.iter().any(CgroupDir::holds_devices) {
        return Ok(Vec::new());
    }
    // What no rule speaks of is as it is in the cgroup above.
    let above = Access { allow: true, kind: None, major: None, minor: None, access: "rwm".into() };
    let rules = match rules.iter().rposition(is_whole) {
        Some(n) => rules[n..].to_vec(),
        None => std::iter::once(above).chain(rules.iter().cloned()).collect(),
    };
    Ok(vec![Act::DeviceFilter { cgroup: dir.path.clone(), rules }])
}

/// A document's rules, in its order.
pub(crate) fn accesses(rules: &[DeviceRule]) -> Result<Vec<Access>> {
    rules.iter().enumerate().map(|(n, r)| access(n, r)).collect()
}

/// The steps that put in force again what was before other rules; none at all: all that the cgroup above
/// allows.
pub fn again(dir: &CgroupDir, dirs: &[CgroupDir], rules: &[DeviceRule], program: bool) -> Result<Vec<Act>> {
    let given = accesses(rules)?;
    let begins = given.iter().any(is_whole);
    let above = || dir.path.parent().and_then(|above| devices::list(above).ok()).unwrap_or_default();
    if dir.holds_devices()
        && !begins
        && let above = above()
        && !above.is_empty()
        && !above.iter().any(is_whole)
    {
        // It may not have more than that one.
        let nothing = Access { allow: false, kind: None, major: None, minor: None, access: "rwm".into() };
        return exceptions(dir, &[vec![nothing], above, given].concat());
    }
    let all = Access { allow: true, kind: None, major: None, minor: None, access: "rwm".into() };
    let list = if begins { given } else { [vec![all], given].concat() };
    self::rules(dir, dirs, &list, program)
}

/// What is granted, of each device once, where nothing else is; `None`: what no rule speaks of is.
pub(crate) fn granted(rules: &[DeviceRule]) -> Result<Option<Vec<Access>>> {
    Ok(step::devices::granted(&accesses(rules)?))
}

fn access(n: usize, rule: &DeviceRule) -> Result<Access> {
    let at = format!("linux.resources.devices.{n}");
    let number = |key: &str, value: Option<i64>| match value {
        None | Some(-1) => Ok(None),
        Some(n) => match u32::try_from(n) {
            Ok(n) => Ok(Some(n)),
            Err(_) => bail!("{at}.{key}: {n} is no number of a device"),
        },
    };
    let kind = match rule.kind.as_deref() {
        None | Some("a") => None,
        Some("b") => Some('b'),
        // An unbuffered device is a character device.
        Some("c" | "u") => Some('c'),
        Some(other) => bail!("{at}.type: {other} is neither a, b nor c"),
    };
    let words = rule.access.as_deref().unwrap_or("rwm");
    // Documents are about that say `a` as well, and mean nothing by it.
    if let Some(other) = words.chars().find(|c| !"rwma".contains(*c)) {
        bail!("{at}.access: {other} is neither r, w nor m");
    }
    let access = "rwm".chars().filter(|c| words.contains(*c)).collect();
    let (major, minor) = (number("major", rule.major)?, number("minor", rule.minor)?);
    Ok(Access { allow: rule.allow, kind, major, minor, access })
}

/// The rules as devices.allow and devices.deny take them. The kernel has one answer for all and exceptions from
/// it (cgroup-v1/devices.rst): an exception from an exception has no form there, and to the kernel a
/// line of `a` is everything, whatever numbers stand in it.
fn exceptions(dir: &CgroupDir, rules: &[Access]) -> Result<Vec<Act>> {
    let mut usual = None;
    let mut lines = Vec::new();
    let mut list: Vec<Access> = Vec::new();
    for rule in rules {
        if is_whole(rule) {
            list.clear();
            lines = vec![rule.clone()];
            usual = Some(rule.allow);
            continue;
        }
        for kind in rule.kind.map_or(vec!['b', 'c'], |k| vec![k]) {
            let rule = Access { kind: Some(kind), ..rule.clone() };
            if usual == Some(rule.allow) {
                let wider = |e: &&Access| overlap(e, &rule) && !within(e, &rule);
                if let Some(e) = list.iter().find(wider) {
                    bail!(
                        "linux.resources.devices: '{rule}' takes a part out of '{e}', for which cgroup v1 \
                         has no form"
                    );
                }
            }
            list.push(rule.clone());
            lines.push(rule);
        }
    }
    Ok(vec![Act::DeviceRules { cgroup: dir.path.clone(), rules: lines, former: None }])
}

/// Whether some access to some device is spoken of by both, in opposite ways.
fn overlap(a: &Access, b: &Access) -> bool {
    let meet = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    a.allow != b.allow
        && a.kind == b.kind
        && meet(a.major, b.major)
        && meet(a.minor, b.minor)
        && a.access.chars().any(|c| b.access.contains(c))
}

/// Whether the kernel takes the second off the first: their devices are the same to it.
fn within(exception: &Access, rule: &Access) -> bool {
    (exception.major, exception.minor) == (rule.major, rule.minor)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lines(list: Value) -> Result<Vec<String>> {
        let dir = CgroupDir {
            path: "/d".into(),
            mount: "/".into(),
            controllers: vec!["devices".into()],
            v2: false,
        };
        let list: Vec<DeviceRule> = serde_json::from_value(list).unwrap();
        let acts = rules(&dir, std::slice::from_ref(&dir), &accesses(&list)?, false)?;
        let line = |a: &Access| format!("{} {a}", if a.allow { "allow" } else { "deny" });
        match acts.as_slice() {
            [Act::DeviceRules { rules, .. }] => Ok(rules.iter().map(line).collect()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_rule_forgets_what_came_before() {
        let list = json!([
            {"allow": true, "type": "c", "major": 1},
            {"allow": false},
            {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "wr"}
        ]);
        assert_eq!(lines(list).unwrap(), ["deny a *:* rwm", "allow c 1:3 rw"]);
    }

    #[test]
    fn what_is_granted() {
        let granted = |list: Value| {
            let list: Vec<DeviceRule> = serde_json::from_value(list).unwrap();
            granted(&list).unwrap().map(|l| l.iter().map(|a| a.to_string()).collect::<Vec<_>>().join("; "))
        };
        let list = json!([
            {"allow": false},
            {"allow": true, "major": 7, "access": "m"},
            {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"},
            {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "m"},
            {"allow": false, "type": "c", "major": 1, "minor": 3, "access": "w"},
            {"allow": false, "type": "b", "major": 7, "access": "m"}
        ]);
        assert_eq!(granted(list).as_deref(), Some("c 7:* m; c 1:3 rm"));
        assert_eq!(granted(json!([{"allow": true}])), None);
    }

    #[test]
    fn all_kinds_are_not_all_devices() {
        let list = json!([{"allow": false, "access": "rwm"}, {"allow": true, "major": 7, "access": "m"}]);
        assert_eq!(lines(list).unwrap(), ["deny a *:* rwm", "allow b 7:* m", "allow c 7:* m"]);
    }

    #[test]
    fn what_v1_cannot_say_is_an_error() {
        let hole = |access: &str| {
            lines(json!([
                {"allow": false},
                {"allow": true, "type": "c", "major": 1, "access": "rw"},
                {"allow": false, "type": "c", "major": 1, "minor": 11, "access": access}
            ]))
        };
        assert!(hole("r").unwrap_err().to_string().contains("'c 1:11 r' takes a part out of 'c 1:* rw'"));
        assert_eq!(hole("m").unwrap().len(), 3);
        let same = json!([
            {"allow": false},
            {"allow": true, "type": "b", "major": 8, "minor": 0},
            {"allow": false, "type": "b", "major": 8, "minor": 0, "access": "w"}
        ]);
        assert_eq!(lines(same).unwrap()[2], "deny b 8:0 w");
    }

    #[test]
    fn bad_rules_name_their_key() {
        for (rule, says) in [
            (json!({"allow": true, "type": "x"}), "devices.0.type: x"),
            (json!({"allow": true, "access": "rx"}), "devices.0.access: x"),
            (json!({"allow": true, "major": -2}), "devices.0.major: -2"),
            (json!({"allow": true, "minor": 1u64 << 33}), "devices.0.minor: 8589934592"),
        ] {
            let e = lines(json!([rule])).unwrap_err().to_string();
            assert!(e.contains(says), "{e}");
        }
    }
}
