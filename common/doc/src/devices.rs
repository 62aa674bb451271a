//! `linux.devices` (config-linux.md, Devices).

use crate::{Doc, Error};
use serde::{Deserialize, Serialize};

/// An entry of `linux.devices`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Absolute path inside the container.
    pub path: String,
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of a device.
    #[serde(default)]
    pub major: i64,
    /// Of a device.
    #[serde(default)]
    pub minor: i64,
    /// Permissions; 0666 where absent.
    #[serde(default)]
    pub file_mode: Option<u32>,
    /// Owner.
    #[serde(default)]
    pub uid: Option<u32>,
    /// Group.
    #[serde(default)]
    pub gid: Option<u32>,
}

impl Device {
    /// Of a character device that everybody may read and write.
    pub fn character(path: &str, major: u32, minor: u32) -> Device {
        Device {
            path: path.into(),
            kind: "c".into(),
            major: major.into(),
            minor: minor.into(),
            file_mode: None,
            uid: None,
            gid: None,
        }
    }
}

impl Doc {
    /// `linux.devices`, in order; [`Doc::validate`] says whether they make sense.
    pub fn devices(&self) -> Result<Vec<Device>, Error> {
        Ok(self.read("/linux/devices")?.unwrap_or_default())
    }
}
