//! Id maps: of a user namespace (config-linux.md), and of a mount (config.md).

use crate::{Doc, Error};
use serde::{Deserialize, Serialize};

/// A line of an id map.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID")]
    pub inside: u32,
    /// First id outside.
    #[serde(rename = "hostID")]
    pub outside: u32,
    /// How many.
    pub size: u32,
}

impl Doc {
    /// `linux.uidMappings` and `linux.gidMappings`.
    pub fn id_maps(&self) -> Result<(Vec<IdMapping>, Vec<IdMapping>), Error> {
        let read = |key| self.read::<Vec<IdMapping>>(key).map(Option::unwrap_or_default);
        Ok((read("/linux/uidMappings")?, read("/linux/gidMappings")?))
    }
}
