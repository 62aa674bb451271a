#!/bin/sh
# What was found by trying to break it, and is not to come back.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs

# An ordinary user may open the pipes that are the container's output; a file stays the caller's.
is 'a pipe as /dev/stdout' "$(stave run --rm -u web --rootfs "$B" sh -c 'echo x >/dev/stdout' | cat)" x
stave run --rm -u web --rootfs "$B" echo x >file
is 'a file stays its owner'"'"'s' "$(stat -c %u file)" "$(id -u)"

# The list stays a list, whatever a directory is called.
odd="$T/$(printf 'odd\nname')"
cp -a "$B" "$odd"
stave new --rootfs "$odd" odd >/dev/null
is 'one line a container' "$(stave ps -a | wc -l)" 2
stave rm odd >/dev/null

# A trace is shell: a here-document ends where it should.
stave new traced >/dev/null
stave limit -m 64M --pids-limit 9 --trace traced 2>&1 | sed -n 's/^+ //; p' >trace
like 'the trace has a here-document' "$(cat trace)" "<<'END'  # ok"
stave rm traced >/dev/null
ok 'and is shell' sh -n trace

# A change that the kernel refuses is not in the document either.
stave run -d --name busy -m 64M --rootfs "$B" sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=16 2>/dev/null; sleep 1000' >/dev/null
# shellcheck disable=SC2016 # the shell in the container expands
soon stave exec busy sh -c 'test "$(stat -c %s /dev/shm/x)" = 16777216'
before=$(stave inspect busy)
try stave limit -m 8M busy
if [ "$status" != 0 ]; then
  is 'a limit that was refused' "$(stave inspect busy)" "$before"
else
  skip 'a limit that was refused' 'this kernel takes it'
fi
stave rm -f busy >/dev/null

# An id that nobody can read is still told.
try sh -c "stave run -d --name told --rootfs '$B' sleep 1000 >/dev/full"
like 'run -d to a full disk' "$status $err" '^1 stave-run: write to stdout: No space left on device; it runs: [0-9a-f]{12}$'
stave rm -f told >/dev/null
