#!/bin/sh
# The main job, stage by stage: first a copy-on-write copy of this machine, then an image.
# shellcheck disable=SC2016 # the lines are shown first, and expanded when they run
set -eu
work=$(mktemp -d /tmp/stave-demo.XXXXXX)
export STAVE_ROOT="$work/root" STAVE_RUN="$work/run"
end() {
  for id in $(stave ps -aq); do stave rm -f "$id" >/dev/null; done
  rm -rf --one-file-system "$work"
}
trap end EXIT
bold=''; plain=''
[ ! -t 1 ] || { bold=$(printf '\033[1m'); plain=$(printf '\033[0m'); }
say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
# Shows a line of shell, then runs it in this shell.
run() { printf '%s$ %s%s\n' "$bold" "$1" "$plain"; eval "$1"; }

say 'A copy-on-write copy of this machine: no image, no registry, no daemon'
run 'stave new --host demo | jq -c .stave 2>/dev/null || stave inspect demo'
say 'Each stage leaves one thing behind. The root: an overlay over /'
run 'stave mount demo >/dev/null; findmnt -no TARGET,FSTYPE "$STAVE_ROOT/c/$(stave ps -aq)/rootfs"'
say 'Namespaces, pinned without a process'
run 'stave ns demo; ls "$STAVE_RUN/$(stave ps -aq)/ns"'
say 'A cgroup with limits'
run 'stave limit -m 64M --pids-limit 50 demo'
say 'And the process: pid 1, in all of it. What it changes stays in the copy'
run 'stave spawn demo -- sh -c "echo I am pid \$\$; hostname; touch /etc/changed; ls -l /etc/changed"'
run 'ls /etc/changed || :'
run 'stave rm demo; stave ps -a'

say 'The same from an image, in one pipe'
mkdir -p "$work/bb/bin" "$work/bb/etc" "$work/bb/root" "$work/bb/tmp"
cp /bin/busybox "$work/bb/bin/"
for a in $(/bin/busybox --list); do [ "$a" = busybox ] || ln -s busybox "$work/bb/bin/$a"; done
echo 'root:x:0:0:root:/root:/bin/sh' >"$work/bb/etc/passwd"
(cd "$work/bb" && tar -cf "$work/busybox.tar" .)
cd "$work"
run 'stave load -t busybox busybox.tar >/dev/null; stave images'
run 'stave unpack busybox | stave new web - | stave mount | stave ns | stave limit -m 64M | stave spawn -- sh -c "cat /proc/self/cgroup | head -3; ls /"'
run 'stave rm web'
say 'In one line; -n shows the pipeline'
run 'stave run --rm -m 64M busybox echo hello'
run 'stave run -n --rm -m 64M busybox echo hello'
say 'What a container wrote becomes an image; every byte of the store is accounted for'
run 'stave run --name job busybox sh -c "echo 42 >/answer"; stave diff job'
run 'stave pack -t answer job >/dev/null; stave run --rm answer cat /answer'
run 'stave images tree'
run 'stave save answer | tar -t | head -n 3'
run 'stave images why answer; stave images gc -n | tail -n 1'
run 'stave rm job'
say 'In the background: keep is its parent, exec enters it'
run 'stave run -d --name web busybox sleep 100'
run 'stave exec web ps'
run 'stave ps'
say 'Each stage can show itself as shell before it does anything'
run 'stave limit -m 32M -n web | grep -v devices'
run 'stave rm -f web'
say 'Nothing is left'
run 'stave ps -a; grep -c "$STAVE_ROOT" /proc/self/mountinfo || :'
