#!/bin/sh
# Bad input: one clear line, the right exit status, nothing left behind.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
image
before=$(snapshot)

# An empty pipe: the stage that broke has spoken.
for tool in 'unpack' 'new -' mount ns limit spawn keep; do
  # shellcheck disable=SC2086 # words
  try sh -c ": | stave $tool"
  is "an empty pipe into $tool: 1, silently" "$status$out$err" 1
done
# /dev/null and an empty file are no pipe: nobody spoke. The ends of a pipe fail with 125.
: >empty
for tool in 'unpack' 'new -' mount ns limit; do
  refuses "/dev/null into $tool" 1 'no document on stdin$' sh -c "stave $tool </dev/null"
  refuses "an empty file into $tool" 1 'no document on stdin$' sh -c "stave $tool <empty"
done
refuses '/dev/null into spawn' 125 'no document on stdin$' sh -c 'stave spawn </dev/null'
refuses '/dev/null into keep' 125 'no document on stdin$' sh -c 'stave keep </dev/null'

# Documents that are none.
while IFS='|' read -r what text; do
  printf '%s\n' "$text" >bad
  refuses "$what, from a pipe" 1 '^stave-mount: read the document: ' sh -c 'cat bad | stave mount'
  refuses "$what, from a file" 1 '^stave-mount: read the document: ' sh -c 'stave mount <bad'
done <<'END'
half a document|{"ociVersion":"1.0.2","process":{"args":["sh"
text|hello
a list|[{"stave":{}}]
a string where an object is due|{"stave":"x"}
nothing but brackets|}{
END
# wrong WHAT REGEX DOCUMENT: well formed, and refused.
wrong() {
  printf '%s\n' "$3" >bad
  refuses "$1" 1 "$2" sh -c 'stave limit <bad'
}
wrong 'an unknown v' '99' '{"stave":{"v":99}}'
wrong 'an id that leads elsewhere' 'id' '{"stave":{"v":1,"id":"../../etc"}}'
wrong 'a name that leads elsewhere' 'name' '{"stave":{"v":1,"name":"../x"}}'
wrong 'a limit that is no number' 'memory' '{"linux":{"resources":{"memory":{"limit":"64M"}}}}'
wrong 'resources that are no object' 'resources' '{"linux":{"resources":7}}'
nothing_left 'documents left nothing' "$before"

# Names and ids.
stave new web >/dev/null
refuses 'a name that is taken' 1 "web.*taken by $(id_of web)" stave new web
is 'the loser left no directory' "$(stave ps -aq)" "$(id_of web)"
for tool in mount ns limit inspect wait kill rm 'exec' 'join' spawn keep; do
  case $tool in exec) tail=true s=125 ;; join) tail='-- true' s=125 ;; spawn | keep) tail='' s=125 ;; *) tail='' s=1 ;; esac
  # shellcheck disable=SC2086 # words
  refuses "$tool of an unknown id" $s '(no container nosuch|nosuch.*no container)' stave $tool nosuch $tail
done
for word in '' . .. ../c ' '; do
  refuses "rm of '$word'" 1 'no container' stave rm "$word"
done
echo '{"stave":{"v":1,"id":"abc111111111"}}' | stave new - >/dev/null
echo '{"stave":{"v":1,"id":"abc222222222"}}' | stave new - >/dev/null
refuses 'a beginning that two ids have' 1 'abc is ambiguous: abc111111111, abc222222222' stave inspect abc
ok 'one that only one has' stave inspect abc1
ok 'rm' stave rm web abc1 abc2
for name in '' a/b .hidden -x 'a b' "$(printf 'a\nb')"; do
  refuses "the name '$name'" 2 'name|argument' stave new "$name"
done

# Images.
refuses 'no such image; the nearest name is shown' 125 'no image busybux.*busybox' stave run --pull never busybux true
refuses 'unpack says so too' 1 'no image busybux.*busybox' stave unpack busybux
refuses 'a file that is not there' 1 'nosuch.tar: No such file' stave load nosuch.tar
echo 'not an archive' >text
refuses 'a file that is no archive' 1 'load text: ' stave load text
refuses 'an empty archive' 1 'load empty: ' stave load empty
try sh -c ': | stave load'
is 'an empty pipe into load: 1, silently' "$status$out$err" 1
head -c 100000 "$prepared/busybox.tar" >short
refuses 'a truncated archive' 1 'load short: ' stave load -t short short

# Commands, each told apart. They lie in a root file system of their own.
cp -a "$B" tree && mkdir tree/bad && cd tree/bad || exit 1
echo 'echo hi' >plain && printf '#!/bin/sh\r\necho hi\r\n' >crlf && printf '#!/no/such/interpreter\n' >script
echo 'neither' >text && : >empty && cp /usr/bin/env loader && mkdir dir
{ printf '\177ELF\002\001\001' && head -c 9 /dev/zero && printf '\002\000\267\000\001\000\000\000' && head -c 40 /dev/zero; } >arm
chmod 755 crlf script text empty loader arm && chmod 644 plain
cd "$T" || exit 1
bad() { refuses "$1" "$2" "$3" stave run --rootfs "$T/tree" "$4"; }
bad 'not found in PATH' 127 'exec nosuch: not found in PATH$' nosuch
bad 'not found' 127 'exec /no/such: not found$' /no/such
bad 'not executable' 126 'exec /bad/plain: not executable \(mode 0644\)$' /bad/plain
bad 'no ELF loader' 126 'exec /bad/loader: its ELF loader /lib64/ld-linux-x86-64.so.2 is not there$' /bad/loader
bad 'CRLF' 126 'exec /bad/crlf: its #! line ends in CRLF' /bad/crlf
bad 'no interpreter' 126 'exec /bad/script: its interpreter /no/such/interpreter is not there$' /bad/script
bad 'another architecture' 126 'exec /bad/arm: built for aarch64; this machine is ' /bad/arm
bad 'text' 126 'exec /bad/text: no program' /bad/text
bad 'an empty file' 126 'exec /bad/empty: an empty file$' /bad/empty
bad 'a directory' 126 'exec /bad/dir: is a directory$' /bad/dir
bad 'the empty word' 127 "exec '': not found in PATH\$" ''
refuses 'in the background too' 127 'exec nosuch: not found in PATH$' stave run -d --rootfs "$T/tree" nosuch
refuses 'a working directory that is a file' 125 'chdir|change directory to /bad/text: Not a directory' stave run -w /bad/text --rootfs "$T/tree" true

# Words.
refuses '64Q' 2 "64Q.*not a size" sh -c 'stave limit -m 64Q </dev/null'
# shellcheck disable=SC2086 # the flags are words
words() { refuses "$1" 2 "$2" stave run $3 --rootfs "$T/tree" true; }
while IFS='|' read -r flags regex; do
  words "run $flags" "$regex" "$flags"
done <<'END'
-m 64Q|64Q
-m 0|0
--cpus -1|cpus|-1
--cpus 0.0001|cpus
--pids-limit many|many
--network nosuch|nosuch
-v rel:/x|rel
-v /etc:rel|rel
-v /etc:/x:nosuch|nosuch
--tmpfs rel|rel
--cap-add NOSUCH|NOSUCH
--hostname=|hostname
-w rel|rel
-e =x|name
--name a/b|a/b
--no-such|no-such
END
refuses 'a volume that is not there' 125 '/no/such is not there' stave run -v /no/such:/x --rootfs "$T/tree" true
refuses 'a root that is not there' 125 '/no/such: No such file' stave run --rootfs /no/such true
refuses 'a root that is a file' 125 'Not a directory' stave run --rootfs /etc/passwd true
refuses 'no root at all' 2 'no image' stave run
refuses 'a tool that is none' 2 "no tool 'nosuch'" stave nosuch
nothing_left 'words left nothing' "$before"

# A terminal where a document is due.
for tool in mount ns limit spawn keep unpack 'new -' load; do
  # shellcheck disable=SC2086 # words
  at stave $tool </dev/null
  is "$tool at a terminal: 2, at once" "$out" 'exit 2, cooked'
  like "$tool: and it says so" "$(cat typed)" "^stave-${tool% -}: stdin is a terminal: .*"
  is "$tool: in one line" "$(wc -l <typed)" 1
done

# No write access to cgroups.
if v1; then tree=/sys/fs/cgroup/pids; else tree=/sys/fs/cgroup; fi
# readonly COMMAND...: in a mount namespace where the cgroup tree can only be read
readonly_tree() { unshare -m sh -c 'mount -o remount,bind,ro "$0" && "$@"' $tree "$@"; }
refuses 'run, where the cgroup tree is read-only' 125 'cgroup.*: Read-only file system' readonly_tree stave run --rootfs "$T/tree" true
nothing_left 'nothing is left' "$before"
