//! For programs: one object a container. What is not known has no key.

use crate::eye::Seen;
use cgroup::{Limit, Psi};
use serde_json::{Map, Value, json};

/// One line's object.
pub fn object(seen: &Seen, at: &str) -> Value {
    let look = &seen.look;
    let mut all = Keys::default();
    all.put("time", Some(at));
    all.put("id", Some(&*seen.id));
    all.put("name", seen.name.as_deref());
    all.put("status", Some(seen.status));
    all.put("pid", seen.pid);
    if let Some(time) = &look.time {
        let mut cpu = Keys::default();
        cpu.put("percent", seen.cpu.map(rounded));
        cpu.put("usage", Some(time.used));
        cpu.limit(&seen.own.cpus, &seen.limits.cpus);
        if let Some(t) = &time.throttling {
            let mut throttling = Keys::default();
            throttling.put("periods", Some(t.periods));
            throttling.put("throttled", Some(t.throttled_periods));
            throttling.put("time", Some(t.throttled_time));
            throttling.put("percent", seen.throttled.map(rounded));
            cpu.put("throttling", throttling.some());
        }
        all.put("cpu", cpu.some());
    }
    all.put("memory", memory(seen));
    if let Some(current) = look.pids {
        let mut pids = Keys::default();
        pids.put("current", Some(current));
        pids.limit(&seen.own.pids, &seen.limits.pids);
        all.put("pids", pids.some());
    }
    let io = look.io.as_ref();
    all.put(
        "io",
        io.map(|io| json!({"read": io.read, "written": io.written, "reads": io.reads, "writes": io.writes})),
    );
    let network = seen.network.as_ref().map(|n| {
        json!({"received": n.received, "packetsReceived": n.packets_received,
            "sent": n.sent, "packetsSent": n.packets_sent})
    });
    all.put("network", network);
    let mut pressure = Keys::default();
    pressure.put("cpu", look.cpu_pressure.as_ref().map(waiting));
    pressure.put("memory", look.memory_pressure.as_ref().map(waiting));
    pressure.put("io", look.io_pressure.as_ref().map(waiting));
    all.put("pressure", pressure.some());
    Value::Object(all.0)
}

fn memory(seen: &Seen) -> Option<Value> {
    let used = seen.look.memory.as_ref()?;
    let mut memory = Keys::default();
    memory.put("workingSet", Some(used.working_set()));
    memory.put("usage", Some(used.usage));
    memory.put("cache", Some(used.cache));
    memory.put("swap", used.swap);
    memory.limit(&seen.own.memory, &seen.limits.memory);
    let value = |l: &Option<Limit<u64>>| l.as_ref().map(|l| l.value);
    memory.put("highLimit", value(&seen.limits.high));
    memory.put("swapLimit", value(&seen.limits.swap));
    memory.put("memorySwapLimit", value(&seen.limits.memory_swap));
    memory.put("percent", seen.memory.map(rounded));
    let mut events = Keys::default();
    events.put("high", used.events.high);
    events.put("max", used.events.max);
    events.put("oom", used.events.oom);
    events.put("oomKill", used.events.oom_kill);
    memory.put("events", events.some());
    memory.some()
}

/// Percent of the last ten seconds.
fn waiting(psi: &Psi) -> Value {
    json!({"some": psi.some.avg10, "full": psi.full.avg10})
}

fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// An object without empty places.
#[derive(Default)]
struct Keys(Map<String, Value>);

impl Keys {
    fn put(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value.into());
        }
    }

    /// The limit of its own cgroup, and the one that holds with the cgroup that sets it.
    fn limit<T: Clone + Into<Value>>(&mut self, own: &Option<Limit<T>>, holds: &Option<Limit<T>>) {
        self.put("limit", own.as_ref().map(|l| l.value.clone()));
        let holds = holds.as_ref().map(|l| {
            let value: Value = l.value.clone().into();
            json!({"limit": value, "cgroup": l.dir.to_string_lossy()})
        });
        self.put("effective", holds);
    }

    fn some(self) -> Option<Value> {
        (!self.0.is_empty()).then_some(Value::Object(self.0))
    }
}
