#!/bin/sh
# Who may pull: basic, tokens, and where credentials come from; where they must not go.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3 htpasswd
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

htpasswd -Bbn joe 'se:cret pass' >users.basic 2>/dev/null
registry basic "auth: {htpasswd: {realm: r, path: $T/users.basic}}"
basic=$at
noisy lay x 2 1000
copy oci:lay:x "docker://$basic/bb:x" --preserve-digests --dest-creds 'joe:se:cret pass'
proxy px "$basic" --blobs "$T/basic/files"
px=$at
ref=$px/bb:x
echo | faults
auth=$(printf 'joe:se:cret pass' | base64)
wrong=$(printf 'joe:guess' | base64)

# denied WHAT REGEX [REF]: one line, no name, and not the password.
denied() {
  another_store
  refuses "$1" 1 "^stave-pull: .*($2)" timeout 20 stave pull "${3-$ref}"
  unlike 'the line holds no secret' "$err" "cret|$auth|$wrong|guess"
}
denied 'without credentials' '401|nauthorized|denied|login'
denied 'nor by digest' '401|nauthorized|denied|login' "$px/bb@$digest"
is 'each asks but a few times' "$([ "$(asked .)" -le 8 ] && echo so)" so

# docker's config.json.
mkdir home/.docker
echo "{\"auths\":{\"$px\":{\"auth\":\"$auth\"}},\"other\":{\"keep\":1}}" >home/.docker/config.json
pulls 'config.json in the home directory' "$ref" "$digest"
mkdir conf
mv home/.docker/config.json conf/
denied 'it is gone' '401|nauthorized|denied|login'
export DOCKER_CONFIG="$T/conf"
pulls 'config.json in DOCKER_CONFIG' "$ref" "$digest"
anew
ok 'pull of what is there' stave pull "$ref"
is 'with credentials from the first request, or the second' "$([ "$(asked .)" -le 4 ] && echo so)" so
for key in "http://$px" "https://$px" "http://$px/v1/" "https://$px/v2/"; do
  echo "{\"auths\":{\"$key\":{\"auth\":\"$auth\"}}}" >conf/config.json
  pulls "the key $(echo "$key" | sed 's/127.*:[0-9]*/HOST/')" "$ref" "$digest"
done
echo "{\"auths\":{\"$px\":{\"username\":\"joe\",\"password\":\"se:cret pass\"}}}" >conf/config.json
pulls 'user and password' "$ref" "$digest"
echo "{\"auths\":{\"$px\":{\"auth\":\"$wrong\"}}}" >conf/config.json
denied 'a wrong password' '401|nauthorized|denied|login'
echo "{\"auths\":{\"other.example\":{\"auth\":\"$auth\"},\"${px}0\":{\"auth\":\"$auth\"},\"127.0.0.1\":{\"auth\":\"$auth\"}}}" >conf/config.json
anew
denied 'credentials for others' '401|nauthorized|denied|login'
is 'are not sent' "$(asked 'auth=Basic')" 0
for broken in '{' '[]' '' '{"auths":[]}' '{"auths":{"'"$px"'":{"auth":"%%%"}}}'; do
  printf '%s' "$broken" >conf/config.json
  another_store
  declines "a broken config.json: $(printf %.12s "$broken")" '^stave-pull: ' stave pull "$ref"
done
echo '{"auths":{}}' >conf/config.json

# Helpers.
mkdir bin
PATH=$T/bin:$PATH
cat >bin/docker-credential-test <<'END'
#!/bin/sh
read -r server
echo "$1 $server" >>"$T/helped"
case $server in
*127.0.0.1*) printf '{"ServerURL":"%s","Username":"joe","Secret":"se:cret pass"}' "$server" ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
END
cat >bin/docker-credential-none <<'END'
#!/bin/sh
echo 'credentials not found in native keychain'
exit 1
END
cat >bin/docker-credential-ill <<'END'
#!/bin/sh
echo 'the keyring is locked' >&2
exit 3
END
cat >bin/docker-credential-odd <<'END'
#!/bin/sh
echo 'what?'
END
chmod +x bin/*
export T
echo "{\"credHelpers\":{\"$px\":\"test\"}}" >conf/config.json
pulls 'credHelpers' "$ref" "$digest"
like 'the helper was asked by get, with the registry on stdin' "$(cat helped)" "^get (https?://)?$px"
is 'once' "$(wc -l <helped)" 1
echo '{"credsStore":"test"}' >conf/config.json
pulls 'credsStore' "$ref" "$digest"
echo "{\"credsStore\":\"ill\",\"credHelpers\":{\"$px\":\"test\"}}" >conf/config.json
pulls 'credHelpers before credsStore' "$ref" "$digest"
echo "{\"credsStore\":\"none\",\"auths\":{\"$px\":{}}}" >conf/config.json
denied 'a helper that has none' '401|nauthorized|denied|login'
echo '{"credsStore":"ill"}' >conf/config.json
denied 'a helper that fails' 'docker-credential-ill'
echo '{"credsStore":"odd"}' >conf/config.json
denied 'a helper that speaks nonsense' 'docker-credential-odd'
echo '{"credsStore":"missing"}' >conf/config.json
denied 'a helper that is not there' 'docker-credential-missing'

# podman's auth.json.
echo '{}' >conf/config.json
echo "{\"auths\":{\"$px\":{\"auth\":\"$auth\"}}}" >auth.json
REGISTRY_AUTH_FILE=$T/auth.json
export REGISTRY_AUTH_FILE
pulls 'REGISTRY_AUTH_FILE' "$ref" "$digest"
unset REGISTRY_AUTH_FILE
denied 'without it' '401|nauthorized|denied|login'

# Credentials go to the registry, to nobody else.
echo "{\"auths\":{\"$px\":{\"auth\":\"$auth\"}}}" >conf/config.json
echo '* GET /blobs/ redirect' | faults
pulls 'blobs that are elsewhere' "$ref" "$digest"
is 'come without credentials' "$(asked '^STORAGE GET .* auth=-')" 3
is 'all of them' "$(asked '^STORAGE GET')" 3
layer=$(jq -r '.layers[0].digest' "$(blob_of lay "$digest")")
printf '%s\n' '* GET /blobs/ redirect' "1 STORAGE $layer cut 100" | faults
pulls 'and when it goes on' "$ref" "$digest"
is 'none either' "$(asked '^STORAGE .* auth=[^-]')" 0
mine=$P
proxy evil "$basic"
evil=$at
P=$mine
echo "* * /manifests/ redirect http://$evil" | faults
another_store
declines 'a manifest that is elsewhere' '^stave-pull: ' stave pull "$ref"
unlike 'has no credentials either' "$(cat "$T/evil/log")" 'auth=[^-]'
echo "* * . status 401 \"WWW-Authenticate:Basic realm=x\"" | faults
denied '401 for ever' '401|nauthorized|denied|login'
is 'is given up soon' "$([ "$(asked .)" -le 8 ] && echo so)" so
echo "* * . status 401" | faults
denied '401 without a challenge' '401|nauthorized|denied|login'
for challenge in Bearer 'Bearer realm=' 'Bearer realm="gopher://x"' 'Digest realm="x"' 'Bearer realm="http://127.0.0.1:1/t",service="s"' '"' 'Bearer realm="/etc/passwd"'; do
  printf '* * . status 401 "WWW-Authenticate:%s"\n' "$(printf %s "$challenge" | sed 's/"/\\"/g')" | faults
  denied "an odd challenge: $challenge" ''
done

# Tokens.
tokens issuer
issuer=$at
echo 'joe secret' >issuer/users
registry token "$token_auth"
token=$at
auth=$(printf 'joe:secret' | base64)
for repo in public/bb private/bb; do
  copy oci:lay:x "docker://$token/$repo:x" --preserve-digests --dest-creds joe:secret
done
proxy pt "$token" --blobs "$T/token/files"
pt=$at
echo '{}' >conf/config.json
# given: what the token server was asked since it was last looked at.
given() {
  sed "1,${seen-0}d" issuer/log
  seen=$(wc -l <issuer/log)
}
given >/dev/null
seen=$(wc -l <issuer/log)
pulls 'a token for anybody' "$pt/public/bb:x" "$digest"
is 'one is enough' "$(given)" 'GET - repository:public/bb:pull 200'
seen=$(wc -l <issuer/log)
denied 'none for what is private' '401|nauthorized|denied|login' "$pt/private/bb:x"
echo "{\"auths\":{\"$pt\":{\"auth\":\"$auth\"}}}" >conf/config.json
seen=$(wc -l <issuer/log)
pulls 'a token for a user' "$pt/private/bb:x" "$digest"
like 'one is enough' "$(given)" '^(GET|POST) joe repository:private/bb:pull 200$'
is 'one' "$(given | wc -l)" 1
echo "{\"auths\":{\"$pt\":{\"auth\":\"$wrong\"}}}" >conf/config.json
denied 'a wrong password' '401|nauthorized|denied|login|incorrect' "$pt/private/bb:x"
echo "{\"auths\":{\"$pt\":{\"auth\":\"$auth\"}}}" >conf/config.json
echo access_token >issuer/key
echo - >issuer/says
pulls 'access_token, without expires_in' "$pt/private/bb:x" "$digest"
rm issuer/key issuer/says
echo '* GET /blobs/ redirect' | faults
pulls 'blobs that are elsewhere' "$pt/private/bb:x" "$digest"
is 'come without the token' "$(asked '^STORAGE .* auth=[^-]') $(asked '^STORAGE ')" '0 3'

# A token that expires midway, though it was said to be good for long.
layer=$(jq -r '.layers[0].digest' "$(blob_of lay "$digest")")
echo 300 >issuer/says
printf '%s\n' "1 GET $layer status 401 \"WWW-Authenticate:Bearer realm=\\\"http://$issuer/token\\\",service=\\\"test-registry\\\",scope=\\\"repository:private/bb:pull\\\",error=\\\"invalid_token\\\"\"" | faults
pulls 'a token that expired midway is got anew' "$pt/private/bb:x" "$digest"
# Whole seconds: one lives for one to two.
echo 2 >issuer/expires
noisy lay slow 1 200000
copy oci:lay:slow "docker://$pt/private/bb:slow" --preserve-digests --dest-creds joe:secret
slow=$(jq -r '.layers[0].digest' "$(blob_of lay "$digest")")
printf '%s\n' "1 GET $slow cut 150000" "1 GET $slow drip 20000 600" | faults
pulls 'tokens of two seconds, a cut after four' "$pt/private/bb:slow" "$digest"
echo 0 >issuer/expires
denied 'tokens that are never good' '401|nauthorized|denied|token' "$pt/private/bb:x"
rm issuer/expires issuer/says
echo 500 >issuer/refuse
denied 'a token server that fails' '500' "$pt/private/bb:x"
echo 403 >issuer/refuse
denied 'a token server that refuses' '403|denied' "$pt/private/bb:x"
rm issuer/refuse
echo "{\"auths\":{\"$pt\":{\"auth\":\"$(printf 'joe:' | base64)\",\"identitytoken\":\"identity-joe\"}}}" >conf/config.json
noisy lay x 2 1000
pulls 'an identity token' "$pt/private/bb:x" "$digest"
