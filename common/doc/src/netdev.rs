//! `linux.netDevices` (config-linux.md, Network Devices).

use crate::{Doc, Error};
use serde_json::{Map, Value};

/// A device of the host's that is to be the container's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDevice {
    /// Its name on the host.
    pub device: String,
    /// Its name in the container; with `%d` at the end the kernel finds a number.
    pub name: String,
}

impl Doc {
    /// In the order of the document; [`Doc::validate`] says whether they make sense.
    pub fn net_devices(&self) -> Result<Vec<NetDevice>, Error> {
        let entries: Map<String, Value> = self.read("/linux/netDevices")?.unwrap_or_default();
        let entry = |(device, value): (String, Value)| {
            let name = value.get("name").and_then(Value::as_str).filter(|n| !n.is_empty());
            NetDevice { name: name.unwrap_or(&device).to_owned(), device }
        };
        Ok(entries.into_iter().map(entry).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let text = br#"{"ociVersion":"1.3.0","linux":{"namespaces":[{"type":"network"}],
            "netDevices":{"veth1":{},"eth9":{"name":"ctr%d"},"a":{"name":""}}}}"#;
        let doc = Doc::parse(text).unwrap();
        let list = doc.net_devices().unwrap();
        let list: Vec<(&str, &str)> = list.iter().map(|d| (d.device.as_str(), d.name.as_str())).collect();
        assert_eq!(list, [("veth1", "veth1"), ("eth9", "ctr%d"), ("a", "a")]);
        assert_eq!(Doc::parse(br#"{"ociVersion":"1.3.0"}"#).unwrap().net_devices().unwrap(), []);
    }
}
