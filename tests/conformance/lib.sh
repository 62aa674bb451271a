# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # quoted for inner shells; lib.sh gives and reads words of ours
# Sourced by the scripts 420-429 after lib.sh: a bundle of its own, and words to drive a runtime with it.
# Each check begins with the number of what it holds in musts.tsv. RUNTIME names another runtime: what
# runc and crun say to a check tells whether the check or the runtime is wrong.

runtime=${RUNTIME:-stave-oci}
need jq "$runtime"
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs
bundle=$T/bundle
mkdir "$bundle" && cp -a "$B" "$bundle/rootfs"
id=none
number=0

# rt WORD...: the runtime, with its state in a place of its own.
rt() {
  "$runtime" --root "$T/state" "$@"
}

# base: a config without anything unusual. Its cgroup is one for each container.
base() {
  jq -n --arg cgroup "/stave/conform-$$-$number" '
    def caps: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_MKNOD", "CAP_SETGID", "CAP_SETUID",
      "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_SETPCAP", "CAP_AUDIT_WRITE"];
    {
      ociVersion: "1.0.2",
      process: {
        args: ["true"], cwd: "/", env: ["PATH=/bin:/sbin:/usr/bin:/usr/sbin"], user: {uid: 0, gid: 0},
        capabilities: {bounding: caps, effective: caps, permitted: caps}
      },
      root: {path: "rootfs"},
      hostname: "conform",
      mounts: [
        {destination: "/proc", type: "proc", source: "proc"},
        {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=64k"]},
        {destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]}
      ],
      linux: {
        cgroupsPath: $cgroup,
        namespaces: [{type: "pid"}, {type: "mount"}, {type: "uts"}, {type: "ipc"}, {type: "network"}]
      }
    }'
}

# config FILTER [JQ ARGUMENT...]: the bundle's config is the base, changed so; $id is a new name.
config() {
  filter=$1
  shift
  number=$((number + 1))
  id=conform-$$-$number
  base | jq "$@" "$filter" >"$bundle/config.json" || exit 1
}

# runs SCRIPT [FILTER [JQ ARGUMENT...]]: a container runs it; $status, $out and $err are what came of it.
runs() {
  script=$1 also=${2:-.}
  [ $# -lt 2 ] || shift
  shift
  config ".process.args = [\"sh\", \"-c\", \$script] | $also" --arg script "$script" "$@"
  try rt run --bundle "$bundle" "$id" </dev/null
}

# holds WHAT SCRIPT [FILTER...]: the script succeeds in a container.
holds() {
  what=$1
  shift
  runs "$@"
  if [ "$status" = 0 ]; then pass "$what"; else fail "$what" "$*" "status $status" "$out" "$err"; fi
}

# prints WHAT WANTED SCRIPT [FILTER...]: this is what it prints in a container.
prints() {
  what=$1 wanted=$2
  shift 2
  runs "$@"
  if [ "$status" = 0 ]; then is "$what" "$out" "$wanted"; else fail "$what" "status $status" "$out" "$err"; fi
}

# creates FILTER [JQ ARGUMENT...]: a container, created. Its process holds $T/log, not our pipes.
creates() {
  config "$@"
  try rt create --bundle "$bundle" --pid-file "$T/pid" "$id" </dev/null
  pid=$(cat "$T/pid" 2>/dev/null)
  rm -f "$T/pid"
  return "$status"
}

# rejects WHAT FILTER [JQ ARGUMENT...]: create fails, and no container of that name is there.
rejects() {
  what=$1
  shift
  if creates "$@"; then
    fail "$what" "create succeeds with $*"
  elif rt state "$id" >/dev/null 2>&1; then
    fail "$what" 'create fails, but the container is there' "$err"
  else
    pass "$what"
  fi
  gone
}

# gone: the last container is taken away, whatever became of it.
gone() {
  rt delete --force "$id" >/dev/null 2>&1
}

# status_of ID
status_of() {
  rt state "$1" 2>/dev/null | jq -r .status
}

# becomes STATUS: the last container is soon so.
becomes() {
  soon sh -c '[ "$("$0" --root "$1" state "$2" | jq -r .status)" = "$3" ]' "$runtime" "$T/state" "$id" "$1"
}

# lives PID: it is there and no zombie.
lives() {
  [ -n "$1" ] && [ -e "/proc/$1/ns/mnt" ] && ! grep -q '^State:.[ZX]' "/proc/$1/status" 2>/dev/null
}

# hierarchy NAME: where the last container's cgroup is, in that hierarchy of v1, or in v2's.
hierarchy() {
  path=$(jq -r .linux.cgroupsPath "$bundle/config.json")
  if v1; then echo "/sys/fs/cgroup/$1$path"; else echo "/sys/fs/cgroup$path"; fi
}
