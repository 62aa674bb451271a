//! Each step as shell: what coreutils, util-linux, iproute2 have a word for in their words, the
//! rest as `stave step`.

use crate::limit::DELEGATE;
use crate::unit::Unit;
use crate::{Access, Act, devices};
use std::fmt::Write;
use std::path::Path;

/// A word that the shell reads as itself.
pub fn quote(s: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !s.is_empty() && s.chars().all(plain) {
        return s.to_owned();
    }
    format!("'{}'", s.replace('\'', r"'\''"))
}

fn q(p: &Path) -> String {
    quote(&p.to_string_lossy())
}

/// A path within a root, as the host sees it.
pub(crate) fn at(root: &Path, path: &Path) -> String {
    let inner = path.strip_prefix("/").unwrap_or(path);
    q(&root.join(inner))
}

impl Act {
    /// The step as one or more lines of shell, without a newline at the end.
    pub fn show(&self) -> String {
        match self {
            Act::Bundle { path, .. } => format!("mkdir -p -m 700 {}", q(path)),
            Act::Mkdir { path, mode: 0o755 } => format!("mkdir -p {}", q(path)),
            Act::Mkdir { path, mode } => format!("mkdir -p -m {mode:o} {}", q(path)),
            Act::Save { path, text, .. } => {
                format!("cat >{} <<'END'\n{}\nEND", q(path), text.trim_end_matches('\n'))
            }
            Act::Name { link, target } => {
                let dir = link.parent().map(q).unwrap_or_default();
                format!("mkdir -p {dir}; ln -s {} {}", quote(target), q(link))
            }
            Act::Write { path, text } => format!("echo {} >{}", quote(text.trim_end()), q(path)),
            Act::Overlay { idmap: Some(_), .. } => self.as_step(),
            Act::Pass { path, gid } => format!("chown :{gid} {0}; chmod 710 {0}", q(path)),
            Act::Overlay { lower, upper, work, at, volatile, userxattr, .. } => {
                let (volatile, userxattr) = (*volatile, *userxattr);
                let o = sys::mount::Overlay { lower, upper: Some((upper, work)), volatile, userxattr };
                let data = o.data();
                if data.len() >= sys::mount::PAGE - 1 {
                    return self.as_step();
                }
                let like = lower.first().map_or(String::new(), |top| {
                    format!("chown --reference={0} {1}; chmod --reference={0} {1}; ", q(top), q(upper))
                });
                format!(
                    "mountpoint -q {0} || {{ {like}mount -t overlay -o {1} overlay {0}; }}",
                    q(at),
                    quote(&data)
                )
            }
            // The shell has the rights that the child has not.
            Act::Source { .. } | Act::Node { .. } => ":".to_owned(),
            Act::Mount { .. } => self.show_mount().unwrap_or_else(|| self.as_step()),
            Act::Mask { root, path } => {
                let p = at(root, path);
                format!(
                    "if [ -d {p} ]; then mount -t tmpfs -o ro,nr_inodes=1 tmpfs {p}; \
                     elif [ -e {p} ]; then mount --bind /dev/null {p}; mount -o remount,bind,ro,nosuid,noexec {p}; fi"
                )
            }
            Act::Readonly { root, path } => {
                let p = at(root, path);
                format!(
                    "if [ -e {p} ]; then mount --rbind {p} {p}; \
                     findmnt -nrRo TARGET {p} | while read -r m; do mount -o remount,bind,ro \"$m\"; done; fi"
                )
            }
            Act::Propagate { at, how } => format!("mount --make-{how} {}", q(at)),
            Act::PropagateHolder { of, how } => {
                format!("mount --make-{how} \"$(findmnt -no TARGET -T {})\"", q(of))
            }
            Act::Device { root, path, kind, major, minor, mode, uid, gid } => {
                let p = at(root, path);
                let numbers = if kind == "p" { String::new() } else { format!(" {major} {minor}") };
                let mut out = format!("[ -e {p} ] || mknod -m {mode:o} {p} {kind}{numbers}");
                if (*uid, *gid) != (0, 0) {
                    let _ = write!(out, "; chown {uid}:{gid} {p}");
                }
                out
            }
            Act::Dir { root, path } => format!("mkdir -p {}", at(root, path)),
            Act::Symlink { root, target, link } => {
                let p = at(root, link);
                format!("[ -e {p} ] || ln -s {} {p}", quote(target))
            }
            Act::BindSelf { path } => format!("mount --rbind {0} {0}", q(path)),
            Act::Pin { kind, at } => {
                let p = q(at);
                let option = match kind.as_str() {
                    "network" => "net",
                    other => other,
                };
                format!("mountpoint -q {p} || {{ touch {p}; chmod 444 {p}; unshare --{option}={p} true; }}")
            }
            Act::OomScore { score } => format!("echo {score} >/proc/self/oom_score_adj"),
            Act::Hostname { name, ns: Some(ns) } => {
                format!("nsenter --uts={} hostname {}", q(ns), quote(name))
            }
            Act::Hostname { name, ns: None } => format!("hostname {}", quote(name)),
            Act::Domainname { name } => format!("domainname {}", quote(name)),
            Act::LinkUp { name, ns: Some(ns) } => {
                format!("nsenter --net={} ip link set {} up", q(ns), quote(name))
            }
            Act::LinkUp { name, ns: None } => format!("ip link set {} up", quote(name)),
            Act::NetDevice { device, name } => {
                format!("ip link set {} netns $pid name {}", quote(device), quote(name))
            }
            Act::Cgroup { path, .. } => format!("mkdir -p {}", q(path)),
            Act::Renew { cgroup } => format!("[ ! -d {0} ] || rmdir {0} 2>/dev/null || :", q(cgroup)),
            Act::Unit { name, user, cgroup, properties } => {
                Unit { name, user: *user, cgroup }.show_start(properties)
            }
            Act::Attach { name, user, cgroup, below } => {
                Unit { name, user: *user, cgroup }.show_attach(below)
            }
            Act::UnitLimit { name, user, cgroup, set } => Unit { name, user: *user, cgroup }.show_set(set),
            Act::Members { .. } => ":".to_owned(),
            Act::Limit { cgroup, set } => {
                let lines: Vec<String> = set.iter().map(|s| show_setting(cgroup, s)).collect();
                lines.join("\n")
            }
            Act::DeviceRules { cgroup, rules, .. } => {
                let line = |rule: &Access| {
                    let (file, text) = devices::show(rule);
                    format!("echo {} >{}", quote(&text), q(&cgroup.join(file)))
                };
                rules.iter().map(line).collect::<Vec<_>>().join("\n")
            }
            Act::Adopt { cgroup, from } => format!(
                "for p in $(find {} -name cgroup.procs -exec cat {{}} + 2>/dev/null); do echo $p >{}; done",
                q(from),
                q(&cgroup.join("cgroup.procs"))
            ),
            Act::OwnCgroup { path, uid } => {
                let dir = q(path);
                format!(
                    "chown {uid} {dir}; (cd {dir} && for f in $(cat {DELEGATE}); do [ ! -e $f ] || chown {uid} $f; done)"
                )
            }
            Act::HandDown { cgroup, wanted, needed } => {
                let file = q(&cgroup.join("cgroup.subtree_control"));
                let more = wanted.iter().filter(|c| !needed.contains(c)).map(String::as_str);
                let more = more.collect::<Vec<_>>().join(" ");
                let all = needed.iter().map(|c| format!("+{c}")).collect::<Vec<_>>().join(" ");
                let needed = (!all.is_empty()).then(|| format!("echo {} >{file}", quote(&all)));
                let tried = (!more.is_empty())
                    .then(|| format!("for c in {more}; do echo +$c >{file} 2>/dev/null || :; done"));
                needed.into_iter().chain(tried).collect::<Vec<_>>().join("; ")
            }
            Act::Inherit { cpuset } => {
                let (own, above) = (q(cpuset), q(cpuset.parent().unwrap_or(cpuset)));
                format!(
                    "for f in cpuset.cpus cpuset.mems; do [ -n \"$(cat {own}/$f)\" ] || cat {above}/$f >{own}/$f; done"
                )
            }
            Act::Freeze { cgroup, v2: true, frozen } => {
                format!("echo {} >{}", u8::from(*frozen), q(&cgroup.join("cgroup.freeze")))
            }
            Act::Freeze { cgroup, v2: false, frozen } => {
                let word = if *frozen { "FROZEN" } else { "THAWED" };
                format!("echo {word} >{}", q(&cgroup.join("freezer.state")))
            }
            Act::JoinCgroup { path, file } => format!("echo 0 >{}", q(&path.join(file))),
            Act::Clone { namespaces, cgroup } => show_clone(namespaces, cgroup.as_deref()),
            Act::Wait {} => "kill -STOP $$".to_owned(),
            Act::Hook { path, args, env, timeout, state, .. } => {
                show_hook(path, args, env.as_deref(), *timeout, state)
            }
            Act::Umask { mask } => format!("umask {mask:04o}"),
            _ => self.as_step(),
        }
    }

    /// Undoing as shell; `None` where nothing is left to undo.
    pub fn show_undo(&self) -> Option<String> {
        Some(match self {
            Act::Bundle { path, .. } => format!("rm -rf --one-file-system {}", q(path)),
            Act::Mkdir { path, .. } => {
                format!("[ ! -d {0} ] || rmdir --ignore-fail-on-non-empty {0}", q(path))
            }
            Act::Name { link, .. } => format!("rm -f {}", q(link)),
            Act::Overlay { at, .. } => format!("while mountpoint -q {0}; do umount -l {0}; done", q(at)),
            Act::Pin { at, .. } => {
                format!("while mountpoint -q {0}; do umount -l {0}; done; rm -f {0}", q(at))
            }
            Act::Members { cgroup } => {
                let dir = q(cgroup);
                format!("while kill -9 $(cat {dir}/cgroup.procs) 2>/dev/null; do sleep 0.1; done")
            }
            Act::Adopt { cgroup, .. } => {
                let above = cgroup.parent().unwrap_or(cgroup).join("cgroup.procs");
                format!(
                    "for p in $(cat {}); do echo $p >{}; done",
                    q(&cgroup.join("cgroup.procs")),
                    q(&above)
                )
            }
            Act::Unit { name, user, cgroup, .. } => Unit { name, user: *user, cgroup }.show_stop(),
            Act::Cgroup { path, shared: false } => format!("[ ! -d {0} ] || rmdir {0}", q(path)),
            Act::Cgroup { path, shared: true } => format!("rmdir {} 2>/dev/null || :", q(path)),
            _ => return None,
        })
    }

    /// The step as `stave step` takes it.
    pub fn as_step(&self) -> String {
        format!("stave step {}", self.as_word())
    }

    /// The step as JSON, quoted for a shell.
    pub fn as_word(&self) -> String {
        quote(&serde_json::to_string(self).unwrap_or_default())
    }

    /// Whether it holds only for the process that does it, and what that one becomes.
    pub fn of_process(&self) -> bool {
        use Act::*;
        matches!(
            self,
            NullStreams { .. }
                | PivotRoot { .. }
                | Setns { .. }
                | SetnsProcess { .. }
                | Unshare { .. }
                | JoinCgroup { .. }
                | Root {}
                | Session {}
                | Terminal { .. }
                | Control {}
                | Rlimit { .. }
                | Scheduler { .. }
                | IoPriority { .. }
                | Affinity { .. }
                | MemoryPolicy { .. }
                | Personality { .. }
                | Keyring { .. }
                | Label { .. }
                | Umask { .. }
                | Bound { .. }
                | Streams { .. }
                | User { .. }
                | Caps { .. }
                | NoNewPrivs {}
                | Seccomp { .. }
                | Hide {}
                | Chdir { .. }
                | DieWithParent {}
                | LookUp { .. }
                | Exec { .. }
        )
    }

    /// Whether it is done to a process by another.
    pub fn of_another(&self) -> bool {
        use Act::*;
        matches!(
            self,
            MapIds { .. }
                | Source { .. }
                | Node { .. }
                | Rdt { .. }
                | NetDevice { .. }
                | Rlimit { .. }
                | OomScore { .. }
                | Scheduler { .. }
                | IoPriority { .. }
        )
    }

    /// Verb and object, for an error: `mount proc on /proc`.
    pub fn what(&self) -> String {
        let p = |p: &Path| p.display().to_string();
        match self {
            Act::Bundle { path, .. } | Act::Mkdir { path, .. } | Act::Cgroup { path, .. } => {
                format!("make directory {}", p(path))
            }
            Act::Save { path, .. } => format!("save {}", p(path)),
            Act::Name { link, .. } => {
                format!("name {}", link.file_name().unwrap_or_default().to_string_lossy())
            }
            Act::Write { path, text } => format!("write '{}' to {}", text.trim_end(), p(path)),
            Act::Pass { path, gid } => format!("let group {gid} pass through {}", p(path)),
            Act::Overlay { at, lower, .. } if lower.is_empty() => format!("mount overlay on {}", p(at)),
            Act::Overlay { at, lower, .. } => {
                format!("mount overlay of {} {} on {}", lower.len(), plural(lower.len(), "layer"), p(at))
            }
            Act::Source { .. } => "take a source of mounts".into(),
            Act::Mount { to, options, .. } if options.iter().any(|o| o == "remount") => {
                format!("remount {}", p(to))
            }
            Act::Mount { to, source, .. } => format!("mount {source} on {}", p(to)),
            Act::Mask { path, .. } => format!("mask {}", p(path)),
            Act::Readonly { path, .. } => format!("make read-only {}", p(path)),
            Act::Propagate { at, how } => format!("make {how} {}", p(at)),
            Act::PropagateHolder { of, how } => format!("make {how} the mount of {}", p(of)),
            Act::Device { path, .. } | Act::Node { path, .. } => format!("make device {}", p(path)),
            Act::NullStreams { root } => format!("open /dev/null of {}", p(root)),
            Act::Dir { path, .. } => format!("make directory {}", p(path)),
            Act::Symlink { link, .. } => format!("link {}", p(link)),
            Act::BindSelf { path } => format!("make a root of {}", p(path)),
            Act::PivotRoot { root, how: None } => format!("pivot_root to {}", p(root)),
            Act::PivotRoot { root, how: Some(how) } => format!("{how} the root to {}", p(root)),
            Act::Pin { kind, at } => format!("pin a new {kind} namespace at {}", p(at)),
            Act::Setns { kind, path } => format!("join the {kind} namespace {}", p(path)),
            Act::SetnsProcess { pid, kinds } => format!("join {} of process {pid}", kinds.join(", ")),
            Act::Unshare { kind } => format!("unshare {kind}"),
            Act::Clone { namespaces, .. } if namespaces.is_empty() => "clone a process".into(),
            Act::Clone { namespaces, .. } => format!("clone a process into new {}", namespaces.join(", ")),
            Act::MapIds { .. } => "map the ids of the user namespace".into(),
            Act::Root {} => "become root of the user namespace".into(),
            Act::Rdt { group, .. } => format!("join intelRdt group {}", p(group)),
            Act::OomScore { score } => format!("set oom_score_adj to {score}"),
            Act::Hostname { name, .. } => format!("set hostname {name}"),
            Act::Domainname { name } => format!("set domainname {name}"),
            Act::LinkUp { name, .. } => format!("bring up link {name}"),
            Act::NetDevice { device, .. } => format!("move network device {device} into the container"),
            Act::Renew { cgroup } => format!("renew cgroup {}", p(cgroup)),
            Act::Unit { name, .. } => format!("start unit {name}"),
            Act::Attach { name, .. } => format!("join unit {name}"),
            Act::UnitLimit { name, .. } => format!("set the limits of unit {name}"),
            Act::Members { cgroup } => format!("end the processes of cgroup {}", p(cgroup)),
            Act::Limit { cgroup, set } => match set.as_slice() {
                [s] => format!("write '{}' to {}", s.text, p(&cgroup.join(&s.file))),
                _ => format!("limit {}", p(cgroup)),
            },
            Act::OwnCgroup { path, uid } => format!("give cgroup {} to user {uid}", p(path)),
            Act::HandDown { cgroup, needed, .. } if needed.is_empty() => {
                format!("hand down controllers in {}", p(cgroup))
            }
            Act::HandDown { cgroup, needed, .. } => {
                format!("hand down {} in {}", needed.join(", "), p(cgroup))
            }
            Act::Adopt { cgroup, .. } => format!("move processes to cgroup {}", p(cgroup)),
            Act::DeviceFilter { cgroup, .. } | Act::DeviceRules { cgroup, .. } => {
                format!("put device rules on {}", p(cgroup))
            }
            Act::Inherit { cpuset } => format!("fill cpuset {}", p(cpuset)),
            Act::Freeze { cgroup, frozen: true, .. } => format!("freeze {}", p(cgroup)),
            Act::Freeze { cgroup, frozen: false, .. } => format!("thaw {}", p(cgroup)),
            Act::JoinCgroup { path, .. } => format!("join cgroup {}", p(path)),
            Act::Session {} => "make a session".into(),
            Act::Terminal { .. } => "open a terminal".into(),
            Act::Control {} => "take the terminal".into(),
            Act::Rlimit { kind, soft, hard } => format!("set {kind} to {soft}:{hard}"),
            Act::Scheduler { policy, .. } => format!("set the scheduler to {policy}"),
            Act::IoPriority { class, priority } => format!("set the I/O priority to {class} {priority}"),
            Act::Affinity { cpus } if cpus.len() > 64 => "run on every processor".into(),
            Act::Affinity { cpus } => format!("run on the processors {cpus:?}"),
            Act::MemoryPolicy { mode, .. } => format!("set the memory policy to {mode}"),
            Act::Personality { domain } => format!("set the personality to {domain}"),
            Act::Keyring { name, .. } => format!("join the session keyring {name}"),
            Act::Label { module, label } => format!("set the {module} label {label}"),
            Act::Umask { .. } => "set umask".into(),
            Act::Bound { .. } => "drop capabilities from the bounding set".into(),
            Act::Streams { uid, .. } => format!("give the standard streams to user {uid}"),
            Act::User { uid, gid, .. } => format!("become user {uid}:{gid}"),
            Act::Caps { .. } => "set capabilities".into(),
            Act::NoNewPrivs {} => "set no_new_privs".into(),
            Act::Seccomp { .. } => "load the seccomp filter".into(),
            Act::Hide {} => "hide from /proc".into(),
            Act::Chdir { path, .. } => format!("change directory to {}", p(path)),
            Act::DieWithParent {} => "die with the parent".into(),
            Act::LookUp { args, .. } => match args.first() {
                Some(name) => format!("look up {name}"),
                None => "look up the program".into(),
            },
            Act::Wait {} => "wait for the start".into(),
            Act::Hook { kind, path, .. } => format!("run {kind} hook {}", p(path)),
            Act::Exec { args, .. } => match args.first() {
                Some(name) if name.is_empty() => "exec ''".into(),
                Some(name) => format!("exec {name}"),
                None => "exec".into(),
            },
        }
    }
}

fn show_setting(cgroup: &Path, setting: &crate::Setting) -> String {
    let write = |file: &str, text: &str| {
        let file = q(&cgroup.join(file));
        // One write a line: a file of limits by device takes one of them at a time.
        let lines: Vec<String> = text.split('\n').map(|l| format!("echo {} >{file}", quote(l))).collect();
        lines.join("; ")
    };
    let first = write(&setting.file, &setting.text);
    let there = |file: &str| format!("[ -e {} ]", q(&cgroup.join(file)));
    match &setting.or {
        Some((file, text)) => {
            format!("if {}; then {first}; else {}; fi", there(&setting.file), write(file, text))
        }
        None if setting.optional => format!("if {}; then {first}; fi", there(&setting.file)),
        None => first,
    }
}

fn plural(n: usize, word: &str) -> String {
    if n == 1 { word.to_owned() } else { format!("{word}s") }
}

/// The state on stdin, a new environment, args[0] the hook's own.
fn show_hook(
    path: &Path,
    args: &[String],
    env: Option<&[String]>,
    timeout: Option<u64>,
    state: &serde_json::Value,
) -> String {
    let words = |list: &[String]| list.iter().map(|w| format!(" {}", quote(w))).collect::<String>();
    let limit = timeout.map_or(String::new(), |s| format!(" timeout -s KILL {s} "));
    let rest = args.get(1..).unwrap_or_default();
    let env = env.map_or(String::new(), |env| format!("env -i{} ", words(env)));
    format!("echo {} | {env}{}{}{}", quote(&state.to_string()), limit.trim_start(), q(path), words(rest))
}

fn show_clone(namespaces: &[String], cgroup: Option<&Path>) -> String {
    let mut out = String::new();
    if let Some(dir) = cgroup {
        let _ = write!(out, "echo $$ >{}; ", q(&dir.join("cgroup.procs")));
    }
    out.push_str("unshare");
    for n in namespaces {
        let option = match n.as_str() {
            "network" => "net",
            other => other,
        };
        let _ = write!(out, " --{option}");
    }
    if namespaces.iter().any(|n| n == "pid") {
        out.push_str(" --fork --kill-child");
    }
    if namespaces.iter().any(|n| n == "mount") {
        out.push_str(" --propagation unchanged");
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shell_words() {
        for (plain, quoted) in
            [("a-b/c", "a-b/c"), ("a b", "'a b'"), ("", "''"), ("it's", r"'it'\''s'"), ("$x", "'$x'")]
        {
            assert_eq!(quote(plain), quoted);
        }
    }

    #[test]
    fn every_step_survives_its_json() {
        let act = Act::Chdir { path: "/a b".into(), make: true, user: None };
        let json = serde_json::to_string(&act).unwrap();
        assert_eq!(serde_json::from_str::<Act>(&json).unwrap(), act);
        assert_eq!(act.show(), r#"stave step '{"chdir":{"path":"/a b","make":true}}'"#);
    }
}
