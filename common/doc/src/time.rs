//! A view of `linux.timeOffsets` (config-linux.md, Offset for Time Namespace).

use crate::{Doc, Error};
use serde::Deserialize;
use std::collections::BTreeMap;

/// By how much a clock of a time namespace is ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeOffset {
    /// `monotonic` or `boottime`.
    pub clock: String,
    /// Seconds.
    pub secs: i64,
    /// And nanoseconds.
    pub nanosecs: u32,
}

impl Doc {
    /// Of each clock that is given.
    pub fn time_offsets(&self) -> Result<Vec<TimeOffset>, Error> {
        #[derive(Deserialize)]
        struct Offset {
            #[serde(default)]
            secs: i64,
            #[serde(default)]
            nanosecs: u32,
        }
        let map: BTreeMap<String, Offset> = self.read("/linux/timeOffsets")?.unwrap_or_default();
        let one = |(clock, o): (String, Offset)| TimeOffset { clock, secs: o.secs, nanosecs: o.nanosecs };
        Ok(map.into_iter().map(one).collect())
    }
}
