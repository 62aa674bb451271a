#!/bin/sh
# Pulls beside each other, beside unpack and gc, killed midway, onto a full disk, of a tag that moves.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3
rootfs
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry plain
plain=$at
noisy lay x 2 400000
copy oci:lay:x "docker://$plain/bb:x" --preserve-digests
copy oci:lay:x "docker://$plain/cc:x" --preserve-digests
x=$digest
manifest=$(blob_of lay "$x")
low=$(jq -r '.layers[0].digest' "$manifest")
top=$(jq -r '.layers[2].digest' "$manifest")
low_diff=$(jq -r '.rootfs.diff_ids[0]' "$(blob_of lay "$(jq -r .config.digest "$manifest")")")
proxy px "$plain"
px=$at
ref=$px/bb:x

# Two at once: each blob comes once, both have the image.
another_store
echo "1 GET $top hold 1000 $T/go" | faults
stave pull "$ref" >one 2>one.err &
one=$!
soon grep -q "$top" "$P/log"
stave pull "$px/cc:x" >two 2>two.err &
two=$!
soon grep -q /cc/manifests "$P/log"
sleep 0.3
: >go
wait "$one" && first=0 || first=$?
wait "$two" && second=0 || second=$?
is 'two pulls at once' "$first $second $(cat one.err two.err)" '0 0 '
is 'of the same image' "$(digest_of <one) $(digest_of <two)" "$x $x"
is 'each blob came once' "$(requests 'GET .*/blobs/' | awk '{print $2}' | sed 's/.*blobs.//' | sort | uniq -d)" ''
is 'four in all' "$(asked 'GET .*/blobs/')" 4
is 'both names are there' "$(names | sort | tr '\n' ' ')" "$px/bb:x $px/cc:x "
is 'and whole' "$(untrue)" ''

# Many at once.
another_store
echo | faults
for n in 1 2 3 4 5 6 7 8; do
  stave pull "$ref" >"many$n" 2>&1 &
  eval "pid$n=$!"
done
for n in 1 2 3 4 5 6 7 8; do eval "wait \$pid$n" || fail "pull $n of eight" "$(cat "many$n")"; done
is 'eight pulls at once give one image' "$(cat many? | sort -u | digest_of)" "$x"
is 'each blob came once' "$(requests 'GET .*/blobs/' | awk '{print $2}' | sort | uniq -d)" ''
is 'one name' "$(names)" "$ref"

# Killed while a layer comes: what came is kept, and the next goes on behind it.
another_store
rm go
echo "1 GET $top hold 300000 $T/go" | faults
stave pull "$ref" >doc 2>/dev/null &
pid=$!
soon sh -c "find '$STAVE_ROOT' -type f -size +250k -size -310k | grep -q ." || :
sleep 0.1
kill -9 "$pid"
wait "$pid" 2>/dev/null
is 'killed, it left no name' "$(names)" ''
anew
ok 'the next pull' stave pull "$ref"
like 'goes on by Range' "$(requests "GET .*$top ")" ' 206 .*range=bytes=[1-9][0-9]{4,}- '
is 'and the image is whole' "$(untrue)$(stored "$ref")" "$x"
stave images gc >said 2>&1
is 'nothing of the killed one is left behind a gc' "$(find "$STAVE_ROOT/store" -type f | grep -Evc '/blobs/sha256/[0-9a-f]{64}$|/(index.json|oci-layout)$')" 0

# Killed again and again, it comes nearer each time.
another_store
echo "* GET $top drip 20000 30" | faults
tries=0
until timeout -s KILL 0.4 stave pull "$ref" >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 30 ] || break
done
like "killed every 0.4 s it comes to its end, after $tries" "$tries" '^([0-9]|[12][0-9])$'
is 'whole' "$(untrue)$(stored "$ref")" "$x"

# One waits for the blob of another who is killed: it takes over.
another_store
echo "1 GET $top hold 300000 $T/never" | faults
stave pull "$ref" >/dev/null 2>&1 &
one=$!
soon sh -c "find '$STAVE_ROOT' -type f -size +250k -size -310k | grep -q ." || :
stave pull "$px/cc:x" >two 2>two.err &
two=$!
soon grep -q /cc/manifests "$P/log"
sleep 0.2
kill -9 "$one"
wait "$one" 2>/dev/null
wait "$two" && status=0 || status=$?
is 'who waited for one that was killed takes over' "$status $(cat two.err) $(digest_of <two)" "0  $x"
is 'whole' "$(untrue)$(names)" "$px/cc:x"

# An interrupt ends it, without a name.
another_store
echo "1 GET $top hold 300000 $T/never" | faults
stave pull "$ref" >/dev/null 2>&1 &
pid=$!
fetching() { [ "$(asked "GET .*$top")" -gt 0 ]; }
soon fetching
kill -TERM "$pid"
wait "$pid" && status=0 || status=$?
is 'SIGTERM' "$status $(names)" '143 '
echo | faults
ok 'and again' stave pull "$ref"

# trees: all that is in the layers. Of a layer's own root these tars say nothing.
trees() {
  (cd "$STAVE_ROOT/layers/sha256" && find . -mindepth 2 -printf '%p %y %m %U %G %s %T@ %l\n' | sort)
}

# pull | unpack: unpack begins while layers still come, and the result is the same.
another_store
ok 'pull, then unpack' sh -c "stave pull $ref >doc && stave unpack <doc >apart"
trees >apart.tree
another_store
rm -f go
echo "1 GET $top hold 1000 $T/go" | faults
stave pull "$ref" 2>pull.err | stave unpack >together 2>unpack.err &
pid=$!
# Where it grows is unpack's affair.
if soon sh -c "find '$STAVE_ROOT/layers' -path '*/etc/passwd' | grep -q ."; then
  pass 'pull | unpack: the lowest layer is unpacked while the last one comes'
else
  fail 'pull | unpack: the lowest layer is unpacked while the last one comes' "$(find "$STAVE_ROOT" | head -n 30)"
fi
: >go
wait "$pid" && status=0 || status=$?
is 'which waited for it' "$(asked WAITED)" 0
is 'both end well' "$status $(cat pull.err unpack.err)" '0 '
is 'the same document' "$(sed 's/store[0-9]*//g' together | jq -S .)" "$(sed 's/store[0-9]*//g' apart | jq -S .)"
trees >together.tree
is 'the same layers' "$(cat together.tree)" "$(cat apart.tree)"

# pull fails, so does unpack, in a line or none.
another_store
echo "* GET $top flip 5000" | faults
try sh -c "stave pull $ref 2>pull.err | timeout 20 stave unpack"
is 'pull | unpack where pull fails: unpack does, too' "$status" 1
is 'one line of pull' "$(wc -l <pull.err)" 1
like 'one of unpack at most' "$(wc -l <err)" '^[01]$'
is 'no name, no top layer, nothing half' "$(names)$(find "$STAVE_ROOT/layers/sha256" -mindepth 1 -maxdepth 1 ! -name "${low_diff#sha256:}" | grep -Evc '/[0-9a-f]{64}$')" 0

# gc while a pull goes on takes nothing of it.
another_store
rm -f go
echo "1 GET $top hold 1000 $T/go" | faults
stave pull "$ref" >doc 2>pull.err &
pid=$!
soon test -e "$STAVE_ROOT/store/blobs/sha256/${low#sha256:}"
ok 'gc during a pull' stave images gc
: >go
wait "$pid" && status=0 || status=$?
is 'the pull ends well' "$status $(cat pull.err) $(stored "$ref")" "0  $x"
is 'nothing is missing' "$(for d in $(jq -r '.layers[].digest, .config.digest' "$manifest"); do [ -e "$(blob_of "$STAVE_ROOT/store" "$d")" ] || echo "$d"; done)" ''
ok 'rm and gc after it' sh -c "stave images rm $ref && stave images gc"
is 'take all' "$(find "$STAVE_ROOT/store/blobs" -type f)" ''

# A tag that moves between two requests: one image or the other, whole.
noisy lay y 1 3000
y=$digest
copy oci:lay:y "docker://$plain/bb:y" --preserve-digests
for times in 1 2 3; do
  echo "$times * /manifests/y\$ path /v2/bb/manifests/$x" | faults
  another_store
  try stave pull "$px/bb:y"
  got=$(printf '%s' "$out" | digest_of)
  case $got in
  "$x" | "$y") is "a tag that moves after $times" "$status $err $(stored "$px/bb:y") $(untrue)" "0  $got " ;;
  *) fail "a tag that moves after $times" "$status $out $err" ;;
  esac
  printf '%s' "$out" >doc
  ok 'is unpacked' sh -c 'stave unpack <doc'
done
# It moved since the last pull.
another_store
echo "* * /manifests/y\$ path /v2/bb/manifests/$x" | faults
stave pull "$px/bb:y" >/dev/null
echo | faults
ok 'a tag that moved since the last pull' stave pull "$px/bb:y"
is 'is the new image' "$(printf '%s' "$out" | digest_of) $(stored "$px/bb:y")" "$y $y"

# A full disk.
if [ "$(id -u)" = 0 ]; then
  another_store
  anew
  try unshare --mount sh -c "mount -t tmpfs -o size=300k none '$STAVE_ROOT' && stave pull $ref >/dev/null; echo \$?; find $STAVE_ROOT -name '*.json' | xargs cat | grep -c cc:; stave images -q"
  like 'a full disk is told in one line' "$err" '^stave-pull: .*No space left on device'
  is 'one' "$(printf '%s\n' "$err" | wc -l)" 1
  is 'and there is no image' "$out" "1
0"
fi
