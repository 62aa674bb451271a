#!/bin/sh
# A tree goes out by export and in by import, and is the same tree.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3 tar gzip zstd
image
before=$(snapshot)

# Into an image.
export SOURCE_DATE_EPOCH=1700000000
try stave import -t im:1 -c 'CMD ["cat", "/etc/group"]' -c 'ENV A=1 B="x y"' -c 'USER web' -c 'WORKDIR /srv' -m 'why not' "$prepared/busybox.tar"
is 'it is an image' "$status$err" 0
printf '%s\n' "$out" >doc
stave unpack im:1 >full
is 'with a command' "$(jq -c .process.args full)" '["cat","/etc/group"]'
is 'an environment' "$(jq -c .process.env full)" '["A=1","B=x y"]'
is 'a user' "$(jq -c '.process.user | [.uid, .gid]' full)" '[33,34]'
is 'a directory' "$(jq -r .process.cwd full)" /srv
is 'a history' "$(stave images inspect im:1 | jq -c '[.config.created, .config.history[0].comment]')" '["2023-11-14T22:13:20Z","why not"]'
stave import -c 'CMD ["cat", "/etc/group"]' -c 'ENV A=1 B="x y"' -c 'USER web' -c 'WORKDIR /srv' -m 'why not' <"$prepared/busybox.tar" >again
is 'the same words are the same image' "$(jq -r .stave.image.digest again)" "$(jq -r .stave.image.digest doc)"
for pack in gzip zstd; do
  $pack -qc "$prepared/busybox.tar" >packed
  try sh -c 'cat packed | stave import -t packed'
  is "$pack, from a pipe" "$status$err" 0
  is 'the same layer once it is plain' "$(stave images inspect packed | jq -c .config.rootfs.diff_ids)" "$(stave images inspect im:1 | jq -c .config.rootfs.diff_ids)"
done
is '--platform' "$(stave import --platform linux/arm/v6 -t arm "$prepared/busybox.tar" >/dev/null; stave images inspect arm | jq -c '.config | [.os, .architecture, .variant]')" '["linux","arm","v6"]'
mkdir odd && mkdir odd/blobs && echo x >odd/blobs/y && tar -C odd -cf odd.tar blobs
ok 'a root that looks like images' stave import -t odd odd.tar

# Wrong words and wrong input.
refuses 'an unknown line' 2 "-c 'RUN make': RUN is none of" stave import -c 'RUN make' "$prepared/busybox.tar"
refuses 'a line that is half' 2 'A has no value' stave import -c 'ENV A' "$prepared/busybox.tar"
refuses 'a name that is none' 2 '^stave-import: -t: ' stave import -t 'A b' "$prepared/busybox.tar"
export STAVE_ROOT="$T/fresh"
head -c 100000 "$prepared/busybox.tar" >short
head -c 100000 packed >short.zst
gzip -c "$prepared/busybox.tar" | head -c 100000 >short.gz
: >empty && echo text >text && printf 'PK\003\004xxxx' >a.zip && head -c 2000 /dev/zero >zeros
for file in short short.gz short.zst empty text a.zip zeros nosuch; do
  refuses "$file" 1 "(import|open) $file: " stave import "$file"
done
try sh -c ': | stave import'
is 'an empty pipe: 1, silently' "$status$out$err" 1
is 'a fresh root stays empty' "$(ls "$STAVE_ROOT" 2>/dev/null)" ''
export STAVE_ROOT="$T/root"

# Out of a container: one with all kinds of files, removals, and files of other layers replaced.
stave run --name web busybox sh -c '
  echo new >/etc/passwd; rm -r /home; rm /bin/vi; mkdir -p /a/b; echo x >/a/b/file; ln /a/b/file /a/link
  ln -s nowhere /a/sym; mknod /a/fifo p; mknod /a/dev c 1 3; chmod 4711 /a/b/file; chown 12:34 /a/b; chmod 1777 /a'
upper=$STAVE_ROOT/c/$(id_of web)/upper
python3 -c 'import os,sys; p=sys.argv[1]; os.setxattr(p, "user.note", b"a\nb\0c"); os.utime(p, ns=(1, 1234567890123456789))' "$upper/a/b/file"
long=$(printf '%0150d' 7)
mkdir "$upper/$long" && touch "$upper/$long/$long" "$upper/n
l"
# tree DIR: every entry with all that is known of it
tree() {
  python3 - "$1" <<'END'
import hashlib, os, stat, sys
top, seen = sys.argv[1].encode(), {}
for at, dirs, files in os.walk(top):
    dirs.sort()
    for name in [b"."] * (at == top) + sorted(dirs + files):
        p = os.path.join(at, name)
        s = os.lstat(p)
        kind = stat.S_IFMT(s.st_mode)
        data = ""
        if stat.S_ISREG(kind): data = hashlib.sha256(open(p, "rb").read()).hexdigest()
        if stat.S_ISLNK(kind): data = os.readlink(p)
        first = seen.setdefault(s.st_ino, p[len(top):]) if s.st_nlink > 1 and not stat.S_ISDIR(kind) else ""
        xattrs = [(k, os.getxattr(p, k, follow_symlinks=False)) for k in sorted(os.listxattr(p, follow_symlinks=False)) if ".overlay." not in k]
        print(p[len(top):], oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns, s.st_rdev, first, data, xattrs)
END
}
stave mount web
mounted=$STAVE_ROOT/c/$(id_of web)/rootfs
tree "$mounted" >seen
ok 'export, mounted' stave export -o mounted.tar web
stave mount --undo web
ok 'export, not mounted' stave export -o apart.tar web
ok 'it is the same' cmp mounted.tar apart.tar
stave export web >third.tar
ok 'each time' cmp apart.tar third.tar
mkdir x && tar -C x --numeric-owner --xattrs --xattrs-include='*' -xpf apart.tar
tree x >extracted
is 'tar extracts the tree that the container sees' "$(diff seen extracted)" ''
unlike 'no whiteouts' "$(tar -tf apart.tar)" '\.wh\.'
stave export web | stave import -t flat >/dev/null
stave unpack flat >flat.json
tree "$(jq -r '.stave.layers[0].dir' flat.json)" >imported
is 'export | import: the same tree' "$(diff seen imported)" ''

# Running; never started; with a volume.
mkdir vol && touch vol/secret
stave run -d --name live -v "$T/vol:/data" busybox sh -c 'echo 1 >/one; sleep 1000' >/dev/null
soon test -e "$STAVE_ROOT/c/$(id_of live)/upper/one"
stave export live >live.tar
like 'of a running one, what it wrote' "$(tar -tf live.tar)" '^one$'
unlike 'what is mounted is no part' "$(tar -tf live.tar)" 'secret|^proc/.'
stave unpack busybox | stave new idle - >/dev/null
stave export idle >idle.tar
is 'one that never ran is its image' "$(tar -tf idle.tar | wc -l)" "$(find "$B" | wc -l)"
ok 'rm' stave rm -f web live idle

refuses 'no such container' 1 'no container nosuch' stave export nosuch
stave new bare >/dev/null
refuses 'one without a root' 1 'bare has no root of its own' stave export bare
stave new --host own >/dev/null
refuses 'the machine' 1 'stave pack --changes' stave export own
stave unpack busybox | stave new box - >/dev/null
at stave export box </dev/null
like 'a terminal is no place for an archive' "$(cat typed)" 'stdout is a terminal'
try sh -c '{ stave export box; echo $? >st; } | head -c 100 >/dev/null'
is 'a reader that goes away: 1, and nothing is said' "$(cat st)$err" 1
ok 'rm' stave rm bare own box
nothing_left 'nothing is left' "$before"
