#!/bin/sh
# config.md of the runtime specification: version, root, mounts. Numbers: ../conformance/musts.tsv
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/conformance/lib.sh
. "$here/../conformance/lib.sh"
before=$(snapshot)

# Version
rejects 'C01: a config without a version' 'del(.ociVersion)'
for version in one 1 1.0 '' 1.0.x; do
  rejects "C02: the version \"$version\"" '.ociVersion = $v' --arg v "$version"
done
for version in 1.0.0 1.0.2-dev 1.1.0 1.2.1 1.3.0 1.99.0-rc.1+build; do
  holds "C02: the version $version" true '.ociVersion = $v' --arg v "$version"
done

# Root
rejects 'C03: a config without a root' 'del(.root)'
rejects 'C04: a root without a path' '.root = {}'
rejects 'C05: a root that is not there' '.root.path = "none"'
rejects 'C05: one that is a file' '.root.path = "rootfs/etc/passwd"'
holds 'C05: one by its whole path' 'test -e /etc/passwd' '.root.path = $p' --arg p "$bundle/rootfs"
runs 'touch /file && echo written' '.root.readonly = true'
like 'C06: a read-only root' "$err" 'Read-only file system'
no 'C06: is not written to' test -e "$bundle/rootfs/file"
prints 'C06: one that is not said to be is' written 'touch /file && echo written; rm /file'

# Mounts
prints 'C07: in the listed order' 'second second/below' 'cd /made; echo $(ls -d second second/below first 2>/dev/null)' \
  '.mounts += [{destination: "/made", type: "tmpfs", source: "t"}, {destination: "/made/first", type: "tmpfs", source: "t"}, {destination: "/made", type: "tmpfs", source: "t"},
  {destination: "/made/second", type: "tmpfs", source: "t"}, {destination: "/made/second/below", type: "tmpfs", source: "t"}]'
rejects 'C08: a mount without a destination' '.mounts += [{type: "tmpfs", source: "t"}]'
prints 'C09: a relative destination is one of the root' /relative/one "awk '\$5 ~ /relative/ { print \$5 }' /proc/self/mountinfo" '.mounts += [{destination: "relative/one", type: "tmpfs", source: "t"}]'
mkdir "$T/source" && echo text >"$T/source/file"
prints 'C10: a bind whose source is relative to the bundle' text 'cat /bound/file' '.mounts += [{destination: "/bound", type: "bind", source: "../source", options: ["bind"]}]'
prints 'C10: bind in the options is enough' text 'cat /bound/file' '.mounts += [{destination: "/bound", source: $s, options: ["bind"]}]' --arg s "$T/source"
prints 'C10: a file on a file' text 'cat /bound-file' '.mounts += [{destination: "/bound-file", source: $s, options: ["rbind"]}]' --arg s "$T/source/file"
rejects 'C11: a type that no kernel knows' '.mounts += [{destination: "/made", type: "no-such-type", source: "t"}]'
rejects 'C11: a source that is not there' '.mounts += [{destination: "/made", type: "bind", source: "/no/such/source", options: ["bind"]}]'
prints 'C12: an option that is no option of mounts is one of the file system' 'rw,size=64k,nr_inodes=17' "awk '\$5 == \"/made\" { print \$NF }' /proc/self/mountinfo | sed 's/,inode64//; s/,mode=755//'" \
  '.mounts += [{destination: "/made", type: "tmpfs", source: "t", options: ["size=64k", "nr_inodes=17"]}]'
rejects 'C12: which may refuse it' '.mounts += [{destination: "/made", type: "tmpfs", source: "t", options: ["no_such_option"]}]'

# Options: NUMBER|option|type|options of the mount|what a line of mountinfo must match|what it must not match
# A line: flags of the mount, optional fields, a dash, type, source, flags of the file system.
options() {
  cat <<'END'
C20|async|tmpfs|sync async||sync
C21|atime|tmpfs|noatime atime||noatime
C22|bind|bind|bind|ext4.*|
C23|defaults|tmpfs|defaults|^rw.*tmpfs|noexec
C24|dev|tmpfs|nodev dev||nodev
C25|diratime|tmpfs|nodiratime diratime||nodiratime
C26|dirsync|tmpfs|dirsync|[, ]dirsync|
C27|exec|tmpfs|noexec exec||noexec
C28|iversion|tmpfs|iversion||
C29|lazytime|tmpfs|lazytime|[, ]lazytime|
C30|loud|tmpfs|silent loud||
C31|noatime|tmpfs|noatime|noatime|
C32|nodev|tmpfs|nodev|nodev|
C33|nodiratime|tmpfs|nodiratime|nodiratime|
C34|noexec|tmpfs|noexec|noexec|
C35|noiversion|tmpfs|noiversion||
C36|nolazytime|tmpfs|lazytime nolazytime||lazytime
C37|norelatime|tmpfs|relatime norelatime|^rw|
C38|nostrictatime|tmpfs|strictatime nostrictatime|relatime|
C39|nosuid|tmpfs|nosuid|nosuid|
C40|private|bind|bind private|^[a-z,]* -|shared|master
C41|rbind|bind|rbind|ext4.*|
C42|relatime|tmpfs|relatime|relatime|noatime
C43|ro|tmpfs|ro|^ro|
C44|rprivate|bind|rbind rprivate|^[a-z,]* -|shared|master
C45|rshared|bind|rbind rshared|shared:|
C46|rslave|bind|rbind rslave|master:|shared
C47|runbindable|bind|rbind runbindable|unbindable|
C48|rw|tmpfs|ro rw|^rw|
C49|shared|bind|bind shared|shared:|
C50|silent|tmpfs|silent||
C51|slave|bind|bind slave|master:|shared
C52|strictatime|tmpfs|noatime strictatime||noatime|relatime
C53|suid|tmpfs|nosuid suid||nosuid
C54|sync|tmpfs|sync|[, ]sync|
C55|unbindable|bind|bind unbindable|unbindable|
C56|nosymfollow|tmpfs|nosymfollow|nosymfollow|
C57|symfollow|tmpfs|nosymfollow symfollow||nosymfollow
C58|rro|bind|rbind rro|^ro|
C58|rrw|bind|rbind rro rrw|^rw|
C58|rnosuid|bind|rbind rnosuid|nosuid|
C58|rsuid|bind|rbind nosuid rsuid||nosuid
C58|rnodev|bind|rbind rnodev|nodev|
C58|rdev|bind|rbind nodev rdev||nodev
C58|rnoexec|bind|rbind rnoexec|noexec|
C58|rexec|bind|rbind noexec rexec||noexec
C58|rnoatime|bind|rbind rnoatime|noatime|
C58|ratime|bind|rbind rnoatime ratime||noatime
C58|rnodiratime|bind|rbind rnodiratime|nodiratime|
C58|rdiratime|bind|rbind rnodiratime rdiratime||nodiratime
C58|rrelatime|bind|rbind rrelatime|relatime|noatime
C58|rstrictatime|bind|rbind rstrictatime||relatime
C58|rnostrictatime|bind|rbind rstrictatime rnostrictatime||
C58|rnorelatime|bind|rbind rnorelatime||
C58|rnosymfollow|bind|rbind rnosymfollow|nosymfollow|
C58|rsymfollow|bind|rbind rnosymfollow rsymfollow||nosymfollow
END
}
mkdir "$T/tree" && mount -t tmpfs top "$T/tree" && mkdir "$T/tree/below" && mount -t tmpfs below "$T/tree/below"
options >"$T/options"
while IFS='|' read -r n option type words must mustnot mustnot2; do
  source=$T/tree
  runs "awk '\$5 ~ \"^/made\" { for (i = 6; i <= NF; i++) printf \"%s \", \$i; print \$5 }' /proc/self/mountinfo" \
    '.mounts += [{destination: "/made", type: $type, source: $source, options: ($words / " ")}] | .linux.rootfsPropagation = "rslave"' --arg type "$type" --arg source "$source" --arg words "$words"
  must=$(echo "$must" | sed 's/ext4\.\*/tmpfs top/')
  lines=1
  case $words in *rbind*) lines=2 ;; esac
  if [ "$status" != 0 ]; then
    fail "$n: the option $option" "status $status" "$err"
  elif [ "$(echo "$out" | wc -l)" != "$lines" ]; then
    fail "$n: the option $option" "$lines mounts were due" "$out"
  elif [ -n "$must" ] && echo "$out" | sed 's,top.*below$,&,' | case $must in 'tmpfs top') head -n 1 ;; *) cat ;; esac | grep -Evq -e "$must"; then
    fail "$n: the option $option" "wanted on each: $must" "$out"
  elif echo "$out" | grep -Eq -e "${mustnot:-nothing at all}|${mustnot2:-nothing at all}"; then
    fail "$n: the option $option" "unwanted: $mustnot $mustnot2" "$out"
  else
    pass "$n: the option $option"
  fi
done <"$T/options"
prints 'C59: remount changes what is there' 'ro kept' 'grep -q kept /made/file && awk '\''$5 == "/made" { print substr($6, 1, 2) " kept" }'\'' /proc/self/mountinfo' \
  '.mounts += [{destination: "/made", type: "bind", source: $s, options: ["bind"]}, {destination: "/made", type: "bind", source: $s, options: ["bind", "remount", "ro"]}]' --arg s "$(mkdir "$T/kept" && echo kept >"$T/kept/file" && echo "$T/kept")"
umount -R "$T/tree"

# Id-mapped mounts
mkdir "$T/ids" && mount -t tmpfs ids "$T/ids" && touch "$T/ids/file" && chown 1000:2000 "$T/ids/file"
mapped='.mounts += [{destination: "/ids", type: "bind", source: $s, options: ["bind", $word], uidMappings: [{containerID: 0, hostID: 5000, size: 2000}], gidMappings: [{containerID: 0, hostID: 6000, size: 3000}]}]'
for word in idmap ridmap; do
  [ $word = idmap ] && n=C100 || n=C101
  prints "$n: $word maps as uidMappings and gidMappings say" 6000:8000 'stat -c %u:%g /ids/file' "$mapped" --arg s "$T/ids" --arg word $word
  rejects "$n: $word with neither maps nor a user namespace" '.mounts += [{destination: "/ids", type: "bind", source: $s, options: ["bind", $word]}]' --arg s "$T/ids" --arg word $word
done
prints 'C102: the maps do without the word' 6000:8000 'stat -c %u:%g /ids/file' "$(echo "$mapped" | sed 's/, \$word//')" --arg s "$T/ids"
prints 'C100: a map among the options, as podman writes it' 6000:8000 'stat -c %u:%g /ids/file' \
  '.mounts += [{destination: "/ids", type: "bind", source: $s, options: ["bind", "idmap=uids=0-5000-2000;gids=0-6000-3000"]}]' --arg s "$T/ids"
rejects 'C100: one that makes no sense' '.mounts += [{destination: "/ids", type: "bind", source: $s, options: ["bind", "idmap=uids=0-5000"]}]' --arg s "$T/ids"
rejects 'C103: uidMappings without gidMappings' "$mapped | del(.mounts[-1].gidMappings)" --arg s "$T/ids" --arg word idmap
rejects 'C104: gidMappings without uidMappings' "$mapped | del(.mounts[-1].uidMappings)" --arg s "$T/ids" --arg word idmap
is 'C105: the owners of files on the host stay' "$(stat -c %u:%g "$T/ids/file")" 1000:2000
umount "$T/ids"

# Annotations, unknown keys, invalid values
rejects 'C110: annotations that are no map' '.annotations = ["a"]'
rejects 'C113: an empty key of annotations' '.annotations = {"": "a"}'
rejects 'C114: a value of annotations that is no string' '.annotations = {"a": 1}'
prints 'C114: an empty string is one' yes 'echo yes' '.annotations = {"a": ""}'
prints 'C115: annotations that nobody knows' yes 'echo yes' '.annotations = {"org.opencontainers.no.such": "x", "com.example.unknown": "y"}'
prints 'C116: keys that nobody knows' yes 'echo yes' '. + {unknown: 1} | .process.unknown = {} | .linux.unknown = [] | .root.unknown = "x" | .linux.resources.unknown = 1 | .mounts[0].unknown = true | .linux.namespaces[0].unknown = 1'
for wrong in '.root.readonly = "yes"' '.mounts = {}' '.process.cwd = 1' '.linux.namespaces = "pid"' '.hostname = 5' '.linux.rootfsPropagation = "none"' '.linux.namespaces += [{type: "planet"}]' \
  '.mounts += [{destination: "/x", type: "tmpfs", source: "t", options: "ro"}]' '.linux.sysctl = {"no.such.sysctl": "1"}' '.process.user.uid = "root"' '.process.args = [1]'; do
  rejects "C117: $wrong" "$wrong"
done
nothing_left 'R28: nothing is left' "$before"
