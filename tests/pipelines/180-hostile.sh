#!/bin/sh
# What a document, an image or a caller's descriptors could do to the machine, and do not.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs

# No descriptor of the caller's or of the tool's own leads out of the root.
echo secret >"$T/outside"
for n in 3 4 5 6 7 8 9 10 11 12; do
  try sh -c "exec stave run --rm --rootfs '$B' -w /proc/self/fd/$n cat ../../outside ../outside outside 9<'$T'"
  [ -z "$out" ] || break
done
is 'a working directory at a descriptor' "$out" ''
cat >"$T/prog" <<'END'
#!/bin/sh
echo escaped
END
chmod +x "$T/prog"
no 'a program at a descriptor' sh -c "exec stave run --rm --rootfs '$B' /proc/self/fd/9/prog 9<'$T'"
stave run -d --name web --rootfs "$B" sleep 1000 >/dev/null
no 'nor with exec' sh -c "exec stave exec -w /proc/self/fd/9 web cat outside 9<'$T'"
is 'what the workload finds open' "$(sh -c 'exec stave exec web ls /proc/self/fd 9</' | tr '\n' ' ')" '0 1 2 3 '
stave rm -f web >/dev/null

# A cgroup that is named by no id of the container's is not the container's to empty.
before=$(snapshot)
foreign=$(find /sys/fs/cgroup -maxdepth 1 -name pids -o -maxdepth 1 -name cgroup.procs | head -n 1)
[ "${foreign##*/}" = pids ] || foreign=/sys/fs/cgroup
mkdir "$foreign/foreign"
sleep 1000 &
sleeper=$!
echo $sleeper >"$foreign/foreign/cgroup.procs"
echo '{}' | jq -c '.linux.cgroupsPath = "/foreign"' | stave new guest - >/dev/null
ok 'rm of a container in a foreign cgroup' stave rm guest
ok 'the foreign process lives' kill -0 $sleeper
is 'in its cgroup' "$(cat "$foreign/foreign/cgroup.procs")" $sleeper
kill $sleeper
wait $sleeper 2>/dev/null
rmdir "$foreign/foreign"
for path in / '' . // /.. /a/../b /./x relative; do
  doc=$(jq -cn --arg p "$path" '{linux: {cgroupsPath: $p}}')
  refuses "cgroupsPath '$path'" 1 'linux.cgroupsPath: not an absolute path' sh -c "echo '$doc' | stave limit"
done
refuses 'a unit of systemd in what is no slice' 1 'linux.cgroupsPath: invalid slice name: a$' \
  sh -c "echo '{\"linux\":{\"cgroupsPath\":\"a:b:c\"}}' | stave limit"
nothing_left 'nothing is left' "$before"

# Devices and terminal are made before the volumes: a link at /dev does not lead them into one.
cp -a "$B" evil
rm -rf evil/dev evil/data
ln -s /data evil/dev
mkdir evil/data mine
try stave run --rm --rootfs "$T/evil" -v "$T/mine:/data" true
is 'a link at /dev, a volume behind it' "$(ls mine)" ''

# The kernel's -1 is no user.
refuses 'user -1' 125 'user 4294967295: an id is at most' stave run --rm --rootfs "$B" -u 4294967295 id
stave new --rootfs "$B" u | jq -c '.process.user.uid = 4294967295 | .process.args = ["id"]' >doc
try sh -c 'stave spawn <doc'
is 'user -1 in a document' "$status $out" '125 '
like 'and it is said' "$err" 'process.user: 4294967295 is no id'
stave rm u >/dev/null

# While exec enters, nothing of it shows in the container's /proc: by its exe link the program on
# the host could be opened, and written to once it has ended.
mkdir seen
# shellcheck disable=SC2016 # the shell in the container expands
stave run -d --name spy --rootfs "$B" -v "$T/seen:/seen" sh -c '
  : >/seen/ready
  while :; do
    for p in /proc/[0-9]*; do
      exe=$(readlink $p/exe) && case $exe in */stave-*) echo "$exe" >>/seen/exe ;; esac
    done
  done 2>/dev/null' >/dev/null
soon test -e seen/ready
for _ in $(seq 60); do stave exec spy true; done
is 'what a container sees of exec' "$(cat seen/exe 2>/dev/null)" ''
stave rm -f spy >/dev/null

# A start that waits for something hears signals; what is no namespace is said.
mkfifo fifo
stave new --rootfs "$B" slow | jq -c --arg at "$T/fifo" '.process.args = ["true"] |
  .linux.namespaces |= map(if .type == "uts" then .path = $at else . end)' >doc
try sh -c 'timeout 10 stave spawn <doc'
like 'a FIFO as namespace' "$status $err" '^125 stave-spawn: join the uts namespace .*/fifo: '
stave rm slow >/dev/null

# Only what a namespace holds is written.
for key in vm.swappiness kernel.core_pattern kernel.panic; do
  stave new --rootfs "$B" sys | jq -c --arg k "$key" '.process.args = ["true"] | .linux.sysctl[$k] = "1"' >doc
  try sh -c 'stave spawn <doc'
  like "sysctl $key" "$status $err" "^125 stave-spawn: document: linux.sysctl: $key: it belongs to the machine"
  stave rm sys >/dev/null
done
is 'sysctl of the network namespace' "$(stave new --rootfs "$B" | jq -c '.linux.sysctl["net.ipv4.ip_forward"] = "1" |
  .process.args = ["cat", "/proc/sys/net/ipv4/ip_forward"]' | stave spawn --rm)" 1

# A name like an id, a name that was changed.
a=$(stave new | jq -r .stave.id)
b=$(stave new "$a" | jq -r .stave.id)
stave rm "$a" >/dev/null
is 'the id is meant before the name' "$(ls "$STAVE_ROOT/c")" "$b"
stave rm "$b" >/dev/null
stave new n1 | jq -c '.stave.name = "n2"' | stave limit >doc
stave rm "$(jq -r .stave.id doc)" >/dev/null
is 'both names are gone' "$(ls "$STAVE_ROOT/names")" ''
stave new one >doc
refuses 'another name for a container' 1 'the container .* is there already, as one' sh -c 'stave new two - <doc'
stave rm one >/dev/null
