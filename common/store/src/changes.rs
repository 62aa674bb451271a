//! What `-c` of import and pack says: lines of a Dockerfile that concern an image's configuration
//! alone (docker's builder reference), in the form that docker writes (image-spec config.md).

mod words;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use words::{expand, split};

/// Applies lines such as `CMD ["sh"]` or `ENV A=1 B="x y"` in their order to `config.config` of an
/// image, with docker's meaning. An error names the line and what is wrong with it.
pub fn apply(config: &mut Map<String, Value>, lines: &[String]) -> Result<()> {
    let mut change = Change { config, cmd: false };
    for line in lines.iter().flat_map(|l| whole(l)) {
        change.line(&line).with_context(|| format!("-c '{line}'"))?;
    }
    Ok(())
}

/// The lines of one argument, those that end in a backslash joined.
fn whole(text: &str) -> Vec<String> {
    let joined = text.replace("\\\r\n", "").replace("\\\n", "");
    let lines = joined.lines().map(str::trim);
    lines.filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect()
}

struct Change<'a> {
    config: &'a mut Map<String, Value>,
    /// Whether one of the lines said what the command is.
    cmd: bool,
}

impl Change<'_> {
    fn line(&mut self, line: &str) -> Result<()> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let (word, rest) = (word.to_ascii_uppercase(), rest.trim());
        let known = [
            "CMD",
            "ENTRYPOINT",
            "ENV",
            "EXPOSE",
            "HEALTHCHECK",
            "LABEL",
            "ONBUILD",
            "STOPSIGNAL",
            "USER",
            "VOLUME",
            "WORKDIR",
        ];
        if !known.contains(&word.as_str()) {
            bail!("{word} is none of {}", known.join(", "));
        }
        if rest.is_empty() {
            bail!("{word} of what?");
        }
        match word.as_str() {
            "CMD" => {
                self.cmd = true;
                self.put("Cmd", json!(self.command(rest)));
            }
            "ENTRYPOINT" => {
                self.put("Entrypoint", json!(self.command(rest)));
                // A command that was there was the arguments of another program.
                if !self.cmd {
                    self.config.remove("Cmd");
                }
            }
            "ENV" => {
                for (name, value) in self.pairs(rest)? {
                    self.env(&name, &value);
                }
            }
            "LABEL" => {
                for (name, value) in self.pairs(rest)? {
                    self.map("Labels")?.insert(name, json!(value));
                }
            }
            "EXPOSE" => {
                for word in split(rest)? {
                    for port in ports(&expand(word, &self.environment())?)? {
                        self.map("ExposedPorts")?.insert(port, json!({}));
                    }
                }
            }
            "VOLUME" => {
                let paths = match list(rest) {
                    Some(list) => list,
                    None => split(rest)?.into_iter().map(str::to_owned).collect(),
                };
                for path in paths {
                    let path = expand(&path, &self.environment())?;
                    if path.is_empty() {
                        bail!("a volume of no name");
                    }
                    self.map("Volumes")?.insert(path, json!({}));
                }
            }
            "HEALTHCHECK" => {
                let check = self.health(rest)?;
                self.put("Healthcheck", check);
            }
            "ONBUILD" => {
                let first = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
                if ["ONBUILD", "FROM", "MAINTAINER"].contains(&first.as_str()) {
                    bail!("{first} is not for ONBUILD");
                }
                let mut all =
                    self.config.get("OnBuild").and_then(Value::as_array).cloned().unwrap_or_default();
                all.push(json!(rest));
                self.put("OnBuild", json!(all));
            }
            "STOPSIGNAL" => {
                let signal = expand(rest, &self.environment())?;
                if !is_signal(&signal) {
                    bail!("'{signal}' is no signal");
                }
                self.put("StopSignal", json!(signal));
            }
            "USER" => {
                let user = expand(rest, &self.environment())?;
                self.put("User", json!(user));
            }
            _ => {
                let dir = expand(rest, &self.environment())?;
                let old = self.config.get("WorkingDir").and_then(Value::as_str).unwrap_or("");
                self.put("WorkingDir", json!(join(old, &dir)));
            }
        }
        Ok(())
    }

    fn put(&mut self, key: &str, value: Value) {
        self.config.insert(key.into(), value);
    }

    fn map(&mut self, key: &str) -> Result<&mut Map<String, Value>> {
        let value = self.config.entry(key).or_insert(Value::Null);
        if value.is_null() {
            *value = json!({});
        }
        value.as_object_mut().with_context(|| format!("{key} of the image is no object"))
    }

    fn environment(&self) -> Vec<String> {
        let list = self.config.get("Env").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }

    fn env(&mut self, name: &str, value: &str) {
        let mut all = self.environment();
        let text = format!("{name}={value}");
        match all.iter_mut().find(|e| e.split('=').next() == Some(name)) {
            Some(old) => *old = text,
            None => all.push(text),
        }
        self.put("Env", json!(all));
    }

    /// `A=1 B=2`, or the old form `A the rest`; values see the environment from before the line.
    fn pairs(&self, rest: &str) -> Result<Vec<(String, String)>> {
        let environment = self.environment();
        let words = split(rest)?;
        let first = words.first().copied().unwrap_or_default();
        if !first.contains('=') {
            let value = rest[first.len()..].trim();
            if value.is_empty() {
                bail!("{first} has no value");
            }
            return Ok(vec![(expand(first, &environment)?, expand(value, &environment)?)]);
        }
        let pair = |word: &&str| {
            let (name, value) = word.split_once('=').with_context(|| format!("{word} is not NAME=VALUE"))?;
            let name = expand(name, &environment)?;
            if name.is_empty() {
                bail!("{word} has no name");
            }
            Ok((name, expand(value, &environment)?))
        };
        words.iter().map(pair).collect()
    }

    /// A JSON list is the words themselves; anything else is for the image's shell.
    fn command(&self, rest: &str) -> Vec<String> {
        list(rest).unwrap_or_else(|| {
            let shell = self.config.get("Shell").and_then(Value::as_array);
            let shell: Vec<String> =
                shell.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect();
            let mut words = if shell.is_empty() { vec!["/bin/sh".into(), "-c".into()] } else { shell };
            words.push(rest.to_owned());
            words
        })
    }

    /// `NONE`, or flags and then `CMD`; times in nanoseconds.
    fn health(&self, rest: &str) -> Result<Value> {
        let mut check = Map::new();
        let mut rest = rest;
        while let Some(flag) = rest.strip_prefix("--") {
            let (flag, behind) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
            let (name, value) = flag.split_once('=').with_context(|| format!("--{flag} has no value"))?;
            let (key, value) = match name {
                "interval" => ("Interval", nanoseconds(value)?),
                "timeout" => ("Timeout", nanoseconds(value)?),
                "start-period" => ("StartPeriod", nanoseconds(value)?),
                "start-interval" => ("StartInterval", nanoseconds(value)?),
                "retries" => ("Retries", value.parse().with_context(|| format!("'{value}' is no number"))?),
                _ => bail!("HEALTHCHECK has no --{name}"),
            };
            check.insert(key.into(), json!(value));
            rest = behind.trim_start();
        }
        let (word, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let test = match word.to_ascii_uppercase().as_str() {
            "NONE" if command.is_empty() && check.is_empty() => vec!["NONE".to_owned()],
            "CMD" if !command.trim().is_empty() => match list(command.trim()) {
                Some(words) => [vec!["CMD".to_owned()], words].concat(),
                None => vec!["CMD-SHELL".to_owned(), command.trim().to_owned()],
            },
            _ => bail!("HEALTHCHECK is NONE, or CMD and a command"),
        };
        check.insert("Test".into(), json!(test));
        Ok(check.into())
    }
}

/// A JSON list of strings.
fn list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// `80`, `80/udp`, `8000-8010/tcp`: the keys of ExposedPorts.
fn ports(text: &str) -> Result<Vec<String>> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        bail!("'{protocol}' is none of tcp, udp, sctp");
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let port = |p: &str| p.parse::<u16>().with_context(|| format!("'{text}' is no port"));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        bail!("'{text}' is no range of ports");
    }
    Ok((first..=last).map(|p| format!("{p}/{protocol}")).collect())
}

/// A name of signal(7), with or without SIG, or a number.
fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=64).contains(&number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |s: &str| s.is_empty() || s[1..].parse::<u8>().is_ok_and(|n| n <= 15);
    name.strip_prefix("RTMIN").is_some_and(|s| s.is_empty() || (s.starts_with('+') && real_time(s)))
        || name.strip_prefix("RTMAX").is_some_and(|s| s.is_empty() || (s.starts_with('-') && real_time(s)))
        || [
            "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "IOT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
            "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
            "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "POLL", "PWR", "SYS",
        ]
        .contains(&name)
}

/// A directory relative to another, `.` and `..` resolved.
fn join(old: &str, new: &str) -> String {
    let both = if new.starts_with('/') { new.to_owned() } else { format!("/{old}/{new}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in both.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Go's durations: `1m30s`, `1.5h`, `500ms`.
fn nanoseconds(text: &str) -> Result<i64> {
    let wrong = || format!("'{text}' is no duration (30s, 1m30s, 500ms)");
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').with_context(wrong)?;
        let number: f64 = rest[..digits].parse().with_context(wrong)?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "ns" => 1.0,
                "us" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => bail!(wrong()),
            };
        rest = &rest[unit..];
    }
    if total > 0.0 && total < 1e6 {
        bail!("'{text}' is shorter than a millisecond");
    }
    if text.is_empty() || total > 9e18 {
        bail!(wrong());
    }
    Ok(total as i64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn changed(before: Value, lines: &[&str]) -> Result<Value> {
        let Value::Object(mut config) = before else { unreachable!() };
        let lines: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        apply(&mut config, &lines).map(|()| config.into())
    }

    #[test]
    fn commands() {
        let old = json!({"Cmd": ["old"], "Entrypoint": ["e"]});
        let new = changed(old.clone(), &[r#"cmd ["a", "b c"]"#]).unwrap();
        assert_eq!(new, json!({"Cmd": ["a", "b c"], "Entrypoint": ["e"]}));
        assert_eq!(
            changed(old.clone(), &["ENTRYPOINT x y"]).unwrap()["Entrypoint"],
            json!(["/bin/sh", "-c", "x y"])
        );
        assert_eq!(changed(old.clone(), &["ENTRYPOINT [\"x\"]"]).unwrap(), json!({"Entrypoint": ["x"]}));
        let both = changed(old, &["CMD [\"y\"]", "ENTRYPOINT [\"x\"]"]).unwrap();
        assert_eq!(both, json!({"Cmd": ["y"], "Entrypoint": ["x"]}));
        let shell = changed(json!({"Shell": ["/bin/bash", "-ec"]}), &["CMD a; b"]).unwrap();
        assert_eq!(shell["Cmd"], json!(["/bin/bash", "-ec", "a; b"]));
    }

    #[test]
    fn pairs() {
        let new = changed(
            json!({"Env": ["PATH=/bin", "A=0"], "Labels": null}),
            &[
                "ENV A=1 B=\"x y\" C=a\\ b D='$A' E=$A-${PATH}:/opt F=${NO:-d} G=${A:+set}",
                "LABEL a.b=\"1 c\" d=e",
                "ENV OLD the rest  of it",
            ],
        );
        let new = new.unwrap();
        let env = [
            "PATH=/bin",
            "A=1",
            "B=x y",
            "C=a b",
            "D=$A",
            "E=0-/bin:/opt",
            "F=d",
            "G=set",
            "OLD=the rest  of it",
        ];
        assert_eq!(new["Env"], json!(env));
        assert_eq!(new["Labels"], json!({"a.b": "1 c", "d": "e"}));
    }

    #[test]
    fn the_others() {
        let lines = [
            "EXPOSE 80 53/UDP 8000-8001/tcp",
            "VOLUME /a /b",
            r#"VOLUME ["/c d"]"#,
            "USER www:www",
            "WORKDIR /srv",
            "WORKDIR app/../x",
            "STOPSIGNAL SIGRTMIN+3",
            "ONBUILD RUN make",
            "HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f http://localhost/",
        ];
        let new = changed(json!({}), &lines).unwrap();
        let keys = |k: &str| new[k].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys("ExposedPorts"), ["80/tcp", "53/udp", "8000/tcp", "8001/tcp"]);
        assert_eq!(keys("Volumes"), ["/a", "/b", "/c d"]);
        assert_eq!((&new["User"], &new["WorkingDir"]), (&json!("www:www"), &json!("/srv/x")));
        assert_eq!((&new["StopSignal"], &new["OnBuild"]), (&json!("SIGRTMIN+3"), &json!(["RUN make"])));
        let check = json!({"Interval": 90_000_000_000_i64, "Retries": 3, "Test": ["CMD-SHELL", "curl -f http://localhost/"]});
        assert_eq!(new["Healthcheck"], check);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, why) in [
            ("RUN make", "RUN is none of CMD"),
            ("CMD", "CMD of what?"),
            ("ENV A", "A has no value"),
            ("ENV A=1 B", "B is not NAME=VALUE"),
            ("ENV =1", "=1 has no name"),
            ("ENV A=\"x", "a quote is not closed"),
            ("EXPOSE http", "'http' is no port"),
            ("EXPOSE 9-1", "no range"),
            ("EXPOSE 80/ip", "'ip' is none of"),
            ("STOPSIGNAL SIGNOT", "no signal"),
            ("HEALTHCHECK --interval=x CMD y", "no duration"),
            ("HEALTHCHECK NONE x", "HEALTHCHECK is NONE"),
            ("ONBUILD FROM x", "FROM is not for ONBUILD"),
        ] {
            let e = format!("{:#}", changed(json!({}), &[line]).unwrap_err());
            assert!(e.contains(why) && e.contains(&format!("-c '{line}'")), "{line}: {e}");
        }
    }
}
