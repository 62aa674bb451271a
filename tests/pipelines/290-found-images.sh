#!/bin/sh
# What was found once with images is not found again.
# timeout 90
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3 setpriv strace tar
image
before=$(snapshot)

# after SIGNAL COMMAND...: starts it, and once its temporary file is there sends the signal; $ended
# is its status (a signal: -n), $beside what it left in put/.
after() {
  rm -rf put && mkdir put
  ended=$(python3 - "$@" <<'END'
import os, signal, subprocess, sys, time
for number in (1, 2, 15):
    signal.signal(number, signal.SIG_DFL)
child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, start_new_session=True)
until = time.time() + 20
while not os.listdir("put") and child.poll() is None and time.time() < until:
    time.sleep(0.001)
os.kill(child.pid, int(sys.argv[1]))
print(child.wait())
END
  )
  beside=$(ls -A put)
}

# A FIFO in the place of a blob holds save up for as long as a signal needs.
stave images tag busybox slow:1
layer=$(stave images inspect busybox | jq -r '.manifest.layers[0].digest | sub("sha256:"; "")')
blob=$STAVE_ROOT/store/blobs/sha256/$layer
mv "$blob" layer && mkfifo "$blob"
for signal in 1 2 15; do
  after $signal stave save -o put/x.tar busybox
  is "save -o, signal $signal: it ends by it and leaves nothing" "$ended $beside" "-$signal "
done
rm "$blob" && mv layer "$blob"

# An ignored signal stays ignored.
cat >deaf.py <<'END'
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
# So that one waits already.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
os.kill(os.getpid(), signal.SIGHUP)
os.execvp(sys.argv[1], sys.argv[1:])
END
try python3 deaf.py stave unpack --to flat busybox
is 'unpack, by nohup: a hangup is no reason to stop' "$status$err" 0

# rm by a repository and a digest.
digest=$(stave unpack busybox | jq -r .stave.image.digest)
stave images tag busybox one:1
stave images tag busybox two:1
refuses 'rm nosuch@DIGEST takes no name away' 1 "no image nosuch@$digest" stave images rm "nosuch@$digest"
stave images rm "one@$digest" >/dev/null
is "rm REPOSITORY@DIGEST takes that repository's" "$(stave images | awk 'NR > 1 { print $1 }' | sort | tr '\n' ' ')" 'busybox:latest slow:1 two:1 '

# A full disk.
stave run --name all busybox sh -c 'dd if=/dev/urandom of=/big bs=1M count=6; mkdir /new; rm -r /home; mkdir /home; echo x >/home/y; rm /bin/vi; ln /big /big2' 2>/dev/null
refuses 'export to a full disk is no fault of a file' 1 '^stave-export: export all: write the archive: No space left on device$' sh -c 'stave export all >/dev/full'
refuses 'pack --changes neither' 1 '^stave-pack: pack all: write the archive: No space left on device$' sh -c 'stave pack --changes all >/dev/full'
if mkdir disk && mount -t tmpfs -o size=4m none disk; then
  export STAVE_ROOT="$T/disk/root"
  stave load -t a:1 "$prepared/busybox.tar" >/dev/null
  stave images tag a:1 b:1
  dd if=/dev/zero of=disk/fill bs=4096 2>/dev/null
  no 'a full disk' sh -c 'echo x >disk/more'
  no 'nothing is added' stave images tag a:1 c:1
  ok 'an image can be removed nevertheless' stave images rm a:1 b:1
  is 'it is out of the list' "$(stave images -q)" ''
  is 'and its room is there again' "$(stave images why "$layer" 2>&1)" "stave-images: no blob and no layer $layer in the store"
  ok 'another comes' stave load -t d:1 "$prepared/busybox.tar"
  export STAVE_ROOT="$T/root"
  umount disk
else
  skip 'a full disk' 'no tmpfs can be mounted'
fi

# All that gc -n accounts for has a reason.
stave images gc -n --json | jq -r .path >paths
while read -r path; do
  why=$(stave images why "$path" 2>&1) || echo "$path: $why"
done <paths >without
is 'why, of all that gc -n names' "$(wc -l <without) $(cat without)" '0 '
refuses 'and of nothing else' 1 'is nothing that gc accounts for' stave images why /nowhere

# export does without a mount, and without root.
stave export all | tar -tvf - >mounted
umount "$STAVE_ROOT/c/$(id_of all)/rootfs" 2>/dev/null
strace -f -o trace -e trace=mount,fsopen,fsmount stave export all 2>/dev/null | tar -tvf - >apart
is 'export merges layers itself' "$(diff mounted apart)" ''
is 'and mounts nothing' "$(grep -c 'mount(\|fsopen(' trace)" 0

mkdir user && chown 1234:1234 user && chmod 711 . user
user() {
  setpriv --reuid 1234 --regid 1234 --clear-groups env HOME="$T/user" STAVE_ROOT="$T/user/root" STAVE_RUN="$T/user/run" "$@"
}
user stave load -t u:1 <"$prepared/busybox.tar" >/dev/null
user stave unpack u:1 | user stave new mine - >/dev/null
is 'an ordinary user exports' "$(user stave export mine | tar -tf - | sort | head -n 3 | tr '\n' ' ')" './ bin/ bin/[ '
user stave rm mine >/dev/null

head -c 700 "$prepared/busybox.tar" >cut.tar
refuses 'an archive that is cut says so' 1 '^stave-import: import cut.tar: .*unexpected end of file$' stave import cut.tar

stave rm -f all >/dev/null
nothing_left 'nothing is left' "$before"
