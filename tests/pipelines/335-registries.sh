#!/bin/sh
# registries.json: mirrors, plain http, and where the file is.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3 htpasswd
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry one
one=$at
registry two
two=$at
noisy lay x 2 1000
copy oci:lay:x "docker://$one/library/busybox" --preserve-digests
copy oci:lay:x "docker://$two/library/busybox:only-two" --preserve-digests
copy oci:lay:x "docker://$two/user/app:1" --preserve-digests
proxy p1 "$one"
p1=$at
P1=$P
proxy p2 "$two"
p2=$at

conf() {
  echo "$1" >"$STAVE_REGISTRIES"
}
conf "{\"docker.io\": {\"mirrors\": [\"http://$p1\", \"http://$p2\"]}}"
pulls 'a mirror of docker.io' busybox "$digest"
is 'the name is as it was asked for' "$(names)" busybox:latest
is 'the second was not asked' "$(cat p2/log)" ''
for name in docker.io/library/busybox docker.io/busybox index.docker.io/library/busybox busybox:latest "busybox@$digest"; do
  pulls "$name" "$name" "$digest"
done
pulls 'what the first has not, the second is asked for' busybox:only-two "$digest"
pulls 'with a user' user/app:1 "$digest"
is 'the name has no mirror in it' "$(names)" user/app:1
ok 'run through the mirror' sh -c 'stave pull busybox | jq -e .stave.image >/dev/null'

# A mirror that is ill.
P=$P1
conf "{\"docker.io\": {\"mirrors\": [\"http://127.0.0.1:1\", \"http://$p1\", \"http://$p2\"]}}"
pulls 'a mirror that nobody is at' busybox "$digest"
conf "{\"docker.io\": {\"mirrors\": [\"http://$p1\", \"http://$p2\"]}}"
copy oci:lay:x "docker://$two/library/busybox" --preserve-digests
layer=$(jq -r '.layers[0].digest' "$(blob_of lay "$digest")")
echo '* * . status 500' | faults
pulls 'a mirror that only fails' busybox "$digest"
echo '* * . status 401 "WWW-Authenticate:Basic realm=x"' | faults
pulls 'a mirror that lets nobody in' busybox "$digest"
echo "* GET $layer status 404" | faults
pulls 'a mirror that lost a layer' busybox "$digest"
echo "* GET $layer flip 100" | faults
pulls 'a mirror that has another layer' busybox "$digest"
echo '* * /manifests/ body 200 text/html /etc/hostname' | faults
pulls 'a mirror that has something else' busybox "$digest"
echo | faults

# Another registry than docker.io; the registry itself comes last.
conf "{\"$two\": {\"mirrors\": [\"http://$p1\"]}}"
pulls 'the registry itself, when no mirror has it' "$two/user/app:1" "$digest"
is 'the mirror was asked' "$([ "$(asked '/user/app/')" -gt 0 ] && echo so)" so
is 'the name is that of the registry' "$(names)" "$two/user/app:1"
conf "{\"127.0.0.1:1\": {\"mirrors\": [\"http://$p1\"]}}"
pulls 'a registry that is gone, by its mirror' 127.0.0.1:1/library/busybox "$digest"
another_store
declines 'a mirror that has it not, a registry that is gone' '127.0.0.1:1' stave pull 127.0.0.1:1/none
conf "{\"127.0.0.1:1\": {\"mirrors\": [\"http://$p1\"]}}"

# Credentials are those of the mirror, not of the registry.
mkdir conf
export DOCKER_CONFIG="$T/conf"
echo "{\"auths\":{\"127.0.0.1:1\":{\"auth\":\"am9lOnNlY3JldA==\"},\"https://index.docker.io/v1/\":{\"auth\":\"am9lOnNlY3JldA==\"}}}" >conf/config.json
echo '* * . status 401 "WWW-Authenticate:Basic realm=x"' | faults
another_store
declines "a mirror that wants credentials" '^stave-pull: ' stave pull 127.0.0.1:1/library/busybox
is 'does not get those of the registry' "$(asked 'auth=Basic')" 0
echo | faults
unset DOCKER_CONFIG

# Push goes to the registry, not to its mirrors.
conf "{\"$two\": {\"mirrors\": [\"http://$p1\"]}}"
another_store
stave pull "$two/user/app:1" >doc
anew
ok 'push' stave push "$two/user/app:1" "$two/user/app:2"
is 'asks no mirror' "$(requests)" ''
is 'the registry has it' "$(served "$two/user/app:2")" "$digest"

# Where the file is.
unset STAVE_REGISTRIES
mkdir -p home/.config/stave xdg/stave
echo "{\"docker.io\": {\"mirrors\": [\"http://$p1\"]}}" >xdg/stave/registries.json
export XDG_CONFIG_HOME="$T/xdg"
pulls 'XDG_CONFIG_HOME/stave/registries.json' busybox "$digest"
unset XDG_CONFIG_HOME
mv xdg/stave/registries.json home/.config/stave/
pulls '.config/stave/registries.json' busybox "$digest"
if [ "$(id -u)" = 0 ]; then
  mkdir -p etc/stave
  echo "{\"docker.io\": {\"mirrors\": [\"http://127.0.0.1:1\"]}, \"other.test\": {\"mirrors\": [\"http://$p2\"]}}" >etc/stave/registries.json
  export T
  another_store
  inside() {
    # shellcheck disable=SC2016 # the inner shell expands
    unshare --mount sh -c 'mount -t overlay -o lowerdir="$T/etc:/etc" none /etc && "$@"' sh "$@"
  }
  try inside stave pull other.test/user/app:1
  is '/etc/stave/registries.json' "$status $err $(printf %s "$out" | digest_of)" "0  $digest"
  try inside stave pull busybox
  is "the user's goes over it" "$status $err $(printf %s "$out" | digest_of)" "0  $digest"
fi
export STAVE_REGISTRIES="$T/registries.json"
for broken in '{' '[]' '7' '{"docker.io": 7}' '{"docker.io": {"mirrors": "http://x"}}' '{"docker.io": {"mirrors": ["ftp://x"]}}' '{"docker.io": {"mirors": []}}'; do
  conf "$broken"
  another_store
  declines "broken: $broken" "^stave-pull: .*registries.json" stave pull "$one/library/busybox"
done
STAVE_REGISTRIES=$T/none
declines 'STAVE_REGISTRIES that is not there' "^stave-pull: .*$T/none" stave pull "$one/library/busybox"
