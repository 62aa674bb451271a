#!/bin/sh
# A disk that is full: the cause is said, and no half of anything stays.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
[ "$(id -u)" = 0 ] || skip_all 'it mounts a small file system'

mkdir one && head -c 3000000 /dev/urandom >one/big && echo small >one/small
tar -cf one.tar -C one .
ok "a small disk" sh -c 'mkdir disk && mount -t tmpfs -o size=5m none disk'
STAVE_ROOT=$T/disk/root
export STAVE_ROOT
ok "an image fits" stave load -t one:1 one.tar
before=$(cd disk && find . | sort)
refuses "unpacked as well it does not" 1 'No space left on device' stave unpack one:1
is "nothing of it stays" "$(cd disk && find . | sort)" "$before"
is "and the image is whole" "$(stave images gc -n --json | jq -r 'select(.keptBy == []) | .path')" ''
head -c 3000000 /dev/urandom >one/big
tar -cf two.tar -C one .
refuses "nor does a second image" 1 'No space left on device' stave load -t two:1 two.tar
is "of which nothing stays" "$(cd disk && find . | sort)" "$before"
refuses "from a pipe neither" 1 'No space left on device' sh -c 'cat two.tar | stave load -t two:1'
is "of which nothing stays" "$(cd disk && find . | sort)" "$before"
# Not even a name fits.
ok "not a byte is free" sh -c 'dd if=/dev/zero of=disk/fill bs=4096 status=none 2>/dev/null; [ -s disk/fill ]'
is "the list can be read" "$(stave images --json | jq -r .name)" one:1
names() {
  for n in $(seq 80); do stave images tag one:1 "$(printf "%0100d$n" 0):1" || return 1; done
}
refuses "names more are refused, at some point" 1 'No space left on device' names
like "the list is whole" "$(stave images --json | jq -r .name | sort | tail -1)" 'one:1'
rm disk/fill
ok "with room again all is well" stave images tag one:1 three:1
is "and nothing of the failure is left" "$(find disk -name '.*' -type f)" ''
ok "it goes" stave images rm one:1
cd / && umount "$T/disk"
