#!/bin/sh
# Nothing of the host's can be reached by a descriptor (CVE-2024-21626): not by the working directory,
# not by the program, and a workload finds its three streams open, and what was said to be handed on.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs
echo secret >"$T/outside"
printf '#!/bin/sh\necho escaped\n' >"$T/prog" && chmod +x "$T/prog"
bundle box
# config FILTER: of the bundle.
config() { jq "$1" box/config.json >changed && mv changed box/config.json; }

# The caller holds the host's root at 9; whatever the tool itself holds lies anywhere.
look='cat ../../../../../../../../../../'"$T"'/outside outside'
got=''
for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  for dir in /proc/self/fd /proc/1/fd /dev/fd /proc/thread-self/fd; do
    for below in '' /.. "/../../../../../../..$T"; do
      config "$(printf '.process.args = ["sh", "-c", "%s"] | .process.cwd = "%s"' "$look" "$dir/$n$below")"
      got=$got$(oci run -b box "cwd$n" 2>/dev/null 9<"$T")
    done
  done
done
is 'a working directory at a descriptor: 192 of them' "$got" ''
got=''
for n in 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  config '.process.cwd = "/" | .process.args = ["/proc/self/fd/'$n'/prog"]'
  got=$got$(oci run -b box "prog$n" 2>/dev/null 9<"$T")
  config '.process.args = ["/proc/self/fd/'"$n/../../../../../../../..$T"'/prog"]'
  got=$got$(oci run -b box "prog$n" 2>/dev/null 9<"$T")
done
is 'a program at a descriptor' "$got" ''

# The image may say so as well: a link in it leads there.
ln -s /proc/self/fd/9 box/rootfs/work
config '.process.args = ["sh", "-c", "cat outside"] | .process.cwd = "/work"'
try oci run -b box link 9<"$T"
is 'a link to a descriptor as working directory' "$out" ''

# What is open: in pid 1, whether run at once or created and started later; in exec.
config '.process.cwd = "/" | .process.args = ["sh", "-c", "ls -l /proc/self/fd"]'
open() { grep -v 'cannot read' | sed -n 's/.* \([0-9]*\) -> .*/\1/p' | tr '\n' ' '; }
# ls reads the directory by one more, which is closed when it looks at it.
is 'run: three streams' "$(oci run -b box fds 9<"$T" 8<"$T/outside" | open)" '0 1 2 '
oci create -b box made 9<"$T" 8<"$T/outside" >fds </dev/null 2>&1
oci start made
soon grep -q ' 2 ->' fds
is 'create and start: the same' "$(open <fds)" '0 1 2 '
unlike 'and nothing of the host behind them' "$(cat fds)" 'socket|/proc/[0-9]+/ns|anon_inode'
oci delete -f made
is 'handed on: what was said, no more' "$(oci run --preserve-fds 1 -b box keep 3<"$T/outside" 4<"$T" 9<"$T" | open)" '0 1 2 3 '
# One that is said to be handed on and is a directory is the caller's own affair: but not where the container
# is to begin.
config '.process.args = ["sh", "-c", "cat outside"] | .process.cwd = "/proc/self/fd/3"'
try oci run --preserve-fds 1 -b box begin 3<"$T"
is 'one handed on is no working directory' "$out" ''

# exec: by its flags, and by a process that an engine wrote.
config '.process.cwd = "/" | .process.args = ["sleep", "1000"]'
oci run -d -b box web </dev/null >/dev/null 2>&1
got=''
for n in 3 4 5 6 7 8 9 10 11 12; do
  for below in '' "/../../../../../../..$T"; do
    got=$got$(oci exec --cwd "/proc/self/fd/$n$below" web sh -c "$look" 2>/dev/null 9<"$T")
    got=$got$(oci exec web "/proc/self/fd/$n$below/prog" 2>/dev/null 9<"$T")
  done
  jq --arg cwd "/proc/self/fd/$n" '.process | .cwd = $cwd | .args = ["cat", "outside"]' box/config.json >process.json
  got=$got$(oci exec --process process.json web 2>/dev/null 9<"$T")
done
is 'oci exec: neither directory nor program' "$got" ''
is 'oci exec: three streams' "$(oci exec web sh -c 'ls -l /proc/self/fd' 9<"$T" | open)" '0 1 2 '
jq '.process | {args: ["sh", "-c", "env; grep -E ^Cap.nh /proc/self/status"], cwd: "/"}' box/config.json >process.json
is 'what a process does not say is not the caller'"'"'s' "$(SECRET=1 oci exec --process process.json web | grep -c -e SECRET -e STAVE -e "^PATH=$PATH")" 0
oci delete -f web

# The same on the main road, with a terminal, in the background, by exec and join.
is 'stave run' "$(sh -c 'exec stave run --rm --rootfs "$B" sh -c "ls -l /proc/self/fd"' 9<"$T" | open)" '0 1 2 '
at sh -c 'exec stave run -t --rm --rootfs "$B" sh -c "ls -l /proc/self/fd"' 9<"$T" <<'END'
END
is 'with a terminal' "$(tr -d '\r' <typed | open)" '0 1 2 '
stave run -d --name web --rootfs "$B" sh -c 'ls -l /proc/self/fd >/fds; sleep 1000' 9<"$T" >/dev/null
soon stave exec web grep -q ' 2 ->' /fds
is 'in the background' "$(stave exec web cat /fds | open)" '0 1 2 '
got=''
for n in 3 4 5 6 7 8 9 10 11 12; do
  for below in '' "/../../../../../../..$T"; do
    got=$got$(stave exec -w "/proc/self/fd/$n$below" web cat outside 2>/dev/null 9<"$T")
    got=$got$(stave exec web "/proc/self/fd/$n$below/prog" 2>/dev/null 9<"$T")
  done
done
is 'exec: neither directory nor program' "$got" ''
is 'exec: three streams' "$(stave exec web sh -c 'ls -l /proc/self/fd' 9<"$T" | open)" '0 1 2 '
is 'join: three streams' "$(stave join web -- sh -c 'ls -l /proc/self/fd' 9<"$T" | open)" '0 1 2 '
is 'pid 1 begins in the container' "$(stave exec web sh -c 'readlink /proc/1/cwd; readlink /proc/1/root')" '/
/'
stave rm -f web >/dev/null
