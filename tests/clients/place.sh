#!/bin/sh
# A place of its own for an engine and what it starts: runs the script $1 there. `side` of lib.sh
# says what is in the environment.
# shellcheck disable=SC2154 # lib.sh gives the hierarchies and the cell
set -eu
export LC_ALL=C

# Into the cgroup; a new cpuset takes nobody in before it is filled.
echo "$hierarchies" | while read -r dir type _; do
  mkdir "$dir/$cell"
  for file in cpuset.cpus cpuset.mems; do
    [ "$type" != cgroup ] || [ ! -e "$dir/$cell/$file" ] || cat "$dir/$file" >"$dir/$cell/$file"
  done
  echo $$ >"$dir/$cell/cgroup.procs"
done

# shellcheck disable=SC2016 # the inner shell expands
exec unshare --cgroup --mount --net --pid --fork --kill-child --mount-proc sh -euc '
  echo "$hierarchies" | while read -r dir type options; do
    [ "$type" != cgroup ] || options=$(echo "$options" | sed "s/^r[wo],//; s/xattr,//; s/,clone_children//; s/,release_agent=[^,]*//")
    [ "$type" = cgroup ] || options=rw
    umount -l "$dir" && mount -t "$type" -o "$options" none "$dir"
  done
  mount -t tmpfs -o mode=755 none /run
  # Short: the sockets of engines lie below it, and their names have 108 bytes at most.
  export SIDE=/run/side
  mkdir /run/lock "$SIDE" "$SIDE/home" "$SIDE/tmp" "$SIDE/etc" "$SIDE/var"
  for dir in etc var; do
    mkdir "$SIDE/$dir/upper" "$SIDE/$dir/work"
    mount -t overlay -o "lowerdir=/$dir,upperdir=$SIDE/$dir/upper,workdir=$SIDE/$dir/work" none "/$dir"
  done
  mount -t tmpfs -o mode=1777 none /dev/shm
  ip link set lo up
  export HOME="$SIDE/home" TMPDIR="$SIDE/tmp"
  mount --make-rshared /
  cd "$SIDE"
  sh "$1" & wait "$!"
' sh "$1"
