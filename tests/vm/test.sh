#!/bin/sh
# test.sh [v2] [systemd] [systemd-v1]: boots machines, and runs in each the script of its name with the tools
# of PATH: v2.sh where cgroup v2 is all there is, systemd.sh with systemd as process 1 as well, and
# systemd-v1.sh with systemd and the controllers of v1.
# The guest is made once, from Debian's packages, and kept in VM_CACHE.
set -eu
cd "$(dirname "$0")"
VM_CACHE=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stave-vm}
export VM_CACHE
[ $# -gt 0 ] || set -- v2 systemd systemd-v1
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo '1..1'
  echo "ok 1 - cgroups in a virtual machine ($*) # SKIP making the guest takes root and apt"
  exit 0
fi
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
cp guest.sh v2-*.sh "$share/"
chmod -R a+rX "$share"
status=0 unsteady=''
# boot NAME
boot() {
  case $1 in
    v2) ./setup.sh --minimal && ./run.sh -t 1200 v2.sh "$share" ;;
    systemd) ./setup.sh && ./run.sh --systemd -t 1200 systemd.sh "$share" ;;
    systemd-v1)
      ./setup.sh && VM_APPEND=systemd.unified_cgroup_hierarchy=0 ./run.sh --systemd -t 1200 systemd-v1.sh "$share"
      ;;
    *) echo "test.sh: no machine is called $1" >&2; false ;;
  esac
}
for name; do
  boot "$name" && continue
  # With CI set a machine that fails is booted once more, and named at the end.
  if [ -n "${CI:-}" ]; then
    echo "# $name fails, and is booted once more"
    unsteady="$unsteady $name"
    boot "$name" && continue
  fi
  status=1
done
[ -z "$unsteady" ] || echo "# failed at first:$unsteady"
exit $status
