//! Who makes a container's cgroups.

use anyhow::{Result, bail};
use state::Host;

/// Who makes cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// We do, by mkdir(2).
    Cgroupfs,
    /// systemd does, as units of its own.
    Systemd,
}

impl Driver {
    /// By its name.
    pub fn named(name: &str) -> Option<Driver> {
        match name {
            "cgroupfs" => Some(Driver::Cgroupfs),
            "systemd" => Some(Driver::Systemd),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Driver::Cgroupfs => "cgroupfs",
            Driver::Systemd => "systemd",
        }
    }

    /// systemd where it runs the machine, v2 is all there is, and the bus of whoever asks is there.
    pub fn auto(host: &Host) -> Driver {
        let answers = || systemd::socket(systemd::of_user()).is_none_or(|s| s.exists());
        if systemd::booted() && host.cgroups.pure_v2() && answers() {
            Driver::Systemd
        } else {
            Driver::Cgroupfs
        }
    }

    /// Whether it can be had here; an error says why not.
    pub fn fits(self, host: &Host) -> Result<()> {
        if self == Driver::Systemd {
            if !systemd::booted() {
                bail!("systemd does not run this machine: there is no /run/systemd/system");
            }
            if systemd::of_user() && !host.cgroups.pure_v2() {
                bail!("on cgroup v1 systemd hands down nothing to an ordinary user");
            }
        }
        Ok(())
    }
}
