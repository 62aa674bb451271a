#!/bin/sh
# The printed shell is true: what -n shows leaves the same as the tool itself.
# timeout 120
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
image

before=$(snapshot)

# Two containers; whatever is done to one by the tool is done to the other by the shell it prints.
stave unpack busybox | stave new tool - >/dev/null
stave unpack busybox | stave new shell - >/dev/null
tool=$(id_of tool) shell=$(id_of shell)

# state ID: all that a container has in the kernel and on disk, without its id.
state() {
  {
    grep "$1" /proc/self/mountinfo | cut -d' ' -f4- | sed 's/shared:[0-9]*//; s/net:\[[0-9]*\]//; s/:\[[0-9]*\]//'
    [ ! -d "$STAVE_RUN/$1" ] || find "$STAVE_RUN/$1" -printf '%P %m %y\n' | sort
    [ ! -e "$STAVE_RUN/$1/ns/uts" ] || nsenter --uts="$STAVE_RUN/$1/ns/uts" hostname
    [ ! -e "$STAVE_RUN/$1/ns/net" ] || nsenter --net="$STAVE_RUN/$1/ns/net" ip -o addr
    for dir in $(cgroups "$1"); do
      echo "$dir"
      for file in memory.limit_in_bytes memory.max cpu.cfs_quota_us cpu.cfs_period_us cpu.max pids.max devices.list; do
        [ ! -f "$dir/$file" ] || { echo "$file" && cat "$dir/$file"; }
      done
    done
    jq -c 'del(.stave.created, .stave.name, .process.args)' "$STAVE_ROOT/c/$1/config.json"
    find "$STAVE_ROOT/c/$1" -maxdepth 1 -printf '%P %m %y %U\n' | sort
  } 2>&1 | sed "s/$1/ID/g; s/valid_lft.*//"
}

# both STAGE FLAGS...
both() {
  stage=$1
  shift
  what="stave $stage -n | sh -e leaves what stave $stage leaves"
  stave "$stage" "$@" tool >/dev/null
  stave "$stage" -n "$@" shell >script
  try sh -e script
  is "$what: it runs" "$status$err" 0
  is "$what" "$(state "$shell")" "$(state "$tool")"
}
both mount -v /etc:/mnt/etc:ro --tmpfs /scratch:size=1m
both ns --hostname cask
both limit -m 32M --cpus 0.25 --pids-limit 40

full=$(state "$tool")
for stage in mount ns limit; do
  ok "$stage twice is fine" stave "$stage" tool
  stave "$stage" -n shell >script
  ok "and so is its shell" sh -e script
done
is 'and changes nothing' "$(state "$tool")" "$full"
is 'by the shell neither' "$(state "$shell")" "$full"

# spawn as shell: the workload sees the same.
cat >probe <<'END'
id; hostname; pwd; ls /dev; ls /mnt/etc/passwd
grep -E 'Cap|NoNew|Uid|Gid|Groups' /proc/self/status
cut -d' ' -f4- /proc/self/mountinfo | sed 's/^\(.*\) - /\1 - /; s/master:[0-9]*//; s/shared:[0-9]*//' | sort
cat /proc/self/cgroup | sort
echo "pid $$"
env | grep -v '^_=\|^SHLVL=\|^PWD=\|^OLDPWD=' | sort
END
probe=$(cat probe)
inside() { sed "s/$tool/ID/g; s/$shell/ID/g"; }
stave spawn tool -- sh -c "$probe" 2>&1 </dev/null | inside >by_tool
stave spawn -n shell -- sh -c "$probe" >script
sh script 2>&1 </dev/null | inside >by_shell
stave spawn shell -- true # for the record of a run, which only the tool keeps
is 'stave spawn -n | sh shows the workload the same' "$(cat by_shell)" "$(cat by_tool)"
like 'which is a container' "$(cat by_tool)" '^CapEff:.00000000a80425fb$'

# The other way, too.
undone() {
  stave "$1" --undo tool >/dev/null
  stave "$1" --undo -n shell >script
  try sh -e script
  is "$1 --undo -n | sh -e runs" "$status$err" 0
  is "$1 --undo -n | sh -e takes away what $1 --undo does" "$(state "$shell")" "$(state "$tool")"
}
undone limit
is 'no cgroup is left' "$(cgroups "$tool")" ''
undone ns
undone mount
is 'no mount is left' "$(mounts "$T")" ''
for stage in limit ns mount; do
  ok "$stage --undo twice is fine" stave "$stage" --undo tool
  stave "$stage" --undo -n shell >script
  ok 'and so is its shell' sh -e script
done
stave rm -n shell >script
ok 'rm -n | sh -e' sh -e script
ok 'rm' stave rm tool
nothing_left 'nothing is left by either' "$before"

# run, as steps and as the pipeline, prints what the run prints.
run='-m 32M --hostname cask -e A=1 -w /srv -u web busybox sh -c'
look='id; hostname; pwd; echo $A; grep Cap /proc/self/status; ls /dev; exit 3'
# shellcheck disable=SC2086 # words
wanted=$(stave run --rm $run "$look" 2>&1; echo "status $?")
like 'a run' "$wanted" '^status 3$'
# shellcheck disable=SC2086 # words
stave run -nn $run "$look" >script
is 'stave run -nn | sh -e is the run' "$(sh -e script 2>&1; echo "status $?")" "$wanted"
# shellcheck disable=SC2086 # words
stave run -n $run "$look" >script
is 'the pipeline is one line' "$(wc -l <script)" 1
is 'stave run -n | sh is the run' "$(sh script 2>&1; echo "status $?")" "$wanted"
# shellcheck disable=SC2046 # one word an id
ok 'what these two left goes' stave rm $(stave ps -aq)
nothing_left 'and nothing is left' "$before"
