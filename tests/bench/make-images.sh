#!/bin/sh
# Makes the images of `make bench-images` from Debian packages alone, into the directory given, as
# OCI layouts NAME.oci and docker archives NAME.docker.tar:
#
#   debian  1 layer   a minimal bookworm
#   app     6 layers  python3, build-essential, nodejs and npm, a layer of deletions, and one of odd
#                     files: links of all kinds, a sparse file, a file capability, long names
#
# Needs root, some minutes and 3 GB; what is there already is not made again.
set -eu
out=$(realpath "${1:?the directory for the images}")
"$(dirname "$0")/../deps.sh" buildah mmdebstrap skopeo
work=$out/work
mkdir -p "$work/tmp" "$work/cache/partial" "$work/context"
export TMPDIR="$work/tmp" BUILDAH_ISOLATION=chroot CONTAINERS_STORAGE_CONF="$work/storage.conf"
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/store"\nrunroot = "%s/run"\n' "$work" "$work" >"$work/storage.conf"
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$work/policy.json"
b="buildah --signature-policy $work/policy.json"

cd "$work"
[ -s root.tar ] || mmdebstrap --variant=minbase --mode=root --dpkgopt='path-exclude=/usr/share/locale/*' bookworm root.tar
printf 'FROM scratch\nADD root.tar /\nCMD ["bash"]\n' >Dockerfile.debian
cat >context/odd.sh <<'ODD'
set -e
mkdir -p /srv/app && cd /srv/app
for d in $(seq 0 59); do
  mkdir -p "mod$d/sub/deep"
  for f in $(seq 0 49); do echo "def f_${d}_$f(x): return x * $d + $f" >"mod$d/sub/deep/f$f.py"; done
done
ln -s mod0 current; ln -s /usr/bin/python3 py; ln -s ../../nonexistent dangling
ln mod1/sub/deep/f1.py hardlink.py; ln mod1/sub/deep/f1.py hardlink2.py
echo x >'name with spaces and ünïcode-名前.txt'
long=$(printf 'a%.0s' $(seq 200)); mkdir -p "long/$long/$long"; echo y >"long/$long/$long/$long.txt"
truncate -s 8M sparse.bin
cp /usr/bin/python3 capable
python3 -c 'import os, struct
os.setxattr("capable", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
os.setxattr("capable", "user.note", b"hello")'
cp /bin/true setuid; chmod 4755 setuid; mkfifo fifo; chown -R 1000:1000 mod2; chmod 600 mod3/sub/deep/f1.py
rm -rf /opt/was-file /opt/was-dir; mkdir /opt/was-file; echo in >/opt/was-file/in; echo file >/opt/was-dir
ODD
apt='apt-get install -y -qq --no-install-recommends'
cat >Dockerfile.app <<APP
FROM localhost/debian:latest
RUN apt-get update -qq && $apt python3 ca-certificates >/dev/null && mkdir /opt/was-dir && echo x >/opt/was-dir/x && echo x >/opt/was-file
RUN $apt build-essential >/dev/null
RUN $apt nodejs npm >/dev/null
RUN rm -rf /usr/share/doc /usr/share/man /var/lib/apt/lists /var/log/*.log /var/log/apt /usr/share/lintian && mkdir -p /usr/share/doc /usr/share/man /var/lib/apt/lists && echo gone >/usr/share/doc/README && rm -f /usr/bin/perlbug /etc/cron.daily/dpkg
RUN sh /context/odd.sh
ENV APP=1 PATH=/srv/app:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /srv/app
USER 1000:1000
CMD ["python3", "-m", "http.server", "8080"]
APP
for image in debian app; do
  [ ! -s "$out/$image.docker.tar" ] || continue
  rm -rf "$out/$image.oci"
  [ "$image" = debian ] || [ -n "$(buildah images -q localhost/debian 2>/dev/null)" ] || $b bud -q -f Dockerfile.debian -t localhost/debian . >/dev/null
  $b bud -q --layers --network host --isolation chroot -v "$work/cache:/var/cache/apt/archives" -v "$work/context:/context:ro" \
    -f "Dockerfile.$image" -t "localhost/$image" . >/dev/null
  $b push -q --format oci "localhost/$image" "oci:$out/$image.oci:latest"
  skopeo --insecure-policy copy -q "oci:$out/$image.oci:latest" "docker-archive:$out/$image.docker.tar:localhost/$image:latest"
done
