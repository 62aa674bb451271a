//! A mount as mount(8) has it.

use crate::{Act, quote, show::at};
use std::fmt::Write;

impl Act {
    /// `None`: mount(8) has no words for it.
    pub(crate) fn show_mount(&self) -> Option<String> {
        let Act::Mount { root, to, source, kind, options, idmap, or } = self else { return None };
        let words = sys::mount::Words::of(options);
        let ours = words.copy_up || words.copy_link || words.source_nofollow || words.to_nofollow;
        if ours || idmap.is_some() || !words.recursive.is_empty() {
            return None;
        }
        let target = at(root, to);
        let propagation = |o: &&str| sys::mount::propagation(o).is_some();
        let of_kind = |o: &&str| matches!(*o, "bind" | "rbind" | "remount");
        let (after, flags): (Vec<&str>, Vec<&str>) =
            options.iter().map(String::as_str).filter(|o| !of_kind(o)).partition(propagation);
        let mut out = if words.remount {
            let bind = if words.bind.is_some() { ",bind" } else { "" };
            format!("mount -o {} {target}", quote(&format!("remount{bind},{}", flags.join(","))))
        } else if let Some(recursive) = words.bind {
            bind(&quote(source), &target, recursive, &flags)
        } else {
            let kind = kind.as_deref().unwrap_or("none");
            filesystem(kind, &quote(source), &target, &flags)
        };
        if let Some(other) = or {
            let _ = write!(out, " || mount --rbind {} {target}", quote(&other.to_string_lossy()));
        }
        for word in after {
            let _ = write!(out, "; mount --make-{word} {target}");
        }
        Some(out)
    }
}

fn bind(source: &str, target: &str, recursive: bool, flags: &[&str]) -> String {
    let word = if recursive { "rbind" } else { "bind" };
    let mut out = format!(
        "if [ -d {source} ]; then mkdir -p {target}; \
         else mkdir -p \"$(dirname {target})\"; : >>{target}; fi; mount --{word} {source} {target}"
    );
    if !flags.is_empty() {
        let _ = write!(out, "; mount -o remount,bind,{} {target}", flags.join(","));
    }
    out
}

/// A tmpfs has the mode of the directory that it hides.
fn filesystem(kind: &str, source: &str, target: &str, flags: &[&str]) -> String {
    let inherits = kind == "tmpfs" && !flags.iter().any(|w| w.starts_with("mode="));
    let mut options = flags.iter().map(|w| quote(w)).collect::<Vec<_>>().join(",");
    let mut make = format!("mkdir -p {target}");
    if inherits {
        make = format!("mode=1777; [ ! -d {target} ] || mode=$(stat -c %a {target}); {make}");
        options += if options.is_empty() { "mode=$mode" } else { ",mode=$mode" };
    }
    let option = if options.is_empty() { String::new() } else { format!(" -o {options}") };
    format!("{make}; mount -t {}{option} {source} {target}", quote(kind))
}
