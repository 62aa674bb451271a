#!/bin/sh
# -n: the requests as shell. Nothing is done; the shell does it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3 htpasswd
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry plain
plain=$at
noisy lay x 2 1000
copy oci:lay:x "docker://$plain/bb:x" --preserve-digests
proxy px "$plain"
px=$at

ok 'pull -n' stave pull -n "$px/bb:x"
printf '%s\n' "$out" >shell
is 'fetches no layer' "$(asked "$(jq -r '.layers[0].digest' "$(blob_of lay "$digest")")")" 0
is 'no name, no blob' "$(names)$(find "$STAVE_ROOT" -type f -path '*/blobs/*')" ''
mkdir fetched
ok 'what it says runs' sh -c 'cd fetched && sh -e ../shell'
is 'each file is what its name says' "$(cd fetched && sha256sum -- * | awk '$1 != $2')" ''
is 'manifest, config and layers' "$(ls fetched)" "$(cd lay/blobs/sha256 && ls)"
ok 'pull' stave pull "$px/bb:x"
anew
ok 'push -n' stave push -n "$px/bb:x" "$px/cc:y"
printf '%s\n' "$out" >shell
is 'sends nothing' "$(asked '^(POST|PUT|PATCH)')" 0
ok 'what it says runs' sh -e shell
is 'and the image is there' "$(served "$plain/cc:y")" "$digest"

# With credentials: the shell shows no secret.
htpasswd -Bbn joe seKret >users 2>/dev/null
registry basic "auth: {htpasswd: {realm: r, path: $T/users}}"
basic=$at
copy oci:lay:x "docker://$basic/bb:x" --preserve-digests --dest-creds joe:seKret
mkdir home/.docker
echo "{\"auths\":{\"$basic\":{\"auth\":\"$(printf joe:seKret | base64)\"}}}" >home/.docker/config.json
another_store
ok 'pull -n with credentials' stave pull -n "$basic/bb:x"
like 'asks for them' "$out" 'curl'
unlike 'and shows none' "$out$err" "seKret|$(printf joe:seKret | base64)"
