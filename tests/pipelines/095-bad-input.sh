#!/bin/sh
# What cannot be: one line that says why, the right status, and nothing left behind.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq gzip script
image
stave new held >/dev/null
held=$(id_of held)
stave new ambiguous-too >/dev/null
before=$(snapshot)

# with TEXT COMMAND...: TEXT on stdin, by a pipe.
with() {
  text=$1
  shift
  printf '%s' "$text" | "$@"
}

# Every tool that reads a document; those that run one fail with 125.
for words in 'new -' 'new web -' mount ns limit spawn keep; do
  tool=${words%% *}
  case $tool in spawn | keep) broken=125 ;; *) broken=1 ;; esac
  # shellcheck disable=SC2086 # words
  set -- stave $words
  try with '' "$@"
  is "$words: an empty pipe: silence, since the stage before has spoken" "$status/$out$err" 1/
  refuses "$words: nothing on stdin" $broken "^stave-$tool: no document on stdin$" "$@" </dev/null
  : >empty
  refuses "$words: an empty file" $broken "^stave-$tool: no document on stdin$" "$@" <empty
  refuses "$words: half a document" $broken "^stave-$tool: .*ends in its middle" with '{"ociVersion":"1.0.2"' "$@"
  refuses "$words: no JSON" $broken "^stave-$tool: .*not JSON" with 'FROM alpine' "$@"
  refuses "$words: bad JSON" $broken "^stave-$tool: .*not JSON" with '{"a":1,}' "$@"
  refuses "$words: an array" $broken "^stave-$tool: .*JSON object" with '[1]' "$@"
  refuses "$words: a version to come" $broken "^stave-$tool: .*stave.v 9" with '{"stave":{"v":9}}' "$@"
  refuses "$words: an id that is a path" $broken "^stave-$tool: .*id" with '{"stave":{"id":"../../etc"}}' "$@"
  [ "$words" = 'new web -' ] ||
    refuses "$words: a name that is a path" $broken "^stave-$tool: .*name" with '{"stave":{"name":"../x"}}' "$@"
  # script(1) gives a terminal as stdin; it prints what comes with a carriage return.
  try script -qec "$*; echo status \$?" /dev/null
  is "$words: a terminal" "$(printf '%s\n' "$out" | tr -d '\r')" "stave-$tool: stdin is a terminal: name a container, or pipe a document in
status 2"
done

# Shapes that a stage needs.
refuses 'mount: mounts that are no list' 1 '^stave-mount: .*mounts' \
  with '{"mounts":7}' stave mount -v /tmp:/x
refuses 'limit: a limit that is text' 1 '^stave-limit: .*limit' \
  with '{"linux":{"resources":{"memory":{"limit":"64M"}}}}' stave limit
refuses 'limit: resources that are a number' 1 '^stave-limit: .*resources' \
  with '{"linux":{"resources":7}}' stave limit
refuses 'ns: namespaces that are a number' 1 '^stave-ns: .*namespaces' \
  with '{"linux":{"namespaces":7}}' stave ns
refuses 'spawn: the same' 125 '^stave-spawn: .*namespaces' \
  with '{"process":{"args":["true"]},"linux":{"namespaces":7}}' stave spawn
refuses 'spawn: no command' 125 '^stave-spawn: .*no command' with '{"root":{"path":"/"}}' stave spawn
refuses 'spawn: args that are text' 125 '^stave-spawn: .*args' with '{"process":{"args":"true"}}' stave spawn
refuses 'spawn: an unknown namespace' 125 'moon' \
  with '{"linux":{"namespaces":[{"type":"moon"}]},"process":{"args":["true"]}}' stave spawn
# The runtime specification asks for a warning.
try with '{"process":{"args":["true"],"capabilities":{"bounding":["CAP_MOON"]}}}' stave spawn --rm
like 'spawn: an unknown capability is warned of' "$err" '^stave-spawn: .*CAP_MOON'
refuses 'mount: a lower directory that is not there' 1 '/no/such' \
  with '{"stave":{"layers":[{"dir":"/no/such"}]}}' stave mount

# A container that is not there, and one that is not the only one.
twin=$(printf '%s' "$held" | cut -c1-11)
case $held in *0) twin=${twin}1 ;; *) twin=${twin}0 ;; esac
mkdir "$STAVE_ROOT/c/$twin"
for words in 'mount ID' 'ns ID' 'limit ID' 'spawn ID' 'keep ID' 'exec ID true' 'join ID -- true' 'kill ID' 'wait ID' \
  'inspect ID' 'rm ID'; do
  tool=${words%% *}
  case $tool in spawn | keep | exec | join) broken=125 ;; *) broken=1 ;; esac
  # shellcheck disable=SC2046 # words
  refuses "$tool: an unknown container" $broken "^stave-$tool: no container nosuch$" stave $(echo "$words" | sed s/ID/nosuch/)
  # shellcheck disable=SC2046
  refuses "$tool: a path is no container" $broken "^stave-$tool: no container \.\./c/$held$" \
    stave $(echo "$words" | sed "s,ID,../c/$held,")
  # shellcheck disable=SC2046
  refuses "$tool: an ambiguous id" $broken "^stave-$tool: .*ambiguous: .*$held" \
    stave $(echo "$words" | sed "s/ID/$(printf '%s' "$held" | cut -c1-11)/")
done
rmdir "$STAVE_ROOT/c/$twin"
for words in 'exec held true' 'join held -- true' 'kill held'; do
  case $words in kill*) broken=1 ;; *) broken=125 ;; esac
  # shellcheck disable=SC2086
  refuses "$words: it does not run" $broken "held.*not run|not run.*held|held.*never started|$held" stave $words
done

# Names and images.
refuses 'new: a name taken' 1 "^stave-new: name held: taken by $held$" stave new held
refuses 'run: a name taken' 125 "^stave-run: name held: taken by $held$" stave run --name held busybox true
refuses 'run --rm: the same' 125 "^stave-run: name held: taken by $held$" stave run --rm --name held busybox true
like 'whoever has the name keeps it' "$(id_of held)" "^$held$"
for name in '' / .. . -x 'a b' 'a/b' "$(printf 'a\nb')" é; do
  refuses "new: '$(printf '%s' "$name" | tr '\n' ' ')' is no name" 2 'name' stave new "--" "$name"
done
refuses 'run: no such image, and the nearest' 125 '^stave-run: no image busibox; nearest: .*busybox' stave run --pull never busibox true
refuses 'unpack: no such image' 1 '^stave-unpack: no image busybox:nope; nearest: busybox:latest$' stave unpack busybox:nope
refuses 'run: no image at all' 2 '^stave-run: no image named' stave run

# Sizes and other words.
for words in '-m 64Q' '-m -2' '-m 0' '-m 1e3' '-m 99999999p' '--cpus 0' '--cpus -1' '--cpus nan' '--pids-limit x'; do
  # shellcheck disable=SC2086
  refuses "limit $words" 2 "^stave-limit: .*'${words##* }'.*see stave-limit --help" stave limit $words held
  # shellcheck disable=SC2086
  refuses "run $words" 2 "^stave-run: .*'${words##* }'" stave run $words busybox true
done
for words in '-v /no/such:/x' '-v x:/x' '-v /tmp' '-v :/x' '-v /tmp:x' '-v /tmp:/' '-v /tmp:/x:zz' '--tmpfs x' \
  '--tmpfs /x:zz=1' '--network moon' '--cap-add moon' '-w x' '-e =x' '--rootfs /no/such' '--rootfs /etc/passwd' '--moon'; do
  # shellcheck disable=SC2086
  try stave run --rm $words busybox true
  is "run $words: one line" "$(wc -l <err)" 1
  like "run $words: a status of ours" "$status" '^(2|125)$'
done
refuses 'stave: an unknown tool' 2 "^stave: no tool 'moon'" stave moon

# Commands that cannot run, each told apart.
cp -a "$B" tree
plain=tree/bin/plain
printf '#!/bin/sh\n' >$plain
printf '#!/bin/sh\r\necho hello\r\n' >tree/bin/crlf
printf '#!/no/such/sh\n' >tree/bin/nointerp
printf 'hello\n' >tree/bin/text
: >tree/bin/nothing
cp "$(command -v sleep)" tree/bin/dynamic
# Byte 18 of an ELF file is the machine: 183 is aarch64.
cp tree/bin/busybox tree/bin/foreign && printf '\267' | dd of=tree/bin/foreign bs=1 seek=18 conv=notrunc 2>/dev/null
chmod 755 tree/bin/*
chmod 644 $plain
ln -s nowhere tree/bin/dangling
for words in 'moon:127:not found in PATH' '/bin/moon:127:/bin/moon: not found' '/bin/plain:126:not executable \(mode 0644\)' \
  'plain:126:not executable' '/bin:126:is a directory' 'crlf:126:CRLF' 'nointerp:126:interpreter /no/such/sh is not there' \
  'text:126:neither ELF nor' 'nothing:126:empty file' 'dynamic:126:ELF loader .* is not there' \
  'foreign:126:built for aarch64' '/bin/dangling:12[67]:No such file'; do
  command=${words%%:*} says=${words#*:*:} wanted=${words#*:} && wanted=${wanted%%:*}
  try stave run --rm --rootfs tree "$command"
  like "$command: run gives $wanted" "$status" "^$wanted$"
  like "$command: run says why" "$err" "^stave-run: exec (/bin/)?${command#/bin/}: .*${says#*: }"
  is "$command: in one line" "$(wc -l <err)" 1
  stave new --rootfs tree | try stave spawn --rm -- "$command"
  stave new --rootfs tree >doc
  try stave spawn --rm -- "$command" <doc
  like "$command: spawn gives the same" "$status/$(wc -l <err)" "^$wanted/1$"
done
refuses 'a name that is empty is not found either' 127 "^stave-run: exec '': not found in PATH\$" stave run --rm --rootfs tree ''
try stave run --rm --init --rootfs tree moon
is '--init: a command that is not found' "$status/$(wc -l <err)" 127/1
try stave run --rm --init --rootfs tree /bin/plain
is '--init: one that is not executable' "$status/$(wc -l <err)" 126/1
stave run -d --name up --rootfs tree sleep 100 >/dev/null
refuses 'exec: not found' 127 '^stave-exec: exec moon: not found in PATH$' stave exec up moon
refuses 'exec: not executable' 126 '^stave-exec: exec /bin/plain: not executable' stave exec up /bin/plain
refuses 'exec: no such user' 125 '^stave-exec: .*no user moon' stave exec -u moon up true
refuses 'spawn: it runs already' 125 '^stave-spawn: .*runs already' stave spawn up
refuses 'rm: it runs' 1 '^stave-rm: .*up' stave rm up
stave rm -f up >/dev/null

# Archives.
gzip -k "$B.tar" -c >good.tar.gz
head -c 100000 good.tar.gz >short.tar.gz
head -c 100000 "$B.tar" >short.tar
head -c 4096 /dev/urandom >noise
: >empty
for file in short.tar.gz short.tar noise empty /no/such "$T"; do
  refuses "load: $(basename "$file")" 1 '^stave-load: ' stave load -t "bad:$(basename "$file")" "$file"
done
refuses 'load: a pipe that ends early' 1 '^stave-load: ' sh -c 'head -c 100000 good.tar.gz | stave load -t bad'
cp -a "$STAVE_ROOT/store" layout
image=$(jq -r '.manifests[0].digest' layout/index.json | cut -d: -f2)
blob=$(jq -r '.layers[0].digest' "layout/blobs/sha256/$image" | cut -d: -f2)
chmod u+w "layout/blobs/sha256/$blob"
printf x | dd of="layout/blobs/sha256/$blob" bs=1 seek=700 conv=notrunc 2>/dev/null
(export STAVE_ROOT="$T/root2" && mkdir root2 && refuses 'load: a digest that lies' 1 "^stave-load: .*$blob" stave load -t bad layout
  is 'and nothing stays under its name' "$(find root2 -name "$blob")" ''
  echo "$tap $bad" >counts)
read -r tap bad <counts
like 'none of them became an image' "$(stave images)" 'busybox'
unlike 'not even by name' "$(stave images)" 'bad'

# No write access to cgroups: limit says so, and leaves nothing.
cat >readonly.sh <<'END'
for at in $(awk '$5 ~ "^/sys/fs/cgroup" { print $5 }' /proc/self/mountinfo); do
  mount -o remount,bind,ro "$at" 2>/dev/null
done
stave new | stave limit -m 64M
END
try unshare -m sh readonly.sh
is 'limit: cgroups that are read-only' "$status/$(wc -l <err)" 1/2
like 'limit: it says which directory' "$err" '^stave-limit: .*/sys/fs/cgroup.*: Read-only file system'
like 'limit: and what is left' "$err" '^stave-limit: left: stave rm [0-9a-f]+$'
stave rm "$(printf '%s\n' "$err" | awk '/left:/ { print $NF }')" >/dev/null

# Those that should have failed and did not are named above.
nothing_left 'nothing is left of all that' "$before"
