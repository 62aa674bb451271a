#!/bin/sh
# exec and join where it is hard: what is stopped, ending, shares the host's namespaces, or must not
# see what the caller has open.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs
before=$(snapshot)

# What the kernel says of a process, but for what is its own by nature.
traits() {
  grep -E '^(Uid|Gid|Groups|Umask|Cap[A-Z][a-z]*|NoNewPrivs|Seccomp|SigBlk|SigIgn|SigCgt):' "/proc/$1/status"
  for ns in cgroup ipc mnt net pid pid_for_children time user uts; do readlink "/proc/$1/ns/$ns"; done
  cat "/proc/$1/cgroup" "/proc/$1/limits" "/proc/$1/oom_score_adj"
  tr '\0' '\n' <"/proc/$1/environ" | sort
  readlink "/proc/$1/cwd"
  find "/proc/$1/fd" -type l | sed 's/.*\///' | sort
}

# compare WHAT FLAG...: exec's process is as the container's first, in every trait.
compare() {
  what=$1
  shift
  stave run -d --name web --rootfs "$B" "$@" sleep 1000 >/dev/null
  pid=$(stave ps --json | jq .pid)
  stave exec web sleep 1001 9<"$T" &
  soon pgrep -x -f 'sleep 1001'
  second=$(pgrep -x -f 'sleep 1001')
  is "exec is as pid 1: $what" "$(traits "$second")" "$(traits "$pid")"
  is "its parent is nobody within: $what" "$(stave exec web cut -d' ' -f4 /proc/self/stat)" 0
  kill -9 "$second"
  wait "$!" 2>/dev/null
  stave rm -f web >/dev/null
}
compare 'the default'
compare 'a user' -u web -w /tmp
compare 'no capability' --cap-drop ALL
compare 'all' --cap-add ALL
compare 'a user with groups and variables' -u 1000:2000 -e A=1 -e 'B=two words' -m 64M --read-only
compare 'network of the host' --network host
nothing_left 'nothing is left' "$before"

# By name, id, and a beginning of it.
stave run -d --name web -e A=1 --hostname cask --rootfs "$B" sleep 1000 >/dev/null
id=$(id_of web)
pid=$(stave ps --json | jq .pid)
is 'exec by name, id, and its beginning' "$(for word in web "$id" "${id%???????}"; do stave exec "$word" hostname; done)" 'cask
cask
cask'
refuses 'of what is not there' 125 'no container nosuch' stave exec nosuch true
refuses 'join as well' 125 'no container nosuch' stave join nosuch -- true

# Each cause of a command that does not start is told apart.
stave exec web sh -c 'printf "#!/no/such\n" >/a; printf "#!/bin/sh\r\n" >/b; printf "\177ELFrubbish" >/c; mkdir /d; chmod +x /a /b /c; mkdir -m 0 /e; cp /bin/true /e' >/dev/null
refuses 'no interpreter' 126 'exec /a: .*no/such' stave exec web /a
refuses 'a CR in it' 126 'exec /b: .*CRLF' stave exec web /b
refuses 'no program' 126 'exec /c: ' stave exec web /c
refuses 'a directory' 126 'exec /d: ' stave exec web /d
refuses 'a directory that is closed' 126 'exec /e/true: Permission denied' stave exec -u web web /e/true
refuses 'a word that is empty' 127 'exec' stave exec web ''
is 'what precedes the command is a flag, what follows is not' "$(stave exec -e A=2 web sh -c 'echo $A $0 $1' -e A=3)" '2 -e A=3'
is 'a working directory is made' "$(stave exec -w /new/one web pwd)" /new/one
is 'words stay words' "$(stave exec web printf '%s|' 'a  b' '' '*' "it's" '$A')" "a  b||*|it's|\$A|"

# stdin and stdout.
is 'stdin without -i is not eaten' "$(printf 'one\ntwo\n' | { stave exec web cat; cat; })" 'one
two'
is 'with -i only what is read is' "$(printf 'one\ntwo\n' >both; { stave exec -i web true; cat; } <both)" 'one
two'
is 'a reader that goes' "$(stave exec web yes 2>/dev/null | head -n 1)" y
try sh -c 'stave exec web sh -c "echo err >&2; exit 4" >&- 2>&-'
is 'without streams' "$status" 4
try sh -c 'stave exec -i web sh -c "read -r x; echo [\$x]" <&-'
is 'stdin closed is an empty one' "$status $out" '0 []'
is 'nothing else is open within' "$(stave exec -i web sh -c 'ls /proc/$$/fd; :' 7</dev/null 8>/dev/null 9<"$T" </dev/null | tr '\n' ' ')" '0 1 2 '
is 'nor is the directory of the caller' "$(stave exec web readlink /proc/self/cwd)" /

# Signals to exec are the command's. A shell lets what is in its background ignore INT and QUIT;
# env sets that right.
for signal in HUP INT QUIT USR1 USR2 TERM; do
  env --default-signal stave exec web sh -c "trap 'exit 8' $signal; touch /ready; while :; do sleep 0.02; done" &
  process=$!
  soon stave exec web test -e /ready
  kill -"$signal" "$process"
  wait "$process" && status=0 || status=$?
  is "$signal" "$status" 8
  stave exec web rm /ready
done
env --default-signal stave exec web sleep 1002 &
process=$!
soon pgrep -x -f 'sleep 1002'
kill -TERM "$process"
wait "$process" 2>/dev/null && status=0 || status=$?
is 'TERM ends what does not mind it' "$status" 143
ok 'and it is gone' soon sh -c '! pgrep -x -f "sleep 1002"'

# Pid 1 is stopped: exec needs nothing of it.
kill -STOP "$pid"
try timeout 5 stave exec web echo yes
is 'exec beside a pid 1 that is stopped' "$status $out" '0 yes'
try timeout 5 stave join web -- hostname
is 'join too' "$status $out" '0 cask'
kill -CONT "$pid"

# join: single namespaces, several, and none of the others.
all='cgroup ipc mnt net pid uts'
joined() {
  stave join "$@" web -- sh -c 'for ns in '"$all"'; do echo "$ns $(readlink /proc/self/ns/$ns)"; done' >got
  for ns in $all; do
    ! grep -qxF "$ns $(readlink "/proc/$pid/ns/$ns")" got || printf '%s ' "$ns"
  done
}
is 'join -u' "$(joined -u)" 'uts '
is 'join -i' "$(joined -i)" 'ipc '
is 'join --net' "$(joined --net)" 'net '
is 'join -C' "$(joined -C)" 'cgroup '
is 'join -c: the limits alone' "$(joined -c)" ''
is 'join -u -i --net' "$(joined -u -i --net)" 'ipc net uts '
is 'join -m: its files' "$(stave join -m web -- sh -c 'readlink /bin/sh')" busybox
is 'join: all' "$(joined)" "$all "
is 'without a command it is the shell of the caller' "$(echo 'echo $0' | SHELL=/bin/sh stave join -u web)" /bin/sh
is 'environment, directory and mask are the caller'"'"'s' "$(umask 027 && A=9 stave join -u web -- sh -c 'echo $A; pwd; umask')" "9
$T
0027"
refuses 'join: not found' 127 'nosuch: not found' stave join web -- nosuch
refuses 'join: not executable' 126 'not executable|Permission denied' stave join -u web -- /etc/passwd
refuses 'join: a flag that is none' 2 'see stave-join --help' stave join --nosuch web -- true
stave rm -f web >/dev/null

# What has only some namespaces: a limit and nothing more.
stave new box | stave limit --pids-limit 30 | stave keep -- sleep 1000 >/dev/null
is 'exec in a limit' "$(stave exec box readlink /proc/self/ns/pid /proc/self/ns/mnt)" "$(readlink /proc/self/ns/pid /proc/self/ns/mnt)"
like 'is in the limit' "$(stave exec box cat /proc/self/cgroup)" "/stave/$(id_of box)$"
refuses 'join of what it has not' 125 "its network namespace is the host's" stave join --net box -- true
# Without a pid namespace the end of pid 1 ends nobody else: rm does.
stave exec box sleep 1003 &
soon pgrep -x -f 'sleep 1003'
stave kill box >/dev/null
stave wait box >/dev/null
ok 'one that exec put there lives on' pgrep -x -f 'sleep 1003'
ok 'until rm' stave rm box
wait
ok 'takes it too' sh -c '! pgrep -x -f "sleep 1003"'
nothing_left 'nothing is left' "$before"

# A container that ends under exec: exec ends with it, and never hangs.
for n in 1 2 3 4; do
  stave run -d --rm --name web --rootfs "$B" sleep 1000 >/dev/null
  for m in 1 2 3 4; do timeout 10 stave exec web sleep 100 2>/dev/null; echo $? >"$T/ended.$n.$m"; done &
  soon pgrep -x -f 'sleep 100'
  stave kill web >/dev/null
  wait
  soon sh -c '[ -z "$(stave ps -aq)" ]' # --rm is on its way
done
unlike 'exec in one that ends: none hangs' "$(cat ended.*)" '^124$'
is 'each ends with 137 or 125' "$(cat ended.* | sort -u | tr '\n' ' ')" '125 137 '
nothing_left 'nothing is left' "$before"
