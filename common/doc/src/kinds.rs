//! What kind of JSON each key holds that a tool reads (config.md, config-linux.md). A key of another
//! kind is an error from the start: read as absent, a slip of the hand would switch a protection off.

use crate::{Error, shape};
use serde_json::Value;

const OBJECTS: [&str; 11] = [
    "/process",
    "/process/user",
    "/process/capabilities",
    "/root",
    "/linux",
    "/linux/resources",
    "/linux/resources/memory",
    "/linux/resources/cpu",
    "/linux/resources/pids",
    "/linux/sysctl",
    "/stave/image",
];
const ARRAYS: [&str; 11] = [
    "/process/args",
    "/process/env",
    "/process/rlimits",
    "/mounts",
    "/linux/namespaces",
    "/linux/resources/devices",
    "/linux/maskedPaths",
    "/linux/readonlyPaths",
    "/stave/layers",
    "/stave/entrypoint",
    "/stave/volumes",
];
const STRINGS: [&str; 10] = [
    "/ociVersion",
    "/hostname",
    "/process/cwd",
    "/root/path",
    "/linux/cgroupsPath",
    "/linux/rootfsPropagation",
    "/stave/id",
    "/stave/name",
    "/stave/created",
    "/stave/stopSignal",
];
const BOOLEANS: [&str; 7] = [
    "/process/terminal",
    "/process/noNewPrivileges",
    "/root/readonly",
    "/stave/host",
    "/stave/rm",
    "/stave/volatile",
    "/stave/dieWithParent",
];

type Is = fn(&Value) -> bool;

/// The first key that holds another kind than it must; null counts as absent.
pub(crate) fn check(doc: &Value) -> Result<(), Error> {
    let there = |pointer: &&str| doc.pointer(pointer).filter(|v| !v.is_null());
    let kinds: [(&[&str], Is, &str); 4] = [
        (&OBJECTS, Value::is_object, "not an object"),
        (&ARRAYS, Value::is_array, "not a list"),
        (&STRINGS, Value::is_string, "not a string"),
        (&BOOLEANS, Value::is_boolean, "neither true nor false"),
    ];
    for (pointers, is, why) in kinds {
        if let Some(wrong) = pointers.iter().find(|p| there(p).is_some_and(|v| !is(v))) {
            return Err(shape(wrong, why));
        }
    }
    if there(&"/root").is_some() && there(&"/root/path").is_none() {
        return Err(shape("/root", "has no path"));
    }
    if let Some(Value::Object(sysctl)) = doc.pointer("/linux/sysctl") {
        for (key, value) in sysctl {
            let plain = key.split(['.', '/']).all(|c| !c.is_empty());
            if !value.is_string() || !plain {
                return Err(shape(&format!("/linux/sysctl/{key}"), "not a name and a string"));
            }
        }
    }
    Ok(())
}
