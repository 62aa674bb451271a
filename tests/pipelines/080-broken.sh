#!/bin/sh
# A pipeline that breaks leaves nothing unnamed, whichever of its stages it is.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
image
before=$(snapshot)

# five STAGES with the K-th replaced: $1=K, the rest is what stands there instead.
five() {
  k=$1 instead=$2
  s1='stave unpack busybox' s2='stave new web -' s3='stave mount' s4='stave ns' s5='stave limit -m 64M' s6='stave spawn -- true'
  case $k in 1) s1=$instead ;; 2) s2=$instead ;; 3) s3=$instead ;; 4) s4=$instead ;; 5) s5=$instead ;; 6) s6=$instead ;; esac
  try sh -c "$s1 | $s2 | $s3 | $s4 | $s5 | $s6"
}

# A stage that dies without a word: those after it say nothing, exit 1; what was made is listed.
for k in 1 2 3 4 5; do
  for how in false 'sh -c "kill -9 \$\$"' 'sh -c "cat >/dev/null; false"'; do
    five "$k" "$how"
    is "stage $k is $how: the end says 1" "$status" 1
    unlike 'and nobody after it says anything' "$err" '^stave-(spawn|limit): [^l]'
    # shellcheck disable=SC2046 # one word an id
    [ -z "$(stave ps -aq)" ] || ok 'what there is, ps lists and rm removes' stave rm $(stave ps -aq)
    nothing_left 'nothing is left' "$before"
  done
done

# A stage that fails: it names what the earlier ones made.
# named WHAT K INSTEAD CAUSE STATUS
named() {
  five "$2" "$3"
  like "$1: the cause is said" "$err" "$4"
  is "$1: once" "$(echo "$err" | grep -vc 'left: ')" 1
  is "$1: and the status is the end's" "$status" "$5"
  left=$(echo "$err" | sed -n 's/^stave-[a-z]*: left: //p')
  like "$1: what is left is named" "$left" '^stave rm [0-9a-f]{12}$'
  [ -z "$left" ] || ok "$1: the command removes it" sh -c "$left"
  nothing_left "$1: nothing is left" "$before"
  stave rm -f web >/dev/null
}
named 'a volume that is not there' 3 'stave mount -v /no/such:/x' '^stave-mount: .*/no/such' 1
named 'flags that do not go together' 4 'stave ns --uts host --hostname x' '^stave-ns: --hostname' 1
named 'a limit below what there is' 5 'stave limit --cpus 0.001' '^stave-limit: --cpus 0.001' 1
named 'a limit that the kernel refuses' 5 'stave limit --pids-limit 99999999999' '^stave-limit: write .*pids.max.*: Invalid argument' 1
named 'words that are off' 5 '(sleep 0.2; exec stave limit -m 64Q)' '^stave-limit: .*64Q' 1
named 'a flag that is none' 4 'stave ns --no-such' '^stave-ns: .*--no-such' 1
named 'a command that is not there' 6 'stave spawn -- nosuch' '^stave-spawn: exec nosuch: not found in PATH' 127
named 'a user that is not there' 6 'stave spawn -u daemon -- true' '^stave-spawn: .*no user daemon' 125
named 'a detached end that fails' 6 'stave keep -- nosuch' '^stave-keep: exec nosuch: not found in PATH' 127

five 6 'stave spawn --rm -- nosuch'
is 'with --rm nothing is left to name' "$status $err" '127 stave-spawn: exec nosuch: not found in PATH'
nothing_left 'nothing is left' "$before"

# A reader that goes: the stage takes back what it made itself.
for stage in mount ns 'limit -m 64M'; do
  stave new web >/dev/null
  id=$(id_of web)
  made=$(snapshot)
  stave inspect web | jq -c '.stave.layers = [{"dir": "'"$B"'"}] | .root.path = "rootfs"' >doc
  # The pipe has no reader from the start.
  # shellcheck disable=SC2086 # words
  try python3 -c 'import os, subprocess, sys
r, w = os.pipe(); os.close(r)
sys.exit(subprocess.run(sys.argv[1:], stdin=open("doc"), stdout=w).returncode)' stave $stage
  is "$stage into a closed pipe: status 1" "$status" 1
  like 'the container is named' "$err" "^stave-[a-z]*: left: stave rm $id\$"
  nothing_left 'what the stage made is gone' "$made"
  stave rm web >/dev/null
done
try sh -c 'stave new web | head -c0'
# shellcheck disable=SC2046 # one word an id
[ -z "$(stave ps -aq)" ] || stave rm $(stave ps -aq) >/dev/null
nothing_left 'new | head -c0' "$before"
