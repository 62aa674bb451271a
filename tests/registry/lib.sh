# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # what it sets is for the scripts; $here is of lib.sh
# Registries for the scripts of pipelines/: sourced after lib.sh. All that is started here listens at
# free ports of the loopback device, keeps its files below $T, and ends with the script.

registry_dir=$(cd "$here/../registry" && pwd)
started=''

# Nothing of the user's own: no credentials, no configuration.
export HOME="$T/home"
mkdir "$HOME"
unset DOCKER_CONFIG REGISTRY_AUTH_FILE XDG_CONFIG_HOME XDG_RUNTIME_DIR SSL_CERT_FILE SSL_CERT_DIR
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
export no_proxy=127.0.0.1,localhost,registry.test NO_PROXY=127.0.0.1,localhost,registry.test
export STAVE_REGISTRIES="$T/registries.json"
echo '{}' >"$STAVE_REGISTRIES"

# ends: whatever was started.
ends() {
  ended=$?
  # shellcheck disable=SC2086 # words
  [ -z "$started" ] || kill $started 2>/dev/null
  (exit "$ended")
  finish
}
trap ends EXIT

# registry NAME [LINES]: starts Debian's registry; $T/NAME has its files, LINES (yaml) are added to
# its configuration. Then $at is its HOST:PORT.
registry() {
  mkdir -p "$T/$1/files"
  {
    printf '%s\n' 'version: 0.1' 'log: {level: info}' 'storage:' '  delete: {enabled: true}' \
      "  filesystem: {rootdirectory: $T/$1/files}" 'http:' '  addr: 127.0.0.1:0' '  secret: s'
    [ $# = 1 ] || printf '%s\n' "$2"
  } >"$T/$1/config.yml"
  docker-registry serve "$T/$1/config.yml" >"$T/$1/log" 2>&1 &
  started="$started $!"
  soon grep -q 'msg="\{0,1\}listening on' "$T/$1/log" || { fail "the registry $1 starts" "$(cat "$T/$1/log")" && exit 1; }
  at=127.0.0.1:$(sed -n 's/.*listening on 127.0.0.1:\([0-9]*\).*/\1/p' "$T/$1/log" | head -n 1)
}

# proxy NAME HOST:PORT [WORDS...]: starts proxy.py before a registry; then $at is its HOST:PORT, and
# `faults` and `asked` are about it.
proxy() {
  P="$T/$1" to=$2
  shift 2
  mkdir "$P"
  python3 "$registry_dir/proxy.py" "$P" "http://$to" "$@" 2>"$P/errors" &
  started="$started $!"
  soon test -s "$P/port" || { fail "the proxy $P starts" "$(cat "$P/errors")" && exit 1; }
  at=127.0.0.1:$(cat "$P/port")
}

# faults: from stdin; the proxy's log begins anew.
faults() {
  cat >"$P/faults.new"
  mv "$P/faults.new" "$P/faults"
  anew
}

# anew: the log of the proxy begins here.
anew() {
  wc -l <"$P/log" >"$P/begins"
}

# requests [REGEX]: lines of the log since then.
requests() {
  tail -n "+$(($(cat "$P/begins" 2>/dev/null || echo 0) + 1))" "$P/log" | grep -E -e "${1-}"
}

# asked REGEX: how many there were.
asked() {
  requests "$1" | wc -l
}

# tokens NAME: a token server; then $at is its HOST:PORT and $token_auth the lines for a registry.
tokens() {
  mkdir "$T/$1"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=issuer -keyout "$T/$1/key.pem" -out "$T/$1/cert.pem" 2>/dev/null
  python3 "$registry_dir/token.py" "$T/$1" "$T/$1/cert.pem" "$T/$1/key.pem" 2>"$T/$1/errors" &
  started="$started $!"
  soon test -s "$T/$1/port" || { fail "the token server starts" "$(cat "$T/$1/errors")" && exit 1; }
  at=127.0.0.1:$(cat "$T/$1/port")
  token_auth="auth: {token: {realm: \"http://$at/token\", service: test-registry, issuer: test-issuer, rootcertbundle: $T/$1/cert.pem}}"
}

# ca DIR: a CA (ca.pem) and its word for NAME (cert.pem, key.pem), valid for the DNS names and
# addresses that follow as openssl writes them: DNS:localhost,IP:127.0.0.1
ca() {
  mkdir "$1"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=CA of $1" \
    -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign \
    -keyout "$1/ca.key" -out "$1/ca.pem" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=registry \
    -keyout "$1/key.pem" -out "$1/csr.pem" 2>/dev/null
  printf '%s\n' "subjectAltName=$2" extendedKeyUsage=serverAuth basicConstraints=CA:false >"$1/ext"
  openssl x509 -req -in "$1/csr.pem" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days "${3-2}" \
    -extfile "$1/ext" -out "$1/cert.pem" 2>/dev/null
}

# noise SEED BYTES: the same bytes for the same seed, which no compressor makes smaller.
noise() {
  head -c "$2" /dev/zero | openssl enc -aes-128-ctr -K "$(printf %032x "$1")" -iv "$(printf %032x 1)"
}

# blob LAYOUT: stdin becomes a blob; prints its digest.
blob() {
  cat >"$T/blob.new"
  sum=$(sha256sum "$T/blob.new" | cut -d' ' -f1)
  mv "$T/blob.new" "$1/blobs/sha256/$sum"
  echo "sha256:$sum"
}

# blob_of LAYOUT DIGEST: its file.
blob_of() {
  echo "$1/blobs/sha256/${2#sha256:}"
}

# descriptor LAYOUT TYPE DIGEST: as JSON.
descriptor() {
  jq -cn --arg t "$2" --arg d "$3" --argjson s "$(stat -c %s "$(blob_of "$1" "$3")")" '{mediaType: $t, digest: $d, size: $s}'
}

oci=application/vnd.oci.image

# layout DIR: an empty OCI layout.
layout() {
  mkdir -p "$1/blobs/sha256"
  echo '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
  echo '{"schemaVersion":2,"manifests":[]}' >"$1/index.json"
}

# layer LAYOUT FILE none|gzip|zstd: a tar becomes a layer; prints its diff_id and its descriptor.
layer() {
  echo "sha256:$(sha256sum "$2" | cut -d' ' -f1)"
  case $3 in
  none) descriptor "$1" $oci.layer.v1.tar "$(blob "$1" <"$2")" ;;
  gzip) descriptor "$1" $oci.layer.v1.tar+gzip "$(gzip -nc "$2" | blob "$1")" ;;
  zstd) descriptor "$1" $oci.layer.v1.tar+zstd "$(zstd -qc "$2" | blob "$1")" ;;
  esac
}

# manifest LAYOUT OS/ARCH[/VARIANT]: an image of the layers on stdin (as `layer` prints them); prints
# its descriptor.
manifest() {
  paste -d' ' - - >"$T/layers"
  config=$(jq -cn --arg p "$2" --rawfile l "$T/layers" '
    ($p | split("/")) as $p | {architecture: $p[1], os: $p[0], variant: $p[2], config: {Cmd: ["/bin/busybox", "uname"]},
      rootfs: {type: "layers", diff_ids: [$l | split("\n")[] | select(. != "") | split(" ")[0]]}} | if .variant then . else del(.variant) end' | blob "$1")
  cut -d' ' -f2- "$T/layers" | jq -cs --argjson c "$(descriptor "$1" $oci.config.v1+json "$config")" --arg t "$oci.manifest.v1+json" \
    '{schemaVersion: 2, mediaType: $t, config: $c, layers: .}' | blob "$1" >"$T/manifest.is"
  descriptor "$1" $oci.manifest.v1+json "$(cat "$T/manifest.is")"
}

# index LAYOUT: the descriptors on stdin become an index; prints its descriptor.
index() {
  jq -cs --arg t "$oci.index.v1+json" '{schemaVersion: 2, mediaType: $t, manifests: .}' | blob "$1" >"$T/index.is"
  descriptor "$1" $oci.index.v1+json "$(cat "$T/index.is")"
}

# platform DESCRIPTOR OS/ARCH[/VARIANT]: with this platform.
platform() {
  printf '%s\n' "$1" | jq -c --arg p "$2" '($p | split("/")) as $p | .platform = {os: $p[0], architecture: $p[1]} |
    if $p[2] then .platform.variant = $p[2] else . end'
}

# tag LAYOUT NAME DESCRIPTOR
tag() {
  jq -c --arg n "$2" --argjson d "$3" '.manifests += [$d | .annotations["org.opencontainers.image.ref.name"] = $n]' "$1/index.json" >"$T/tag.new"
  mv "$T/tag.new" "$1/index.json"
}

# noisy LAYOUT NAME LAYERS BYTES [COMPRESSION]: an image of busybox below layers of that many bytes
# which nobody can guess; the digest of its manifest is then $digest.
noisy() {
  [ -d "$1" ] || layout "$1"
  {
    [ -z "${prepared-}" ] || layer "$1" "$prepared/busybox.tar" "${5-gzip}"
    n=0
    while [ $n -lt "$3" ]; do
      n=$((n + 1))
      mkdir -p "$T/tree"
      noise "$((n + ${seed-0}))" "$4" >"$T/tree/noise$n"
      tar --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 -C "$T/tree" -cf "$T/layer.tar" "noise$n"
      layer "$1" "$T/layer.tar" "${5-gzip}"
      rm -r "$T/tree"
    done
  } >"$T/made"
  made=$(manifest "$1" linux/amd64 <"$T/made")
  tag "$1" "$2" "$made"
  digest=$(printf '%s' "$made" | jq -r .digest)
}

# copy SRC DST [WORDS...]: by skopeo, as it is. Registries are the plain ones of these tests.
copy() {
  copied=$1 copy=$2
  shift 2
  skopeo --insecure-policy copy -q --src-tls-verify=false --dest-tls-verify=false "$@" "$copied" "$copy"
}

# served NAME: the digest under which a registry has it.
served() {
  skopeo inspect --tls-verify=false --raw "docker://$1" | sha256sum | sed 's/ .*//; s/^/sha256:/'
}

# digest_of: of the document on stdin, the digest.
digest_of() {
  jq -r .stave.image.digest
}

# stored NAME: the digest under which the store has it.
stored() {
  jq -r --arg n "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $n) | .digest' "$STAVE_ROOT/store/index.json"
}

# names: all that the store's index holds.
names() {
  [ ! -e "$STAVE_ROOT/store/index.json" ] || jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' "$STAVE_ROOT/store/index.json"
}

# another_store: from here on it is an empty one.
another_store() {
  stores=$((${stores-0} + 1))
  STAVE_ROOT="$T/store$stores"
  mkdir "$STAVE_ROOT"
}

# untrue: blobs of the store that are not what their names say.
untrue() {
  [ ! -d "$STAVE_ROOT/store/blobs/sha256" ] || (cd "$STAVE_ROOT/store/blobs/sha256" && find . -type f -name '[0-9a-f]*' ! -name '*[!0-9a-f]*' -printf '%f  %f\n' |
    sha256sum -c --quiet 2>/dev/null)
}

# pulls WHAT REF DIGEST: into an empty store it gives this image, whole, and says nothing.
pulls() {
  another_store
  try stave pull "$2"
  doc=$out
  is "$1" "$status $err $(printf '%s' "$out" | digest_of) $(untrue)" "0  $3 "
}

# pull_fails WHAT REGEX REF [WORDS...]: status 1 and one line that matches; no name, nothing untrue.
pull_fails() {
  another_store
  refusal=$1
  refuses "$refusal" 1 "^stave-pull: .*($2)" timeout 20 stave pull "$3"
  left=$(names)$(untrue)
  [ -z "$left" ] || fail "$refusal: the store has nothing of it" "$left"
}

# declines WHAT REGEX COMMAND...: status 1 or 2, and one line on stderr that matches.
declines() {
  declined=$1 due=$2
  shift 2
  try timeout 20 "$@"
  case $status:$(wc -l <"$T/err") in
  1:1 | 2:1) like "$declined" "$err" "$due" ;;
  *) fail "$declined" "$*" "status $status; one line on stderr was due, matching: $due" "$err" ;;
  esac
}

# aside NAME HOST:PORT RULE...: a proxy of its own with these faults, for what gives up only after a
# while: it is begun early, beside the others, and looked at late. Then $at is the proxy's HOST:PORT.
aside() {
  apart=$1 before=$2 mine=${P-}
  shift 2
  proxy "$apart" "$before"
  printf '%s\n' "$@" | faults
  P=$mine
}

# begin NAME COMMAND...: in the background, in a store of its own.
begin() {
  begun=$1
  shift
  mkdir -p "$T/$begun.store"
  (
    STAVE_ROOT="${begin_store-$T/$begun.store}" timeout 20 "$@" >"$T/$begun.out" 2>"$T/$begun.err" && echo 0 >"$T/$begun.status" || echo $? >"$T/$begun.status"
  ) &
}

# declined WHAT NAME REGEX: what was begun ends with status 1 and one line that matches.
declined() {
  polls=0
  until [ -s "$T/$2.status" ] || [ $polls -ge 250 ]; do
    polls=$((polls + 1))
    sleep 0.1
  done
  if [ "$(cat "$T/$2.status")" = 1 ] && [ "$(wc -l <"$T/$2.err")" = 1 ] && grep -Eq -e "$3" "$T/$2.err"; then
    pass "$1"
  else
    fail "$1" "status $(cat "$T/$2.status"), one line on stderr was due, matching: $3" "$(cat "$T/$2.err")"
  fi
}
