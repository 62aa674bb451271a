# shellcheck shell=sh
# Sourced, after ../lib.sh, by the pipelines that let other people's engines drive the runtime: the
# same script of commands is run with runc and with ours, at the same time, each in a place of its
# own; what came of each command is compared.

# shellcheck disable=SC2154 # ../lib.sh says where it is
export clients="$here/../clients"

# engine_needs COMMAND...: what is missing is named, and the script is skipped.
engine_needs() {
  [ "$(id -u)" = 0 ] || skip_all 'not root'
  need runc stave-oci ip unshare jq python3 "$@"
  # dockerd, podman and ctr make links of their own and rules for them.
  unshare --net sh -c 'ip link add br0 type bridge && ip link add ve0 type veth peer name ve1' 2>/dev/null ||
    skip_all 'this kernel, or this place, makes no bridge and no veth'
}

# busybox_image FILE: an archive that every engine loads, with busybox:latest (and busybox:2).
busybox_image() {
  image
  stave images tag busybox:latest busybox:2 >/dev/null
  stave save -o "$1" busybox:latest busybox:2
}

# side NAME RUNTIME SCRIPT: runs the script in mount, net, pid and cgroup namespaces and below a
# cgroup of its own. It finds RUNTIME (a path), SIDE (a directory of its own) and RECORD (where the
# record goes).
side() {
  mkdir -p "$T/$1/record"
  hierarchies=$(awk '{
    for (i = 7; $i != "-"; i++);
    if ($(i + 1) ~ /^cgroup2?$/) print $5, $(i + 1), $(i + 3)
  }' /proc/self/mountinfo)
  cell=side-$1-${T##*.}
  export hierarchies cell
  NAME=$1 RUNTIME=$2 RECORD=$T/$1/record ARCHIVE=$T/busybox.oci \
    sh "$clients/place.sh" "$clients/$3" >"$T/$1/log" 2>&1 </dev/null
  echo "$?" >"$T/$1/status"
  echo "$hierarchies" | while read -r dir _ _; do
    find "$dir/$cell" -depth -type d -exec rmdir {} + 2>/dev/null
    [ ! -d "$dir/$cell" ] || find "$dir/$cell" -type d
  done >"$T/$1/left"
}

# both SCRIPT: runs it with runc and with ours, and says command by command whether the same came
# of it.
both() {
  ours=$(command -v stave-oci)
  theirs=$(command -v runc)
  side runc "$theirs" "$1" &
  first=$!
  side ours "${OURS:-$ours}" "$1" &
  wait "$first" "$!"
  for who in runc ours; do
    if [ "$(cat "$T/$who/status")" = 0 ]; then
      pass "$who: the script runs to its end"
    else
      fail "$who: the script runs to its end" "$(tail -n 30 "$T/$who/log")"
    fi
    is "$who: no cgroup is left" "$(cat "$T/$who/left")" ''
  done
  for step in "$T"/runc/record/*; do
    n=${step##*/}
    what=$(sed -n '1s/^\$ //p' "$step")
    if ! wrong=$(grep '^! ' "$step"); then
      [ -e "$T/ours/record/$n" ] || : >"$T/ours/record/$n"
      is "$what" "$(cat "$T/ours/record/$n")" "$(cat "$step")"
    else
      fail "$what" "runc: $wrong" "$(cat "$step")"
    fi
  done
  [ -z "${KEEP-}" ] || cp -a "$T/runc" "$T/ours" "$KEEP/"
}
