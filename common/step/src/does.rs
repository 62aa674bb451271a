//! Doing and undoing.

use crate::unit::Unit;
use crate::{Act, Done, Fail, devices, exec, held, hook, idmap, limit, mounts, netdev, overlay, rdt};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use sys::inroot::{FileType, Node};
use sys::mount::Words;
use sys::{Errno, cgroup, cred, io, keyring, label, mount, ns, process, sched, tty};

type Result<T> = std::result::Result<T, Fail>;

impl Act {
    /// Makes it so. Steps of the child's side run between clone and exec in a process of one
    /// thread, so they may allocate.
    pub fn make(&self) -> Result<Done> {
        if !mounts::keeps_root(self) {
            mounts::forget_root();
        }
        match self {
            Act::Bundle { path, .. } => return mkdir(path, 0o700),
            Act::Mkdir { path, mode } => return mkdir(path, *mode),
            Act::Save { path, text, sync, .. } => save(path, text, *sync)?,
            Act::Name { link, target } => return name(link, target),
            Act::Write { path, text } => write(path, text)?,

            Act::Overlay { lower, upper, work, at, volatile, userxattr, idmap } => {
                let how = overlay::How { volatile: *volatile, userxattr: *userxattr, idmap: idmap.as_ref() };
                return overlay::mount(lower, upper, work, at, &how);
            }
            Act::Pass { path, gid } => {
                std::os::unix::fs::chown(path, None, Some(*gid))?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o710))?;
            }
            Act::Source { source, options, idmap } => {
                let tree = mounts::source_tree(Path::new(source), &Words::of(options), idmap.as_ref())?;
                held::hold(source, tree.into());
            }
            Act::Mount { root, to, source, kind, options, idmap, or } => mounts::Mounting {
                root,
                to,
                source,
                kind: kind.as_deref(),
                options,
                idmap: idmap.as_ref(),
                or: or.as_deref(),
            }
            .make()?,
            Act::Mask { root, path } => mounts::mask(root, path)?,
            Act::Readonly { root, path } => mounts::readonly(root, path)?,
            Act::Propagate { at, how } => mount::propagate(at, how)?,
            Act::PropagateHolder { of, how } => mount::propagate_holder(of, how)?,
            Act::Device { root, path, kind, major, minor, mode, uid, gid } => {
                let node = Node { kind: file_type(kind)?, major: *major, minor: *minor };
                mounts::device(root, path, node, *mode, (*uid, *gid))?;
            }
            Act::NullStreams { root } => return mounts::null_streams(root),
            Act::Dir { root, path } => mounts::dir(root, path)?,
            Act::Symlink { root, target, link } => mounts::symlink(root, target, link)?,
            Act::BindSelf { path } => mounts::bind_self(path)?,
            Act::PivotRoot { root, how } => mounts::pivot(root, how.as_deref())?,

            Act::Pin { kind, at } => {
                if matches!(mount::is_mount(at), Ok(Some(mount::NSFS))) {
                    return Ok(Done::WasSo);
                }
                ns::pin(kind, at)?;
            }
            Act::Setns { kind, path } => ns::join(kind, path)?,
            Act::SetnsProcess { pid, kinds } => ns::join_process(*pid, kinds)?,
            Act::Unshare { kind } => ns::unshare(kind)?,
            // Done by the launch, which owns both sides of it.
            Act::Clone { .. } => return Err(Errno(sys::ENOSYS).into()),
            Act::MapIds { uids, gids } => return idmap::are(uids, gids).map(|()| Done::WasSo),
            Act::Root {} => cred::become_root()?,
            Act::Hostname { name, ns } => ns::within("uts", ns.as_deref(), || ns::set_hostname(name))?,
            Act::Domainname { name } => ns::set_domainname(name)?,
            Act::LinkUp { name, ns } => ns::within("network", ns.as_deref(), || ns::link_up(name))?,

            Act::Cgroup { path, .. } => return make_cgroup(path),
            Act::Renew { cgroup } => return renew(cgroup),
            Act::Unit { .. } | Act::Attach { .. } => return self.make_for(process::pid()),
            Act::UnitLimit { name, user, cgroup, set } => {
                return Unit { name, user: *user, cgroup }.set(set);
            }
            Act::Members { .. } => return Ok(Done::WasSo),
            Act::JoinCgroup { path, file } => {
                // "0" is the writer itself: for a v1 `tasks` file the kernel then takes no lock
                // over all processes (20 us instead of 14 ms).
                Act::Write { path: path.join(file), text: "0".into() }.make()?;
            }

            Act::Limit { cgroup, set } => limit::write(cgroup, set)?,
            Act::OwnCgroup { path, uid } => limit::own(path, *uid)?,
            Act::HandDown { cgroup, wanted, needed } => return limit::hand_down(cgroup, wanted, needed),
            Act::Adopt { cgroup, from } => return limit::adopt(cgroup, from),
            Act::DeviceFilter { cgroup, rules } => limit::filter_devices(cgroup, rules)?,
            Act::DeviceRules { cgroup, rules, .. } => return devices::write(cgroup, rules),
            Act::Inherit { cpuset } => limit::inherit(cpuset)?,
            Act::Freeze { cgroup, v2, frozen } => freeze(cgroup, *v2, *frozen)?,

            Act::Session {} => process::setsid()?,
            Act::Terminal { .. } => return Err(Errno(sys::ENOTTY).into()),
            Act::Node { .. } | Act::Rdt { .. } | Act::NetDevice { .. } => {
                return self.make_for(process::pid());
            }
            Act::Control {} => tty::control(std::io::stdin())?,
            Act::Rlimit { .. } | Act::OomScore { .. } | Act::Scheduler { .. } | Act::IoPriority { .. } => {
                return self.make_for(0);
            }
            Act::Affinity { cpus } => sched::set_affinity(cpus)?,
            Act::MemoryPolicy { mode, nodes, flags } => sched::set_memory_policy(mode, flags, nodes)?,
            Act::Personality { domain } => sched::set_personality(domain)?,
            Act::Keyring { name, search } => keyring::join_session(name, *search)?,
            Act::Label { module, label: text } => set_label(module, text)?,
            Act::Umask { mask } => {
                cred::set_umask(*mask);
            }
            Act::Bound { capabilities } => cred::bound(cred::mask(capabilities))?,
            Act::Streams { uid, terminal } => io::own_stdio(*uid, *terminal),
            Act::User { uid, gid, groups } => {
                cred::keep_caps(true)?;
                cred::set_user(*uid, *gid, groups).map_err(unmapped)?;
                cred::keep_caps(false)?;
            }
            Act::Caps { effective, permitted, inheritable, ambient } => cred::set_caps(&cred::Caps {
                effective: cred::mask(effective),
                permitted: cred::mask(permitted),
                inheritable: cred::mask(inheritable),
                ambient: cred::mask(ambient),
            })?,
            Act::NoNewPrivs {} => cred::no_new_privs()?,
            Act::Seccomp { filter, flags, ask: None } => {
                crate::seccomp::load(filter, flags, None)?;
            }
            // Done by the launch: it hands the listener on before the filter is in force.
            Act::Seccomp { .. } => {
                let why = "nobody is there who could take its listener";
                return Err(Fail { errno: Errno(sys::ENOSYS), why: Some(why.into()), status: None });
            }
            Act::Hide {} => cred::set_dumpable(false)?,
            Act::Chdir { path, make, user } => chdir(path, *make, *user)?,
            Act::DieWithParent {} => cred::die_with_parent()?,
            Act::LookUp { args, env } => exec::look_up(args, env)?,
            // Of the launch as well: there is somebody to tell.
            Act::Wait {} => return Err(Errno(sys::ENOSYS).into()),
            Act::Hook { .. } => return self.make_for(process::pid()),
            Act::Exec { args, env, fds } => return Err(exec::exec(args, env, *fds)),
        }
        Ok(Done::Made)
    }

    /// As [`Act::make`], for a process that is not the caller: `pid`, as the caller sees it; 0 is the
    /// caller.
    pub fn make_for(&self, pid: i32) -> Result<Done> {
        match self {
            Act::Hook { path, args, env, cwd, timeout, state, .. } => {
                let mut state = state.clone();
                state["pid"] = pid.into();
                hook::run(path, args, env.as_deref(), cwd.as_deref(), *timeout, &state.to_string())?;
                Ok(Done::Made)
            }
            Act::Source { source, options, idmap } => {
                let words = Words::of(options);
                let tree = mounts::source_of(pid, Path::new(source), &words, idmap.as_ref())?;
                held::hold(source, tree.into());
                Ok(Done::Made)
            }
            Act::Node { path, kind, major, minor, mode, uid, gid } => {
                let node = Node { kind: file_type(kind)?, major: *major, minor: *minor };
                let owner = (idmap::outside(pid, "uid_map", *uid)?, idmap::outside(pid, "gid_map", *gid)?);
                let Some(tree) = mounts::node(node, *mode, owner)? else { return Ok(Done::WasSo) };
                held::hold(&path.to_string_lossy(), tree.into());
                Ok(Done::Made)
            }
            // As the child sees the tree.
            Act::Overlay { .. } => ns::in_tree_of(pid, || Ok(self.make()))?,
            Act::Rdt { group, own, schemata, monitor } => {
                rdt::join(pid, group, *own, schemata, monitor.as_deref())
            }
            Act::Unit { name, user, cgroup, properties } => {
                Unit { name, user: *user, cgroup }.start(properties, pid)
            }
            Act::Attach { name, user, cgroup, below } => {
                Unit { name, user: *user, cgroup }.attach(below, pid)
            }
            Act::NetDevice { device, name } => netdev::move_in(pid, device, name),
            Act::MapIds { uids, gids } => idmap::write(pid, uids, gids).map(|()| Done::Made),
            Act::Rlimit { kind, soft, hard } => {
                Ok(cred::set_rlimit(pid, kind, *soft, *hard).map(|()| Done::Made)?)
            }
            Act::OomScore { score } => {
                let whose = if pid == 0 { "self".to_owned() } else { pid.to_string() };
                let path = format!("/proc/{whose}/oom_score_adj").into();
                Act::Write { path, text: score.to_string() }.make()
            }
            Act::Scheduler { policy, nice, priority, flags, runtime, deadline, period } => {
                let (nice, priority) = (*nice, *priority);
                let (runtime, deadline, period) = (*runtime, *deadline, *period);
                let share = sched::Share { nice, priority, runtime, deadline, period };
                Ok(sched::set_scheduler(pid, policy, flags, &share).map(|()| Done::Made)?)
            }
            Act::IoPriority { class, priority } => {
                Ok(sched::set_io_priority(pid, class, *priority).map(|()| Done::Made)?)
            }
            _ => self.make(),
        }
    }

    /// Looks at what the step will change, so that undoing it can change it back; for the steps of which
    /// that is known.
    pub fn remember(&mut self) {
        match self {
            Act::Limit { cgroup, set } | Act::UnitLimit { cgroup, set, .. } => limit::remember(cgroup, set),
            Act::DeviceRules { cgroup, former, .. } => *former = devices::list(cgroup).ok(),
            _ => {}
        }
    }

    /// Takes away what [`Act::make`] left for others to see; what dies with a process needs none.
    /// Already gone is fine.
    pub fn undo(&self) -> Result<()> {
        match self {
            Act::Bundle { path, ids } => match (remove_tree(path), ids) {
                (Err(e), Some(ids)) if matches!(e.errno, Errno(sys::EPERM | sys::EACCES)) => {
                    idmap::within(&ids.uids, &ids.gids, || remove_tree(path))?;
                }
                (other, _) => other?,
            },
            Act::Mkdir { path, .. } => match fs::remove_dir(path) {
                Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => {} // somebody else's
                other => gone_is_fine(other)?,
            },
            Act::Save { path, former: Some(former), sync, .. } => save(path, former, *sync)?,
            Act::Name { link, target } if fs::read_link(link).is_ok_and(|t| t == Path::new(target)) => {
                gone_is_fine(fs::remove_file(link))?;
            }
            Act::Overlay { at, .. } => mount::umount_all(at)?,
            Act::Rdt { group, own, monitor, .. } => rdt::leave(group, *own, monitor.as_deref())?,
            Act::BindSelf { path } => mount::umount_top(path)?,
            Act::Mount { root, to, .. } => {
                if let Some(at) = mounts::place(root, to) {
                    mount::umount_all(&at)?;
                }
            }
            Act::Pin { at, .. } => {
                mount::umount_all(at)?;
                gone_is_fine(fs::remove_file(at))?;
            }
            Act::Adopt { cgroup, .. } => drop(limit::leave(cgroup)?),
            Act::Members { cgroup } => cgroup::kill(cgroup)?,
            Act::Limit { cgroup, set } => limit::back(cgroup, set),
            Act::DeviceRules { cgroup, former: Some(former), .. } => devices::again(cgroup, former),
            Act::Unit { name, user, cgroup, .. } => Unit { name, user: *user, cgroup }.stop()?,
            Act::UnitLimit { name, user, cgroup, set } => {
                Unit { name, user: *user, cgroup }.set(&limit::former_of(set))?;
            }
            Act::Cgroup { path, shared: false } => cgroup::remove(path)?,
            Act::Cgroup { path, shared: true } => {
                let _ = fs::remove_dir(path); // others may be in it
            }
            _ => {}
        }
        Ok(())
    }
}

fn chdir(path: &Path, make: bool, user: Option<(u32, u32)>) -> Result<()> {
    if make && !path.exists() {
        let _ = fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    }
    match (std::env::set_current_dir(path), user) {
        (Err(e), Some((uid, gid))) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            cred::as_fs_user(uid, gid, || std::env::set_current_dir(path))?;
        }
        (other, _) => other?,
    }
    // Where a link led out of the root, the kernel knows no path to it.
    std::env::current_dir().map(drop).map_err(|e| Fail {
        errno: e.into(),
        why: Some("it lies outside the root".into()),
        status: None,
    })
}

/// Of the letter that mknod(1) has for it.
fn file_type(letter: &str) -> Result<FileType> {
    match letter {
        "c" => Ok(FileType::CharacterDevice),
        "b" => Ok(FileType::BlockDevice),
        "p" => Ok(FileType::Fifo),
        _ => Err(Errno(sys::EINVAL).into()),
    }
}

/// What a user namespace refuses.
fn unmapped(errno: Errno) -> Fail {
    let why = match errno {
        Errno(sys::EINVAL) => Some("no such id in its user namespace".into()),
        Errno(sys::EPERM) if ns::in_user_namespace() => {
            Some("its user namespace denies setgroups, so process.user.additionalGids cannot be had".into())
        }
        _ => None,
    };
    Fail { errno, why, status: None }
}

fn set_label(module: &str, text: &str) -> Result<()> {
    let which = match module {
        "apparmor" => label::Module::AppArmor,
        "selinux" => label::Module::Selinux,
        _ => return Err(Errno(sys::EINVAL).into()),
    };
    label::on_exec(which, text).map_err(|errno| Fail {
        errno,
        why: match errno {
            Errno(sys::ENOSYS) => Some(format!("this kernel does not run {module}")),
            Errno(sys::EXDEV) => Some("/proc of the container is not the kernel's".into()),
            Errno(sys::ENOENT) if which == label::Module::AppArmor => {
                Some("no such profile is loaded".into())
            }
            _ => None,
        },
        status: None,
    })
}

fn gone_is_fine(result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => Ok(other?),
    }
}

fn mkdir(path: &Path, mode: u32) -> Result<Done> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(Done::Made),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(Done::WasSo),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let parent = path.parent().ok_or(Errno(sys::ENOENT))?;
            fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
            match fs::DirBuilder::new().mode(mode).create(path) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(Done::WasSo),
                other => Ok(other.map(|()| Done::Made)?),
            }
        }
        Err(e) => Err(e.into()),
    }
}

/// One that does not come to it in time is told why, as far as it can be seen.
fn freeze(cgroup: &Path, v2: bool, frozen: bool) -> Result<()> {
    let timed_out = Errno(sys::ETIMEDOUT);
    let why = |errno| match cgroup::frozen_above(cgroup, v2) {
        Some(above) if errno == timed_out && !frozen => {
            Some(format!("it is frozen by a cgroup above: {}", above.display()))
        }
        _ if errno == timed_out && frozen => Some("its processes have not stopped in two seconds".into()),
        _ => None,
    };
    cgroup::freeze(cgroup, v2, frozen).map_err(|errno| Fail { errno, why: why(errno), status: None })
}

fn renew(cgroup: &Path) -> Result<Done> {
    if !cgroup.is_dir() || !cgroup::all_procs(cgroup).is_empty() {
        return Ok(Done::WasSo);
    }
    match cgroup::remove(cgroup) {
        // Somebody came.
        Err(Errno(16)) => Ok(Done::WasSo),
        other => Ok(other.map(|()| Done::Made)?),
    }
}

/// The parent may be taken away by another container's undo between the two calls.
fn make_cgroup(path: &Path) -> Result<Done> {
    let mut tries = 0;
    let done = loop {
        match mkdir(path, 0o755) {
            Err(e) if e.errno == Errno(sys::ENOENT) && tries < 100 => tries += 1,
            other => break other?,
        }
    };
    // Below one of threads a new one is there, but takes nobody in (cgroups(7), Thread mode).
    if fs::read_to_string(path.join("cgroup.type")).is_ok_and(|t| t.trim() == "domain invalid") {
        if done == Done::Made {
            let _ = fs::remove_dir(path);
        }
        let above = path.parent().unwrap_or(path).display();
        let why = format!("{above} is threaded: no container can be in a cgroup below it");
        return Err(Fail { errno: Errno(sys::EOPNOTSUPP), why: Some(why), status: None });
    }
    Ok(done)
}

/// Post-condition: the file holds all of the text, or what it held before.
fn save(path: &Path, text: &str, sync: bool) -> Result<()> {
    let dir = path.parent().ok_or(Errno(sys::ENOENT))?;
    let [a, b, c, d] = io::random::<4>()?;
    let temp = dir.join(format!(".{a:02x}{b:02x}{c:02x}{d:02x}.tmp"));
    let result = (|| {
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&temp)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        if sync {
            file.sync_all()?;
        }
        fs::rename(&temp, path)?;
        if sync { fs::File::open(dir)?.sync_all() } else { Ok(()) }
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temp);
    }
    Ok(result?)
}

fn name(link: &Path, target: &str) -> Result<Done> {
    if let Some(dir) = link.parent() {
        mkdir(dir, 0o755)?;
    }
    match std::os::unix::fs::symlink(target, link) {
        Ok(()) => Ok(Done::Made),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            let holder = fs::read_link(link)?;
            if holder == Path::new(target) {
                return Ok(Done::WasSo);
            }
            if !link.exists() {
                // Its container is gone (a crash, a directory removed by hand).
                gone_is_fine(fs::remove_file(link))?;
                return name(link, target);
            }
            let id = holder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Err(Fail { errno: Errno(sys::EEXIST), why: Some(format!("taken by {id}")), status: None })
        }
        Err(e) => Err(e.into()),
    }
}

/// Removes a tree, never crossing into another file system: a mount that is still there stops it.
fn remove_tree(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e.into()),
        Ok(meta) => Ok(sys::inroot::remove_tree(path, meta.dev())?),
    }
}

/// The pty of [`Act::Terminal`]: made in the child, its master handed to `give`.
pub fn terminal(
    root: &Path,
    size: Option<(u16, u16)>,
    plain: bool,
    give: impl FnOnce(std::os::fd::BorrowedFd) -> sys::Result<()>,
) -> Result<()> {
    use std::os::fd::AsFd;
    let (master, slave) = tty::open_pair(root)?;
    if let Some((rows, columns)) = size {
        tty::set_size(&master, rows, columns)?;
    }
    if plain {
        tty::plain_newlines(&slave)?;
    }
    give(master.as_fd())?;
    for n in 0..3 {
        io::onto_stdio(&slave, n)?;
    }
    if process::leads_session() {
        tty::control(&slave)?;
    }
    // /dev/console is the terminal (runtime spec, config.md, process.terminal).
    if root != Path::new("/") {
        mounts::console(root, &slave)?;
    }
    Ok(())
}

/// Below /proc it is the kernel's own that is written to, whoever has put what there.
fn write(path: &Path, text: &str) -> Result<()> {
    if let Ok(below) = path.strip_prefix("/proc") {
        return sys::procfs::write(below, text).map_err(|errno| Fail {
            why: (errno == Errno(sys::EXDEV)).then(|| "what is at /proc is not the kernel's".into()),
            ..errno.into()
        });
    }
    let mut file = fs::File::options().write(true).custom_flags(sys::O_NONBLOCK).open(path)?;
    Ok(std::io::Write::write_all(&mut file, text.as_bytes())?)
}
