//! Steps: all that Stave ever does to a machine stands in one enum. A step can be shown as a line
//! of shell, done, and undone; it cannot see the document.
//!
//! A step states a fact ("it is so"): doing it twice, or undoing it twice, is fine.
#![forbid(unsafe_code)]

pub mod denied;
pub mod devices;
mod does;
mod exec;
mod held;
mod hook;
mod idmap;
mod limit;
mod mounts;
mod netdev;
mod outcome;
mod overlay;
mod rdt;
pub mod seccomp;
mod show;
mod show_mount;
mod unit;

pub use devices::Access;
pub use does::terminal;
pub use held::{hold, release};
pub use mounts::let_go;
pub use netdev::{bring_back, stay};
pub use outcome::{Done, Fail, Fault, Next, Stopped, Watch};
pub use show::quote;
pub use systemd::Property;
pub use unit::properties;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// By the stage itself; what it leaves outlives the process.
    Parent,
    /// By the process that becomes the workload, between clone and exec.
    Child,
}

/// One act and who does it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Who.
    pub side: Side,
    /// What.
    pub act: Act,
}

impl Step {
    /// A step of the stage itself.
    pub fn parent(act: Act) -> Step {
        Step { side: Side::Parent, act }
    }

    /// A step of the process to be.
    pub fn child(act: Act) -> Step {
        Step { side: Side::Child, act }
    }
}

/// Everything that is ever done. Paths are absolute on the host unless a `root` stands beside
/// them: then they are resolved within that root, as the container would.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)] // the fields: each variant's line says what they are
pub enum Act {
    /// A container's own directory (0700). Undone: removed with all that is in it, this file
    /// system only.
    /// What the caller may not remove, since it belongs to ids of a user namespace of the container's,
    /// goes in one with the same `ids`.
    Bundle {
        path: PathBuf,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ids: Option<IdMap>,
    },
    /// mkdir(2), with parents. Undone: rmdir(2); one that holds something stays.
    Mkdir { path: PathBuf, mode: u32 },
    /// A file replaced as a whole: temp file, rename(2), with fsync(2) if `sync`. Undone: it holds
    /// again what it held before, where it was there.
    Save { path: PathBuf, text: String, former: Option<String>, sync: bool },
    /// A symbolic link whose being there decides who got a name.
    Name { link: PathBuf, target: String },
    /// Text written into a file that is there (cgroup, sysctl).
    Write { path: PathBuf, text: String },

    /// overlayfs, topmost lower first; at the first mount the upper directory takes the owner and
    /// mode of the topmost lower, since it is the root that is seen. Undone: umount2(2).
    /// With `userxattr` as in a user namespace, where it may keep its notes in user attributes alone.
    Overlay {
        lower: Vec<PathBuf>,
        upper: PathBuf,
        work: PathBuf,
        at: PathBuf,
        volatile: bool,
        #[serde(default, skip_serializing_if = "is_false")]
        userxattr: bool,
        /// The layers' ids show in this light: they rest as the image has them, and a container with a
        /// user namespace of its own sees its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        idmap: Option<IdMap>,
    },
    /// A group may pass through a directory (0710): the root of a user namespace, to what is its.
    Pass { path: PathBuf, gid: u32 },
    /// A copy of what is at a source, taken by the parent in the child's mount namespace, with rights
    /// that a child in a user namespace has not; for the child's `Mount` of that source, which follows.
    Source {
        source: String,
        options: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        idmap: Option<IdMap>,
    },
    /// A mount within a root, by fstab's words; the target is made where missing. `idmap`: a bind's
    /// users show in this light. `or`: a file system that the kernel refuses (EPERM, EBUSY) is
    /// replaced by what is there.
    Mount {
        root: PathBuf,
        to: PathBuf,
        source: String,
        kind: Option<String>,
        options: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        idmap: Option<IdMap>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        or: Option<PathBuf>,
    },
    /// A path within a root is hidden: a file behind /dev/null, a directory behind an empty tmpfs.
    Mask { root: PathBuf, path: PathBuf },
    /// A path within a root can only be read.
    Readonly { root: PathBuf, path: PathBuf },
    /// Mount propagation: `rslave`, `rprivate`, ...
    Propagate { at: PathBuf, how: String },
    /// The same of the mount that a path lies on.
    PropagateHolder { of: PathBuf, how: String },
    /// A device (`c`, `b`) or a FIFO (`p`) within a root; where it may not be made, the `Node` is bound that
    /// the parent made, or else the host's.
    /// Something else there already is an error.
    Device {
        root: PathBuf,
        path: PathBuf,
        #[serde(default = "character", skip_serializing_if = "is_character")]
        kind: String,
        major: u32,
        minor: u32,
        mode: u32,
        #[serde(default, skip_serializing_if = "is_zero")]
        uid: u32,
        #[serde(default, skip_serializing_if = "is_zero")]
        gid: u32,
    },
    /// A device for a child in a user namespace, which may make none: made by the parent in a file system
    /// of its own, its owner one of the child's ids, for the child's `Device` at that path, which follows.
    /// Nothing where the parent may make none either.
    Node { path: PathBuf, kind: String, major: u32, minor: u32, mode: u32, uid: u32, gid: u32 },
    /// Those of the standard streams that are the null device are the one of a root; where it has none, the
    /// caller's in such a way that its owner and mode cannot be changed by them.
    NullStreams { root: PathBuf },
    /// A directory within a root, and those above it, while it can be written to. One that cannot be made
    /// is missed by whoever looks for it.
    Dir { root: PathBuf, path: PathBuf },
    /// A symbolic link within a root.
    Symlink { root: PathBuf, target: String, link: PathBuf },
    /// A mount that pivot_root(2) can take: the directory bound onto itself.
    BindSelf { path: PathBuf },
    /// pivot_root(2); the old root is dropped. `how`: `move` (MS_MOVE over the old root), or `chroot`.
    PivotRoot {
        root: PathBuf,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        how: Option<String>,
    },

    /// A new namespace held by a bind mount of its file. Undone: umount2(2), unlink(2).
    Pin { kind: String, at: PathBuf },
    /// setns(2) by file.
    Setns { kind: String, path: PathBuf },
    /// setns(2) into some namespaces of a process.
    SetnsProcess { pid: i32, kinds: Vec<String> },
    /// unshare(2).
    Unshare { kind: String },
    /// clone3(2) of the process to be, with new namespaces.
    Clone { namespaces: Vec<String>, cgroup: Option<PathBuf> },
    /// The ids of a new user namespace, written by the parent: rows of the first inside, the first
    /// outside, and how many (user_namespaces(7)). Whoever lacks the right asks newuidmap(1) and
    /// newgidmap(1), but for the one id that is the caller's own: then setgroups(2) is denied. Of the
    /// caller itself, in a user namespace that was there: it has just these.
    MapIds { uids: Vec<[u32; 3]>, gids: Vec<[u32; 3]> },
    /// The caller becomes root of the user namespace that it is in, in no other group.
    Root {},
    /// sethostname(2), in the namespace pinned at `ns` where given.
    Hostname { name: String, ns: Option<PathBuf> },
    /// setdomainname(2), in the caller's uts namespace.
    Domainname { name: String },
    /// A network interface up, in the namespace pinned at `ns` where given.
    LinkUp { name: String, ns: Option<PathBuf> },
    /// A network device of the host, moved by the parent into the network namespace of the process, under
    /// this name (`%d` at its end: a number that the kernel finds): up, with the lasting addresses that it
    /// had. Where no container comes of it, it comes back.
    NetDevice { device: String, name: String },

    /// A cgroup directory. Undone: rmdir(2); a `shared` one only when empty.
    Cgroup { path: PathBuf, shared: bool },
    /// A cgroup that nobody is in goes, to be made anew by the next step: what was counted in it, and that
    /// it was killed, is the last run's. One that is in use stays.
    Renew { cgroup: PathBuf },
    /// A unit of systemd's, with the process in it, and its cgroup: a scope, or a slice, which is made
    /// empty and may be there (StartTransientUnit). Undone: there is no such unit, nor one that failed.
    Unit {
        name: String,
        #[serde(default, skip_serializing_if = "is_false")]
        user: bool,
        cgroup: PathBuf,
        properties: Vec<Property>,
    },
    /// Limits of a cgroup, as properties of the unit that it is of: else systemd, which is told of some
    /// other change, would write the ones that it knows (SetUnitProperties). Undone: as [`Act::Limit`].
    UnitLimit {
        name: String,
        #[serde(default, skip_serializing_if = "is_false")]
        user: bool,
        cgroup: PathBuf,
        set: Vec<Setting>,
    },
    /// A process is moved into a unit by its manager, or into a cgroup `below` it, where the caller may
    /// not: out of a session that is none of the manager's (AttachProcessesToUnit).
    Attach {
        name: String,
        #[serde(default, skip_serializing_if = "is_false")]
        user: bool,
        cgroup: PathBuf,
        below: String,
    },
    /// The processes of a cgroup: nothing to make. Undone: each is killed (SIGKILL) and waited for.
    Members { cgroup: PathBuf },
    /// Limits of a cgroup, written in an order that the kernel takes: one may hold another in bounds.
    /// Undone: what is known of the former values holds again.
    Limit { cgroup: PathBuf, set: Vec<Setting> },
    /// A v2 cgroup belongs to a user, with those of its files that may (/sys/kernel/cgroup/delegate,
    /// cgroups(7)): limits are not among them.
    OwnCgroup { path: PathBuf, uid: u32 },
    /// Controllers of a v2 cgroup for those below it, as far as it has them; `needed` it must have.
    HandDown { cgroup: PathBuf, wanted: Vec<String>, needed: Vec<String> },
    /// The processes of another cgroup, and of those below it, are in this one: v1, where a process is in
    /// one cgroup of each hierarchy. Undone: they are in the one above.
    Adopt { cgroup: PathBuf, from: PathBuf },
    /// Rules for devices, as a program on a v2 cgroup (bpf(2)); in place of those from before at once. In
    /// order: a later one wins, and what none speaks of is denied. It goes with the cgroup.
    DeviceFilter { cgroup: PathBuf, rules: Vec<Access> },
    /// Rules for devices in the files of a v1 cgroup, in order. Those that hold already are not written: who is
    /// in it is never without a device that it has before and after. Undone: what is known from before.
    DeviceRules {
        cgroup: PathBuf,
        rules: Vec<Access>,
        /// What it granted before, for an update that fails.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<Vec<Access>>,
    },
    /// A cpuset of v1 gets the processors and memory nodes of the one above, where it has none: it takes
    /// nobody in before (cpuset(7)).
    Inherit { cpuset: PathBuf },
    /// All processes of a cgroup are stopped, or go on: v1 by freezer.state, v2 by cgroup.freeze. Done
    /// when they are.
    Freeze { cgroup: PathBuf, v2: bool, frozen: bool },
    /// The caller moves itself into a cgroup, by the file `tasks` (v1) or `cgroup.procs` (v2).
    JoinCgroup { path: PathBuf, file: String },

    /// A group of the resctrl file system (Intel RDT), with lines of its `schemata`, and a monitoring
    /// group in it. Undone: a group that is the container's `own` goes.
    Rdt {
        group: PathBuf,
        own: bool,
        schemata: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        monitor: Option<PathBuf>,
    },

    /// setsid(2).
    Session {},
    /// A new pseudoterminal of the devpts below `root` as stdio and, of who leads a session, controlling
    /// terminal, and as /dev/console; its master goes to the parent. `size`: rows and columns.
    Terminal {
        root: PathBuf,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<(u16, u16)>,
        /// Newlines are printed as they are: another terminal comes after it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        plain: bool,
    },
    /// The terminal on stdin becomes the controlling one of the caller, who leads a session (TIOCSCTTY).
    Control {},
    /// setrlimit(2).
    Rlimit { kind: String, soft: u64, hard: u64 },
    /// How soon the kernel ends the process when memory runs out: proc(5), oom_score_adj.
    OomScore { score: i64 },
    /// sched_setattr(2): a policy with what it takes. Times are nanoseconds.
    Scheduler {
        policy: String,
        nice: i32,
        priority: u32,
        flags: Vec<String>,
        runtime: u64,
        deadline: u64,
        period: u64,
    },
    /// ioprio_set(2), by the class's name and the priority in it, 0 (first served) to 7.
    IoPriority { class: String, priority: u32 },
    /// sched_setaffinity(2): the processors that it may run on.
    Affinity { cpus: Vec<u32> },
    /// set_mempolicy(2): the NUMA nodes that its memory comes from.
    MemoryPolicy { mode: String, nodes: Vec<u32>, flags: Vec<String> },
    /// personality(2): `LINUX` or `LINUX32`.
    Personality { domain: String },
    /// The session keyring of a name in place of the caller's, whose keys are out of reach then;
    /// `search` is added to who may search it (keyctl_setperm(3)).
    Keyring { name: String, search: u32 },
    /// What `apparmor` or `selinux` takes the program for that is exec'd.
    Label { module: String, label: String },
    /// umask(2).
    Umask { mask: u32 },
    /// The bounding set is no more than these.
    Bound { capabilities: Vec<String> },
    /// Pipes among the standard streams, and a terminal made for the process, belong to the user
    /// (fchown(2)), who may then open them again by /dev/stdout. The caller's files stay as they are.
    Streams { uid: u32, terminal: bool },
    /// setgroups(2), setresgid(2), setresuid(2); permitted capabilities stay until `Caps`.
    User { uid: u32, gid: u32, groups: Vec<u32> },
    /// capset(2) and the ambient set.
    Caps { effective: Vec<String>, permitted: Vec<String>, inheritable: Vec<String>, ambient: Vec<String> },
    /// PR_SET_NO_NEW_PRIVS.
    NoNewPrivs {},
    /// seccomp(2): a filter of system calls as `LENGTH,CODE JT JF K,...`, its flags by their names, and
    /// whom it asks where it asks somebody.
    Seccomp { filter: String, flags: Vec<String>, ask: Option<Ask> },
    /// PR_SET_DUMPABLE off until exec: to those it joins, /proc shows nothing of this process; by
    /// its `exe` they could write to the program on the host (CVE-2019-5736).
    Hide {},
    /// chdir(2); made where missing if `make`. Where the caller's rights do not suffice (root's, on a
    /// share of another machine's), with those of the `user` that it is about to become.
    Chdir {
        path: PathBuf,
        make: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<(u32, u32)>,
    },
    /// PR_SET_PDEATHSIG.
    DieWithParent {},
    /// Looks for the program that [`Act::Exec`] will run, and whether it may be run.
    LookUp { args: Vec<String>, env: Vec<String> },
    /// The process tells its parent that it is made, and waits until it is told to go on.
    Wait {},
    /// A hook of the runtime specification (config.md, POSIX-platform Hooks): a program with the
    /// container's state on its stdin, in the namespaces of whoever does the step, with the pid as that one
    /// sees it; `timeout` in seconds.
    Hook {
        kind: String,
        path: PathBuf,
        args: Vec<String>,
        env: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<PathBuf>,
        timeout: Option<u64>,
        state: serde_json::Value,
    },
    /// Default signals, close-on-exec from descriptor `fds` on, execve(2); a name without a slash
    /// is looked up in the PATH of `env`.
    Exec { args: Vec<String>, env: Vec<String>, fds: u32 },
}

/// How users and groups of a source show at its destination (mount_setattr(2), ID-mapped mounts).
/// Each range: first id there, first id shown, how many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdMap {
    /// Users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uids: Vec<[u32; 3]>,
    /// Groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gids: Vec<[u32; 3]>,
    /// As in this user namespace, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userns: Option<PathBuf>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn character() -> String {
    "c".into()
}

fn is_character(kind: &str) -> bool {
    kind == "c"
}

/// One limit of a cgroup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The file.
    pub file: String,
    /// What is written into it.
    pub text: String,
    /// Another file and its text, for a kernel that has not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub or: Option<(String, String)>,
    /// A kernel without the file does what is asked for already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// What it said before, for an update that fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<String>,
}

/// Who answers what a filter asks (seccomp_unotify(2)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)]
pub enum Ask {
    /// An agent: over its unix socket it gets the listener and this state (config-linux.md, The
    /// Container Process State), in which the sender puts the pid.
    Agent { path: PathBuf, state: serde_json::Value },
    /// Whoever started the process: is asked instead of a denial, tells of it, and denies.
    Parent {},
}
