#!/bin/sh
# Whose environment a program on the host runs with: hooks get what the document says, and never what
# the container's process is given; nor does the runtime itself heed that.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq gcc
rootfs
bundle box
cp box/config.json plain.json
config() { jq "$1" plain.json >box/config.json; }

# A library that leaves a mark wherever it is loaded, at the same path on the host and in the container.
mkdir -p lib "box/rootfs$T/lib"
cat >evil.c <<END
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) { close(open("$T/loaded", O_CREAT | O_WRONLY, 0644)); }
END
gcc -shared -fPIC -o lib/evil.so evil.c || fail "evil.c compiles"
cp lib/evil.so "box/rootfs$T/lib/evil.so"
LD_PRELOAD=$T/lib/evil.so /usr/bin/env true
is 'the library works' "$(ls "$T/loaded")" "$T/loaded"
rm -f loaded

# A dynamic program of the host's as each kind of hook.
cat >hook <<END
#!/bin/sh
/usr/bin/env >>"$T/hooked"
END
chmod +x hook
evil="\"LD_PRELOAD=$T/lib/evil.so\", \"LD_LIBRARY_PATH=$T/lib\", \"PATH=$T/lib:/bin\", \"BASH_ENV=$T/evil\", \"ENV=$T/evil\", \"GCONV_PATH=$T/lib\", \"STAVE_PROGRAM=/x\", \"STAVE_ROOT=/x\", \"TMPDIR=/x\""
hooks='.hooks = (["prestart", "createRuntime", "createContainer", "poststart", "poststop"] |
  map({(.): [{path: "'"$T/hook"'", args: ["hook"], env: ["MARK=1"]}]}) | add)'
config ".process.env = [$evil] | .process.args = [\"sh\", \"-c\", \"echo here\"] | $hooks"
: >hooked
try env SECRET=host stave-oci --root "$T/oci" run -b box env
oci delete -f env 2>/dev/null
is 'it runs' "$status $out" '0 here'
like 'hooks have run' "$(grep -c '^MARK=1' hooked)" '^[45]$'
is 'with their own variables alone' "$(grep -v -e '^MARK=1' -e '^PWD=' -e '^_=' -e '^SHLVL=' -e '^OLDPWD=' hooked)" ''
is 'and nothing of the container was loaded on the host' "$(ls loaded 2>&1)" "ls: cannot access 'loaded': No such file or directory"

# What is called without a slash is found by the container's PATH in the container.
printf '#!/bin/sh\n: >"%s"\necho host\n' "$T/loaded" >lib/tool && chmod +x lib/tool
printf '#!/bin/sh\necho container\n' >"box/rootfs$T/lib/tool" && chmod +x "box/rootfs$T/lib/tool"
config ".process.env = [\"PATH=$T/lib:/bin\"] | .process.args = [\"tool\"]"
is 'PATH is looked through in the container' "$(oci run -b box path)" container
rm "box/rootfs$T/lib/tool"
no 'and nowhere else' oci run -b box path
is 'the host has not run it' "$(ls loaded 2>&1)" "ls: cannot access 'loaded': No such file or directory"

# exec: the same variables, asked for by whoever enters.
cp -a "box/rootfs" tree
stave run -d --name web --rootfs "$T/tree" -e "LD_PRELOAD=$T/lib/evil.so" -e "GCONV_PATH=$T/lib" sleep 1000 >/dev/null
ok 'exec' env SECRET=host stave exec -e "LD_PRELOAD=$T/lib/evil.so" -e STAVE_ROOT=/x web true
is 'nothing of the host is in it' "$(SECRET=host stave exec web env | grep -c -e SECRET -e STAVE -e "^PATH=$PATH\$")" 0
is 'the host has loaded nothing' "$(ls loaded 2>&1)" "ls: cannot access 'loaded': No such file or directory"
# Its first process, seen from inside, was never the runtime with the caller's variables.
is 'nor is it in pid 1' "$(stave exec web sh -c 'tr "\0" "\n" </proc/1/environ' | grep -c -e SECRET -e STAVE)" 0
stave rm -f web >/dev/null

# A created one waits as a process of ours, in a pid namespace that others may share: neither the engine's
# variables nor anything else can be read off it there.
stave run -d --name pod --rootfs "$B" sleep 1000 >/dev/null
config ".process.args = [\"sleep\", \"1000\"] | (.linux.namespaces[] | select(.type == \"pid\")).path = \"/proc/$(stave inspect --as state pod | jq .pid)/ns/pid\""
try env SECRET=host stave-oci --root "$T/oci" create -b box waits </dev/null
is 'created in the pid namespace of another' "$status" 0
is 'there it can be seen' "$(stave exec pod sh -c 'ls -d /proc/[0-9]*' | grep -c '/[1-9][0-9]*$')" 3
is 'but not looked into' "$(stave exec pod sh -c 'cd /proc && for p in [0-9]*; do [ $p = 1 ] || [ $p = $$ ] || {
  cat $p/environ; readlink $p/exe; readlink $p/root; readlink $p/cwd; for f in $p/fd/*; do readlink $f; done; ls $p/map_files; cat $p/auxv; }; done 2>/dev/null')" ''
oci start waits
is 'once it is itself, it can be' "$(stave exec pod sh -c 'for p in /proc/[0-9]*; do readlink $p/exe; done' | sort -u)" /bin/busybox
oci delete -f waits
stave rm -f pod >/dev/null
