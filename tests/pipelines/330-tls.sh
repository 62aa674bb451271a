#!/bin/sh
# TLS: whom pull and push trust, and whom they do not.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

tls() {
  ca "$1" "$2" "${3-2}"
  registry "r$1" "  tls: {certificate: $T/$1/cert.pem, key: $T/$1/key.pem}"
}
tls good DNS:localhost,IP:127.0.0.1,DNS:registry.test
good=$at
port=${good#*:}
noisy lay x 2 1000
copy oci:lay:x "docker://$good/bb:x" --preserve-digests
tls other DNS:other.example
other=$at
# openssl x509 makes no certificate of the past before its 3.4: `ca` does.
mkdir old
cp good/ca.pem good/ca.key old/
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=registry -keyout old/key.pem -out old/csr.pem 2>/dev/null
printf '%s\n' '[ca]' 'default_ca = d' '[d]' 'dir = old' 'database = old/index.txt' 'new_certs_dir = old' 'serial = old/serial' \
  'default_md = sha256' 'policy = p' 'x509_extensions = e' '[p]' 'commonName = supplied' '[e]' 'subjectAltName = IP:127.0.0.1' >old/cnf
: >old/index.txt
echo 7001 >old/serial
openssl ca -batch -config old/cnf -cert old/ca.pem -keyfile old/ca.key -in old/csr.pem -out old/cert.pem -startdate 20200101000000Z -enddate 20210101000000Z 2>/dev/null
registry rold "  tls: {certificate: $T/old/cert.pem, key: $T/old/key.pem}"
old=$at

another_store
refuses 'a CA that nobody knows' 1 '^stave-pull: .*certificate' stave pull "$good/bb:x"
is 'is no image' "$(names)" ''
export SSL_CERT_FILE="$T/good/ca.pem"
pulls 'SSL_CERT_FILE' "$good/bb:x" "$digest"
pulls 'by name' "localhost:$port/bb:x" "$digest"
another_store
refuses 'a certificate for another name' 1 '^stave-pull: .*certificate' stave pull "$other/bb:x"
refuses 'a certificate that has expired' 1 '^stave-pull: .*certificate.*expired|^stave-pull: .*expired.*certificate' stave pull "$old/bb:x"
SSL_CERT_FILE=$T/none
declines 'SSL_CERT_FILE that is not there' '^stave-pull: ' stave pull "$good/bb:x"
echo nonsense >nonsense
SSL_CERT_FILE=$T/nonsense
declines 'SSL_CERT_FILE that holds none' '^stave-pull: ' stave pull "$good/bb:x"
unset SSL_CERT_FILE

conf() {
  echo "$1" >"$STAVE_REGISTRIES"
}
conf "{\"$good\": {\"ca\": \"$T/good/ca.pem\"}}"
pulls 'ca in registries.json' "$good/bb:x" "$digest"
another_store
declines 'is for that registry alone' 'certificate' stave pull "$old/bb:x"
conf "{\"$good\": {\"ca\": \"$T/none\"}}"
declines 'a ca that is not there' "$T/none" stave pull "$good/bb:x"
conf "{\"$good\": {\"ca\": \"$T/nonsense\"}}"
declines 'a ca that is none' "nonsense" stave pull "$good/bb:x"
conf "{\"$other\": {\"insecure\": true}, \"$good\": {\"insecure\": true}}"
pulls 'insecure' "$good/bb:x" "$digest"
conf '{}'
export STAVE_REGISTRIES
copy oci:lay:x "docker://$other/bb:x" --preserve-digests


# Push.
conf "{\"$good\": {\"ca\": \"$T/good/ca.pem\"}}"
pulls 'pull' "$good/bb:x" "$digest"
ok 'push' stave push "$good/bb:x" "$good/cc:x"
is 'is there' "$(curl -sS --cacert good/ca.pem -H "Accept: $oci.manifest.v1+json" "https://$good/v2/cc/manifests/x" | sha256sum | cut -d' ' -f1)" "${digest#sha256:}"
conf '{}'
refuses 'push to whom nobody knows' 1 '^stave-push: .*certificate' stave push "$good/bb:x" "$good/dd:x"

# /etc/docker/certs.d, /etc/hosts: in a mount namespace of its own.
if [ "$(id -u)" = 0 ]; then
  another_store
  mkdir -p "etc/docker/certs.d/$good"
  cp good/ca.pem "etc/docker/certs.d/$good/ca.crt"
  printf '127.0.0.1 localhost registry.test\n' >etc/hosts
  export T
  # inside COMMAND: with these files in /etc.
  inside() {
    # shellcheck disable=SC2016 # the inner shell expands
    unshare --mount sh -c 'mount -t overlay -o lowerdir="$T/etc:/etc" none /etc && "$@"' sh "$@"
  }
  try inside stave pull "$good/bb:x"
  is '/etc/docker/certs.d/HOST/ca.crt' "$status $err $(printf %s "$out" | digest_of)" "0  $digest"
  another_store
  refuses 'is for that host alone' 1 'certificate' inside stave pull "registry.test:$port/bb:x"
  conf "{\"registry.test:$port\": {\"ca\": \"$T/good/ca.pem\"}}"
  try inside stave pull "registry.test:$port/bb:x"
  is 'a name that is in /etc/hosts' "$status $err $(printf %s "$out" | digest_of)" "0  $digest"
  registry open
  open=$at
  copy oci:lay:x "docker://$open/bb:x" --preserve-digests
  port=${open#*:}
  conf '{}'
  refuses 'plain http is not spoken where the name is not of loopback' 1 '^stave-pull: .*registry.test' inside stave pull "registry.test:$port/bb:x"
  conf "{\"registry.test:$port\": {\"plain-http\": true}}"
  another_store
  try inside stave pull "registry.test:$port/bb:x"
  is 'but where plain-http says so' "$status $err $(printf %s "$out" | digest_of)" "0  $digest"
fi
