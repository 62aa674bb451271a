//! Why a kernel makes no user namespace for an ordinary user, in words, with what undoes it: the
//! number alone (EPERM, ENOSPC) says nothing.

use crate::Fail;
use std::path::Path;
use sys::Errno;

/// Better words for the failure of a clone or of an id map, where a switch of the system explains it.
pub fn why(errno: Errno) -> Fail {
    let why = if sys::cred::euid() == 0 && errno == Errno(sys::EPERM) {
        None
    } else {
        cause(Path::new("/proc/sys"), errno)
    };
    Fail { errno, why, status: None }
}

fn cause(sysctls: &Path, errno: Errno) -> Option<String> {
    const ENOSPC: i32 = 28;
    const EUSERS: i32 = 87;
    let is = |key: &str, value: &str| {
        let text = std::fs::read_to_string(sysctls.join(key.replace('.', "/")));
        text.is_ok_and(|t| t.trim() == value)
    };
    let switch = |key: &str, value: &str, to: &str| {
        is(key, value).then(|| format!("{key} is {value}; root can allow it: sysctl -w {key}={to}"))
    };
    match errno.0 {
        ENOSPC => switch("user.max_user_namespaces", "0", "15000")
            .or_else(|| Some("user.max_user_namespaces are there already".into())),
        EUSERS => Some("user namespaces are nested too deep".into()),
        sys::EPERM | sys::EACCES => switch("kernel.apparmor_restrict_unprivileged_userns", "1", "0")
            .or_else(|| switch("kernel.unprivileged_userns_clone", "0", "1")),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn switches() {
        let dir = std::env::temp_dir().join(format!("stave-denied-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("kernel")).unwrap();
        std::fs::create_dir_all(dir.join("user")).unwrap();
        std::fs::write(dir.join("user/max_user_namespaces"), "0\n").unwrap();
        let says = |errno| cause(&dir, Errno(errno)).unwrap_or_default();
        assert!(says(28).starts_with("user.max_user_namespaces is 0; root can allow it: sysctl -w "));
        assert_eq!(says(1), "");
        std::fs::write(dir.join("kernel/apparmor_restrict_unprivileged_userns"), "1\n").unwrap();
        assert!(says(1).starts_with("kernel.apparmor_restrict_unprivileged_userns is 1; root can"));
        std::fs::remove_file(dir.join("kernel/apparmor_restrict_unprivileged_userns")).unwrap();
        std::fs::write(dir.join("kernel/unprivileged_userns_clone"), "0\n").unwrap();
        assert!(says(1).starts_with("kernel.unprivileged_userns_clone is 0; "));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
