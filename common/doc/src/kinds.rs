//! What kind of JSON each key of the specification holds (config.md, config-linux.md). A key of
//! another kind is an error from the start: read as absent, a slip of the hand would switch a
//! protection off. `*` stands for every entry of a list or an object.

use crate::{Error, entry, shape};
use serde_json::Value;

const OBJECTS: &[&str] = &[
    "annotations",
    "hooks",
    "hooks/*/*",
    "linux",
    "linux/devices/*",
    "linux/gidMappings/*",
    "linux/intelRdt",
    "linux/memoryPolicy",
    "linux/namespaces/*",
    "linux/netDevices",
    "linux/netDevices/*",
    "linux/personality",
    "linux/resources",
    "linux/resources/blockIO",
    "linux/resources/blockIO/*/*",
    "linux/resources/cpu",
    "linux/resources/devices/*",
    "linux/resources/hugepageLimits/*",
    "linux/resources/memory",
    "linux/resources/network",
    "linux/resources/network/priorities/*",
    "linux/resources/pids",
    "linux/resources/rdma",
    "linux/resources/rdma/*",
    "linux/resources/unified",
    "linux/seccomp",
    "linux/seccomp/syscalls/*",
    "linux/seccomp/syscalls/*/args/*",
    "linux/sysctl",
    "linux/timeOffsets",
    "linux/timeOffsets/*",
    "linux/uidMappings/*",
    "mounts/*",
    "process",
    "process/capabilities",
    "process/consoleSize",
    "process/execCPUAffinity",
    "process/ioPriority",
    "process/rlimits/*",
    "process/scheduler",
    "process/user",
    "root",
    "stave/image",
];

const LISTS: &[&str] = &[
    "hooks/*",
    "hooks/*/*/args",
    "hooks/*/*/env",
    "linux/devices",
    "linux/gidMappings",
    "linux/intelRdt/schemata",
    "linux/maskedPaths",
    "linux/memoryPolicy/flags",
    "linux/namespaces",
    "linux/personality/flags",
    "linux/readonlyPaths",
    "linux/resources/blockIO/throttleReadBpsDevice",
    "linux/resources/blockIO/throttleReadIOPSDevice",
    "linux/resources/blockIO/throttleWriteBpsDevice",
    "linux/resources/blockIO/throttleWriteIOPSDevice",
    "linux/resources/blockIO/weightDevice",
    "linux/resources/devices",
    "linux/resources/hugepageLimits",
    "linux/resources/network/priorities",
    "linux/seccomp/architectures",
    "linux/seccomp/flags",
    "linux/seccomp/syscalls",
    "linux/seccomp/syscalls/*/args",
    "linux/seccomp/syscalls/*/names",
    "linux/uidMappings",
    "mounts",
    "mounts/*/gidMappings",
    "mounts/*/options",
    "mounts/*/uidMappings",
    "process/args",
    "process/capabilities/*",
    "process/env",
    "process/rlimits",
    "process/scheduler/flags",
    "process/user/additionalGids",
    "stave/entrypoint",
    "stave/layers",
    "stave/volumes",
];

const STRINGS: &[&str] = &[
    "annotations/*",
    "domainname",
    "hooks/*/*/args/*",
    "hooks/*/*/env/*",
    "hooks/*/*/path",
    "hostname",
    "linux/cgroupsPath",
    "linux/devices/*/path",
    "linux/devices/*/type",
    "linux/intelRdt/closID",
    "linux/intelRdt/l3CacheSchema",
    "linux/intelRdt/memBwSchema",
    "linux/intelRdt/schemata/*",
    "linux/maskedPaths/*",
    "linux/memoryPolicy/flags/*",
    "linux/memoryPolicy/mode",
    "linux/memoryPolicy/nodes",
    "linux/mountLabel",
    "linux/namespaces/*/path",
    "linux/namespaces/*/type",
    "linux/netDevices/*/name",
    "linux/personality/domain",
    "linux/personality/flags/*",
    "linux/readonlyPaths/*",
    "linux/resources/cpu/cpus",
    "linux/resources/cpu/mems",
    "linux/resources/devices/*/access",
    "linux/resources/devices/*/type",
    "linux/resources/hugepageLimits/*/pageSize",
    "linux/resources/network/priorities/*/name",
    "linux/resources/unified/*",
    "linux/rootfsPropagation",
    "linux/seccomp/architectures/*",
    "linux/seccomp/defaultAction",
    "linux/seccomp/flags/*",
    "linux/seccomp/listenerMetadata",
    "linux/seccomp/listenerPath",
    "linux/seccomp/syscalls/*/action",
    "linux/seccomp/syscalls/*/args/*/op",
    "linux/seccomp/syscalls/*/names/*",
    "mounts/*/destination",
    "mounts/*/options/*",
    "mounts/*/source",
    "mounts/*/type",
    "ociVersion",
    "process/apparmorProfile",
    "process/args/*",
    "process/capabilities/*/*",
    "process/cwd",
    "process/env/*",
    "process/execCPUAffinity/final",
    "process/execCPUAffinity/initial",
    "process/ioPriority/class",
    "process/rlimits/*/type",
    "process/scheduler/flags/*",
    "process/scheduler/policy",
    "process/selinuxLabel",
    "root/path",
    "stave/cgroupDriver",
    "stave/created",
    "stave/id",
    "stave/name",
    "stave/stopSignal",
];

const BOOLEANS: &[&str] = &[
    "linux/intelRdt/enableMonitoring",
    "linux/resources/devices/*/allow",
    "linux/resources/memory/checkBeforeUpdate",
    "linux/resources/memory/disableOOMKiller",
    "linux/resources/memory/useHierarchy",
    "process/noNewPrivileges",
    "process/terminal",
    "root/readonly",
    "stave/dieWithParent",
    "stave/host",
    "stave/noNewKeyring",
    "stave/rm",
    "stave/seccompLog",
    "stave/volatile",
];

/// uint16
const SHORT: &[&str] = &[
    "linux/resources/blockIO/leafWeight",
    "linux/resources/blockIO/weight",
    "linux/resources/blockIO/weightDevice/*/leafWeight",
    "linux/resources/blockIO/weightDevice/*/weight",
    "process/consoleSize/height",
    "process/consoleSize/width",
];

/// uint32
const NATURAL: &[&str] = &[
    "linux/devices/*/fileMode",
    "linux/devices/*/gid",
    "linux/devices/*/uid",
    "linux/gidMappings/*/containerID",
    "linux/gidMappings/*/hostID",
    "linux/gidMappings/*/size",
    "linux/resources/network/classID",
    "linux/resources/network/priorities/*/priority",
    "linux/resources/rdma/*/hcaHandles",
    "linux/resources/rdma/*/hcaObjects",
    "linux/seccomp/defaultErrnoRet",
    "linux/seccomp/syscalls/*/args/*/index",
    "linux/seccomp/syscalls/*/errnoRet",
    "linux/timeOffsets/*/nanosecs",
    "linux/uidMappings/*/containerID",
    "linux/uidMappings/*/hostID",
    "linux/uidMappings/*/size",
    "mounts/*/gidMappings/*/containerID",
    "mounts/*/gidMappings/*/hostID",
    "mounts/*/gidMappings/*/size",
    "mounts/*/uidMappings/*/containerID",
    "mounts/*/uidMappings/*/hostID",
    "mounts/*/uidMappings/*/size",
    "process/user/additionalGids/*",
    "process/user/gid",
    "process/user/uid",
    "process/user/umask",
];

/// uint64
const UNSIGNED: &[&str] = &[
    "linux/resources/blockIO/throttleReadBpsDevice/*/rate",
    "linux/resources/blockIO/throttleReadIOPSDevice/*/rate",
    "linux/resources/blockIO/throttleWriteBpsDevice/*/rate",
    "linux/resources/blockIO/throttleWriteIOPSDevice/*/rate",
    "linux/resources/cpu/burst",
    "linux/resources/cpu/period",
    "linux/resources/cpu/realtimePeriod",
    "linux/resources/cpu/shares",
    "linux/resources/hugepageLimits/*/limit",
    "linux/resources/memory/swappiness",
    "linux/seccomp/syscalls/*/args/*/value",
    "linux/seccomp/syscalls/*/args/*/valueTwo",
    "process/rlimits/*/hard",
    "process/rlimits/*/soft",
    "process/scheduler/deadline",
    "process/scheduler/period",
    "process/scheduler/runtime",
];

/// int64, and int32 where what it means is checked elsewhere
const INTEGERS: &[&str] = &[
    "hooks/*/*/timeout",
    "linux/devices/*/major",
    "linux/devices/*/minor",
    "linux/resources/cpu/idle",
    "linux/resources/cpu/quota",
    "linux/resources/cpu/realtimeRuntime",
    "linux/resources/devices/*/major",
    "linux/resources/devices/*/minor",
    "linux/resources/memory/kernel",
    "linux/resources/memory/kernelTCP",
    "linux/resources/memory/limit",
    "linux/resources/memory/reservation",
    "linux/resources/memory/swap",
    "linux/resources/pids/limit",
    "linux/timeOffsets/*/secs",
    "process/ioPriority/priority",
    "process/oomScoreAdj",
    "process/scheduler/nice",
    "process/scheduler/priority",
];

type Is = fn(&Value) -> bool;

const KINDS: [(&[&str], Is, &str); 8] = [
    (OBJECTS, Value::is_object, "not an object"),
    (LISTS, Value::is_array, "not a list"),
    (STRINGS, plain, "not a string without a NUL byte"),
    (BOOLEANS, Value::is_boolean, "neither true nor false"),
    (SHORT, |v| v.as_u64().is_some_and(|n| n <= u16::MAX.into()), "not a whole number from 0 to 65535"),
    (
        NATURAL,
        |v| v.as_u64().is_some_and(|n| n <= u32::MAX.into()),
        "not a whole number from 0 to 4294967295",
    ),
    (UNSIGNED, Value::is_u64, "not a whole number of 64 bits from 0 up"),
    (INTEGERS, Value::is_i64, "not a whole number of 64 bits"),
];

/// What the kernel takes ends at a NUL.
fn plain(value: &Value) -> bool {
    value.as_str().is_some_and(|s| !s.contains('\0'))
}

/// The first key that holds another kind than it must; null counts as absent.
pub(crate) fn check(doc: &Value) -> Result<(), Error> {
    for (patterns, is, why) in KINDS {
        for pattern in patterns {
            if let Some(wrong) = wrong(doc, pattern, is) {
                return Err(shape(&wrong, why));
            }
        }
    }
    let there = |pointer: &str| doc.pointer(pointer).is_some_and(|v| !v.is_null());
    if there("/root") && !there("/root/path") {
        return Err(shape("/root", "has no path"));
    }
    if let Some(Value::Object(sysctl)) = doc.pointer("/linux/sysctl") {
        for (key, value) in sysctl {
            let named = key.split(['.', '/']).all(|c| !c.is_empty());
            if !plain(value) || !named {
                return Err(shape(&format!("/linux/sysctl/{key}"), "not a name and a string"));
            }
        }
    }
    Ok(())
}

/// Where in `value` the first match of the pattern is that is not as it must be.
fn wrong(value: &Value, pattern: &str, is: Is) -> Option<String> {
    let (key, rest) = pattern.split_once('/').map_or((pattern, None), |(key, rest)| (key, Some(rest)));
    let below = |value: &Value| match rest {
        _ if value.is_null() => None,
        Some(rest) => wrong(value, rest, is),
        None => (!is(value)).then(String::new),
    };
    match value {
        Value::Object(map) if key == "*" => {
            map.iter().find_map(|(k, v)| below(v).map(|w| format!("/{k}{w}")))
        }
        Value::Array(list) if key == "*" => {
            list.iter().enumerate().find_map(|(n, v)| below(v).map(|w| format!("/{n}{w}")))
        }
        Value::Object(map) => below(entry(map, key)?).map(|w| format!("/{key}{w}")),
        _ => None,
    }
}
