#!/bin/sh
# What a container changed, as docker lists it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
image

if [ "$(id -u)" = 0 ]; then
  # Two layers below, so that what hides what is seen through both.
  stave run --name low busybox sh -c 'mkdir -p /d/sub /e; echo 1 >/d/a; echo 1 >/d/sub/b; echo 1 >/e/f; rm /etc/group'
  stave pack -t low low >/dev/null
  # shellcheck disable=SC2016 # the container's shell expands
  stave run --name top low sh -c '
    echo 2 >>/d/a; rm /etc/passwd; echo new >/etc/group; mkdir /etc/empty
    rm -r /e && mkdir /e && echo n >/e/new
    rm -r /d/sub && echo file >/d/sub
    rm /bin/ls && mkdir /bin/ls && echo x >/bin/ls/x
    chmod 711 /root; mv /srv /srv2
    mkdir /opt && cd /opt && : >"$(printf "new\\nline")" && : >"$(printf "b\\\\s")" && : >"$(printf "raw\\377")" && : >ä && : >"$(printf "esc\\033")"
    : >/gone && rm /gone'
  is 'added, changed, deleted' "$(stave diff top)" 'C /bin
C /bin/ls
A /bin/ls/x
C /d
C /d/a
C /d/sub
C /e
D /e/f
A /e/new
C /etc
A /etc/empty
A /etc/group
D /etc/passwd
A /opt
A /opt/b\\s
A /opt/esc\033
A /opt/new\nline
A /opt/raw\377
A /opt/ä
C /root
D /srv
A /srv2'
  is 'as JSON' "$(stave diff --json top | jq -c 'select(.path | startswith("/e"))')" '{"kind":"C","path":"/e"}
{"kind":"D","path":"/e/f"}
{"kind":"A","path":"/e/new"}
{"kind":"C","path":"/etc"}
{"kind":"A","path":"/etc/empty"}
{"kind":"A","path":"/etc/group"}
{"kind":"D","path":"/etc/passwd"}'
  is 'a name that is no UTF-8 also as bytes' "$(stave diff --json top | jq -c 'select(.bytes) | .bytes')" '[47,111,112,116,47,114,97,119,255]'
  is 'a document on stdin' "$(stave inspect top | stave diff - | wc -l)" 22
  # What the packed image has is no change any more.
  stave pack -t top top >/dev/null
  stave run --name upon top true
  is 'nothing differs from the image of it' "$(stave diff upon)" ''

  stave run -d --name runs busybox sh -c 'echo x >/x; sleep 100' >/dev/null
  is 'of a container that runs' "$(soon stave exec runs test -s /x && stave diff runs)" 'A /x'
  stave run --name host --host sh -c 'mkdir /stave-new'
  is 'of a copy of the machine' "$(stave diff host)" 'A /stave-new'
  stave new plain | stave spawn -- true
  refuses 'of a root that is no overlay' 1 'no root of layers' stave diff plain
fi

# Without root an overlay has its marks under user.; the directories are made by hand here.
# shellcheck disable=SC2016 # another shell expands
by_hand='
  export STAVE_ROOT=$1 STAVE_RUN=$1/run
  mkdir -p "$1/low/dir" "$1/low/dark" && echo 1 >"$1/low/dir/f" && echo 1 >"$1/low/dark/g" && echo 1 >"$1/low/gone" || exit
  id=$(stave new --rootfs "$1/low" hand | jq -r .stave.id) && cd "$1/c/$id/upper" && mkdir dir dark &&
    echo 2 >dir/f && echo n >dark/new && mknod gone c 0 0 && setfattr -n user.overlay.opaque -v y dark && setfattr -n user.mine -v 1 dir/f || exit
  stave diff hand | tr "\n" " "; stave pack --changes hand | tar -t | tr "\n" " "
  stave pack --scratch -t mine hand | jq -r .stave.image.mediaType'
wanted='C /dark D /dark/g A /dark/new C /dir C /dir/f D /gone ./ dark/ dark/.wh..wh..opq dark/new dir/ dir/f .wh.gone application/vnd.oci.image.manifest.v1+json'
if ! command -v setfattr >/dev/null; then
  skip 'without root' 'there is no setfattr'
elif [ "$(id -u)" != 0 ]; then
  is 'without root' "$(sh -c "$by_hand" sh "$T/own" 2>&1)" "$wanted"
elif setpriv --reuid 65534 --regid 65534 --clear-groups stave --version >/dev/null 2>&1; then
  mkdir own && chown 65534:65534 own
  chmod 711 "$T"
  is 'without root' "$(setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "$by_hand" sh "$T/own" 2>&1)" "$wanted"
else
  skip 'without root' 'another user cannot run stave here'
fi
refuses 'no such container' 1 'no container none' stave diff none
