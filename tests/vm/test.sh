#!/bin/sh
# Boots a machine whose only cgroup hierarchy is v2, and runs v2.sh in it with the tools of PATH.
# The guest is made once, from Debian's packages, and kept in VM_CACHE.
set -eu
cd "$(dirname "$0")"
VM_CACHE=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stave-vm}
export VM_CACHE
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo '1..1'
  echo 'ok 1 - cgroup v2 in a virtual machine # SKIP making the guest takes root and apt'
  exit 0
fi
./setup.sh --minimal
share=$(mktemp -d)
trap 'rm -rf "$share"' EXIT
mkdir "$share/bin" "$share/root"
bin=$(dirname "$(command -v stave-run)")
for tool in ../../tools/*/; do
  name=$(basename "$tool")
  [ "$name" = stave ] || name=stave-$name
  strip -o "$share/bin/$name" "$bin/$name"
done
(
  cd "$share/root"
  mkdir -p bin etc tmp root proc sys dev
  cp /bin/busybox bin/
  for a in $(/bin/busybox --list); do [ "$a" = busybox ] || ln -s busybox "bin/$a"; done
  echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
  tar -cf ../busybox.tar .
)
rm -rf "$share/root"
cp v2-*.sh "$share/"
./run.sh -t 1200 v2.sh "$share"
