#!/bin/sh
# What was found broken in pull, push, run, unpack and gc, and must not come back.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3 setpriv
rootfs
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry plain
noisy lay x 1 400000
copy oci:lay:x "docker://$at/bb:x" --preserve-digests
top=$(jq -r '.layers[1].digest' "$(blob_of lay "$digest")")
proxy px "$at"
px=$at
ref=$px/bb:x
echo | faults

# ended PID: $ended is the background job's status; it must end within five seconds.
ended() {
  soon gone "$1" || kill -9 "$1"
  wait "$1" && ended=0 || ended=$?
}
gone() {
  [ ! -e "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status"
}

# Sizes that no sum holds.
jq -c '.layers |= map(.size = "huge")' "$(blob_of lay "$digest")" | sed 's/"huge"/18446744073709551615/g' >huge
echo "* GET manifests body 200 $oci.manifest.v1+json $T/huge" | faults
pull_fails 'layers as large as numbers go' 'its descriptor says 18446744073709551615' "$ref"

# A mistake in the index of a stranger is not told in a million bytes.
jq -cn --arg t "$oci" '{schemaVersion: 2, mediaType: ($t + ".index.v1+json"), manifests: [range(5000) |
  {mediaType: ($t + ".manifest.v1+json"), digest: "sha256:\("0" * 64)", size: 1, platform: {os: "linux", architecture: "a\(.)"}}]}' >many
echo "* GET manifests body 200 $oci.index.v1+json $T/many" | faults
pull_fails 'an index for 5,000 other machines' 'linux/a19, and 4980 more' "$ref"
like 'in one line that can be read' "$(printf %s "$err" | wc -c)" '^[0-9]{1,3}$'

# Whoever waits for bytes that do not come can be ended.
another_store
echo "1 GET $top hold 1000 $T/go" | faults
stave pull "$ref" >doc 2>pull.err &
pull=$!
soon test -s doc
stave unpack <doc >out 2>unpack.err &
unpack=$!
soon test -d "$STAVE_ROOT/layers/sha256" && sleep 0.3
kill -TERM $unpack
ended $unpack
is 'SIGTERM ends an unpack that waits for a download' "$ended" 143
is 'and nothing half is left' "$(find "$STAVE_ROOT/layers/sha256" -mindepth 1 -maxdepth 1 -name '.*')" ''
: >go
ended $pull
is 'the pull goes on' "$ended$(cat pull.err)" 0
rm go

# What run starts ends with it.
another_store
echo "* GET $top hold 1000 $T/go" | faults
stave run --rm "$ref" true 2>run.err &
run=$!
soon requests "$top"
fetching=$(grep -l "^PPid:[[:space:]]*$run\$" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3)
like 'run fetches by a process of its own' "$fetching" '^[0-9]+$'
kill -TERM $run
ended $run
is 'SIGTERM ends run' "$ended" 143
# shellcheck disable=SC2086 # one word
ok 'and its pull' soon gone $fetching

# Credential helpers.
mkdir "$HOME/.docker" bin
helper() {
  printf '#!/bin/sh\n%s\n' "$1" >bin/docker-credential-odd
  chmod 755 bin/docker-credential-odd
}
echo "* GET manifests status 401 'WWW-Authenticate:Basic realm=x'" | faults
echo "{\"credHelpers\":{\"$px\":\"\"}}" >"$HOME/.docker/config.json"
pull_fails 'a helper without a name is none' 'asks for a user and a password' "$ref"
echo '{"credsStore":"odd"}' >"$HOME/.docker/config.json"
helper 'echo "{}"'
PATH=$T/bin:$PATH pull_fails 'a helper that gives nothing has nothing' 'asks for a user and a password' "$ref"
helper 'exit 3'
PATH=$T/bin:$PATH pull_fails 'a helper that fails in silence' 'docker-credential-odd get: exit status: 3$' "$ref"
rm "$HOME/.docker/config.json"

# Proxies: each for its own, and none that is wrong is passed over.
echo '{"plain.test": {"plain-http": true}}' >plain.json
STAVE_REGISTRIES=$T/plain.json HTTPS_PROXY=http://127.0.0.1:1 HTTP_PROXY='http://u:se:cret@[' pull_fails 'a proxy that is none' 'HTTP_PROXY is not the address of a proxy$' plain.test/x
ALL_PROXY=socks5://127.0.0.1:1 pull_fails 'nor a kind that is not known' 'ALL_PROXY is a SOCKS proxy' tls.test/x
STAVE_REGISTRIES=$T/plain.json HTTPS_PROXY=http://127.0.0.1:1 HTTP_PROXY='' pull_fails 'the proxy for https is not for http' 'no such host' plain.test/x
HTTPS_PROXY=http://127.0.0.1:1 pull_fails 'but for https' 'refused' tls.test/x
HTTPS_PROXY=http://127.0.0.1:1 NO_PROXY=tls.test pull_fails 'not for what NO_PROXY names' 'no such host' tls.test/x

# A registry that takes pieces and keeps none of them.
another_store
echo | faults
stave pull -q "$ref" >/dev/null
{
  echo '* POST uploads nomount'
  echo '* PUT uploads status 413'
  echo '* PATCH uploads status 202 Location:/v2/dd/blobs/uploads/x Range:0-0'
} | faults
refuses 'an upload that never gets further is given up' 1 "keeps nothing of what it is sent" timeout 20 stave push "$ref" "$px/dd:x"

# Plain trees.
odd=$(printf 'odd\377')
refuses 'a directory that no document can name' 1 'is not UTF-8$' stave unpack --to "$odd" "$ref"
is 'is not made' "$(ls -d odd* 2>/dev/null)" ''

# An ordinary user's layers with directories that keep the user out.
mkdir -p user/run tree/no/in
: >tree/no/in/file
tar --sort=name -C tree --mode=a=r,u+w -cf shut.tar no
chmod 755 . && chown -R 65534:65534 user && chmod 644 shut.tar
as_nobody() {
  (cd user && setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$T/user" STAVE_ROOT="$T/user/root" STAVE_RUN="$T/user/run" "$@")
}
if as_nobody test -r "$T/shut.tar"; then
  ok 'directories that nobody may search' as_nobody sh -c 'stave load -t shut ../shut.tar >/dev/null && stave unpack shut >/dev/null'
  ok 'can be removed' as_nobody sh -c 'stave images rm shut && stave images gc'
  is 'wholly' "$(find user/root/layers -mindepth 2)" ''
else
  skip 'directories that nobody may search' 'an ordinary user cannot reach the place of this test'
fi
