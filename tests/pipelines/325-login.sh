#!/bin/sh
# login and logout: what docker, podman and skopeo read, and write.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3 htpasswd
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

htpasswd -Bbn joe secret >users.basic 2>/dev/null
registry basic "auth: {htpasswd: {realm: r, path: $T/users.basic}}"
basic=$at
noisy lay x 1 1000
copy oci:lay:x "docker://$basic/bb:x" --preserve-digests --dest-creds joe:secret
file=home/.docker/config.json

refuses 'a wrong password' 1 '^stave-login: .*(401|nauthorized|denied|incorrect)' stave login -u joe -p wrong "$basic"
unlike 'which is not told' "$err$out" wrong
is 'writes nothing' "$(find home -type f)" ''
refuses 'nobody there' 1 '^stave-login: .*refused' stave login -u joe -p secret 127.0.0.1:1
ok 'login' stave login -u joe -p secret "$basic"
unlike 'tells no secret' "$out$err" 'secret|am9lOnNlY3JldA'
is 'it is written as docker does' "$(jq -c . $file)" "{\"auths\":{\"$basic\":{\"auth\":\"am9lOnNlY3JldA==\"}}}"
is 'for the user alone' "$(stat -c %a $file)" 600
pulls 'pull uses it' "$basic/bb:x" "$digest"
ok 'skopeo uses it' skopeo inspect --authfile $file --tls-verify=false "docker://$basic/bb:x"
jq '. + {"HttpHeaders":{"X":"y"},"auths":(.auths + {"other.example":{"auth":"eDp5"}})}' $file >f && cat f >$file
ok 'login again, the password on stdin' sh -c "printf 'secret\n' | stave login -u joe --password-stdin $basic"
is 'keeps what others wrote' "$(jq -c '[.HttpHeaders.X, (.auths | keys | length), .auths["other.example"].auth]' $file)" '["y",2,"eDp5"]'
ok 'logout' stave logout "$basic"
is 'takes that away, it alone' "$(jq -c . $file)" '{"auths":{"other.example":{"auth":"eDp5"}},"HttpHeaders":{"X":"y"}}'
another_store
refuses 'pull has no credentials then' 1 '^stave-pull: ' stave pull "$basic/bb:x"
ok 'logout twice' stave logout "$basic"

# What others wrote.
ok 'skopeo logs in' skopeo login --authfile auth.json --tls-verify=false -u joe -p secret "$basic"
export REGISTRY_AUTH_FILE="$T/auth.json"
pulls "pull uses skopeo's" "$basic/bb:x" "$digest"
unset REGISTRY_AUTH_FILE
if command -v podman >/dev/null; then
  ok 'stave logs in' stave login -u joe -p secret "$basic"
  is 'podman knows it' "$(podman login --authfile $file --get-login "$basic" 2>&1)" joe
  stave logout "$basic" >said 2>&1
fi

# Where it is.
export DOCKER_CONFIG="$T/elsewhere/deep"
ok 'DOCKER_CONFIG that is not there' stave login -u joe -p secret "$basic"
is 'is made' "$(stat -c '%a' elsewhere/deep elsewhere/deep/config.json | tr '\n' ' ')" '700 600 '
mv elsewhere/deep/config.json real.json
ln -s "$T/real.json" elsewhere/deep/config.json
ok 'a config.json that is a link' stave login -u joe -p secret "$basic"
is 'stays one' "$(readlink elsewhere/deep/config.json) $(jq '.auths | length' real.json)" "$T/real.json 1"
for broken in '{' '[]' '{"auths":7}'; do
  printf %s "$broken" >real.json
  declines "a broken config.json: $broken" '^stave-login: .*config.json' stave login -u joe -p secret "$basic"
  is 'is left as it is' "$(cat real.json)" "$broken"
done
rm elsewhere/deep/config.json

# A store for credentials.
mkdir bin
PATH=$T/bin:$PATH
export T
cat >bin/docker-credential-test <<'END'
#!/bin/sh
case $1 in
store) cat >"$T/kept" ;;
erase) cat >"$T/erased" ; rm -f "$T/kept" ;;
get)
  read -r server
  [ -e "$T/kept" ] || { echo 'credentials not found in native keychain'; exit 1; }
  cat "$T/kept"
  ;;
esac
END
chmod +x bin/docker-credential-test
echo '{"credsStore":"test"}' >elsewhere/deep/config.json
ok 'login with credsStore' stave login -u joe -p secret "$basic"
is 'the helper keeps it' "$(jq -c '[.ServerURL, .Username, .Secret]' kept)" "[\"$basic\",\"joe\",\"secret\"]"
unlike 'the file has no secret' "$(cat elsewhere/deep/config.json)" 'am9lOnNlY3JldA|secret'
pulls 'pull asks the helper' "$basic/bb:x" "$digest"
ok 'logout' stave logout "$basic"
is 'erases it' "$(cat erased)" "$basic"
unlike 'the file does not name the registry any more' "$(cat elsewhere/deep/config.json)" "$basic"
echo "{\"credHelpers\":{\"$basic\":\"test\"}}" >elsewhere/deep/config.json
ok 'login with credHelpers' stave login -u joe -p secret "$basic"
is 'the helper keeps it' "$(jq -c '[.Username, .Secret]' kept)" '["joe","secret"]'
printf '#!/bin/sh\necho "the keyring is locked"\nexit 1\n' >bin/docker-credential-test
refuses 'a helper that fails' 1 '^stave-login: .*docker-credential-test' stave login -u joe -p secret "$basic"
unlike 'which tells no secret' "$err" secret
rm elsewhere/deep/config.json

# At a terminal.
at stave login "$basic" <<'END'
? [Uu]ser
> joe
? [Pp]assword
> secret
END
is 'asks at a terminal' "$out" 'exit 0, cooked'
unlike 'the password is not shown' "$(cat typed)" secret
is 'and is right' "$(jq -r '.auths[].auth' elsewhere/deep/config.json)" am9lOnNlY3JldA==
rm elsewhere/deep/config.json
at stave login "$basic" <<'END'
? [Uu]ser
> joe
? [Pp]assword
^ C
END
like 'control-C at the prompt: it ends, the terminal is as before' "$out" '^exit 130, cooked'
is 'and nothing was written' "$(ls elsewhere/deep)" ''

# Words that do not go together.
declines 'no terminal to ask at' '^stave-login: ' sh -c "stave login $basic </dev/null"
declines 'a password without a user' '^stave-login: ' stave login -p secret "$basic"
declines 'two passwords' '^stave-login: ' sh -c "echo secret | stave login -u joe -p secret --password-stdin $basic"
declines 'an empty password' '^stave-login: ' sh -c "stave login -u joe --password-stdin $basic </dev/null"
declines 'no name of a registry' '^stave-login: ' stave login -u joe -p secret 'not a/host'

# Tokens: the password is tried at the token server.
tokens issuer
echo 'joe secret' >issuer/users
registry token "$token_auth"
refuses 'tokens: a wrong password' 1 '^stave-login: .*(401|nauthorized|denied|incorrect)' stave login -u joe -p wrong "$at"
ok 'tokens: a right one' stave login -u joe -p secret "$at"
like 'was tried' "$(cat issuer/log)" '(GET|POST) joe .* 200$'
