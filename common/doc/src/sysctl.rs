//! `linux.sysctl`: keys of the kernel's, each of which belongs to a namespace; any other is the
//! machine's, and never a container's to set (sysctl(8), namespaces(7)).

use crate::{Doc, Error, shape};
use serde_json::{Map, Value};

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sysctl {
    /// The file below /proc/sys: `net/ipv4/ip_forward`.
    pub file: String,
    /// What is written to it.
    pub value: String,
    /// The kind of namespace that it belongs to.
    pub kind: &'static str,
}

/// Those of ipc namespaces, but for what fs.mqueue holds (ipc/ipc_sysctl.c).
const IPC: [&str; 12] = [
    "auto_msgmni",
    "msg_next_id",
    "msgmax",
    "msgmnb",
    "msgmni",
    "sem",
    "sem_next_id",
    "shm_next_id",
    "shm_rmid_forced",
    "shmall",
    "shmmax",
    "shmmni",
];

impl Doc {
    /// All of them; an error for one that no namespace of the container's holds.
    pub fn sysctls(&self) -> Result<Vec<Sysctl>, Error> {
        let Some(map) = self.read::<Map<String, Value>>("/linux/sysctl")? else { return Ok(Vec::new()) };
        let namespaces = self.namespaces()?;
        let one = |(key, value): (String, Value)| {
            let wrong = |why: &str| shape("/linux/sysctl", &format!("{key}: {why}"));
            let file = file(&key);
            let kind = match file.split_once('/') {
                _ if file == "kernel/hostname" => return Err(wrong("that is what `hostname` is for")),
                Some(("net", _)) => "network",
                Some(("fs", rest)) if rest.starts_with("mqueue/") => "ipc",
                Some(("kernel", name)) if IPC.contains(&name) => "ipc",
                Some(("kernel", "domainname")) => "uts",
                Some(("user", _)) => "user",
                _ => return Err(wrong("it belongs to the machine, not to a namespace")),
            };
            if !namespaces.iter().any(|n| n.kind == kind) {
                return Err(wrong(&format!("the container has no {kind} namespace of its own")));
            }
            let value = value.as_str().ok_or_else(|| wrong("not a string"))?.to_owned();
            if file == "kernel/domainname" && self.text("/domainname").is_some_and(|name| name != value) {
                return Err(wrong("`domainname` says another"));
            }
            Ok(Sysctl { file, value, kind })
        };
        map.into_iter().map(one).collect()
    }
}

/// As sysctl(8) reads a key: the first separator, a dot or a slash, is that of directories, the other
/// stands for a dot in a name (an interface's).
fn file(key: &str) -> String {
    if key.find(['.', '/']).is_some_and(|at| key[at..].starts_with('/')) {
        return key.to_owned();
    }
    key.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_their_namespaces() {
        let doc = |key: &str| {
            let text = format!(
                r#"{{"linux":{{"namespaces":[{{"type":"network"}},{{"type":"ipc"}}],"sysctl":{{"{key}":"1"}}}}}}"#
            );
            let sysctls = Doc::parse(text.as_bytes()).unwrap().sysctls();
            sysctls.map(|s| (s[0].file.clone(), s[0].kind)).map_err(|e| e.to_string())
        };
        for (key, file, kind) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward", "network"),
            ("net/ipv4/conf/eno2.100/rp_filter", "net/ipv4/conf/eno2.100/rp_filter", "network"),
            ("net.ipv4.conf.eno2/100.rp_filter", "net/ipv4/conf/eno2.100/rp_filter", "network"),
            ("kernel.shmmax", "kernel/shmmax", "ipc"),
            ("fs.mqueue.msg_max", "fs/mqueue/msg_max", "ipc"),
        ] {
            assert_eq!(doc(key), Ok((file.to_owned(), kind)));
        }
        let domain = |name: &str| {
            let text = format!(
                r#"{{"domainname":"{name}","linux":{{"namespaces":[{{"type":"uts"}}],"sysctl":{{"kernel.domainname":"a"}}}}}}"#
            );
            Doc::parse(text.as_bytes()).unwrap().sysctls().is_ok()
        };
        assert!(domain("a") && !domain("b"));
        for (key, why) in [
            ("kernel.panic", "belongs to the machine"),
            ("kernel.hostname", "`hostname`"),
            ("kernel.domainname", "no uts namespace"),
            ("user.max_user_namespaces", "no user namespace"),
        ] {
            assert!(doc(key).unwrap_err().contains(why), "{key}");
        }
    }
}
