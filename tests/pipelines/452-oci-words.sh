#!/bin/sh
# What stands before the verb, and what is said when something goes wrong: on stderr, and in the log
# that an engine reads back.
# shellcheck disable=SC2016 # what is said has a dollar in it
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq stave-oci
rootfs
before=$(snapshot)
bundle b '.process.args = ["nope"]'
last() { tail -n 1 log; }

try oci --log log --log-format json create -b b a
is 'an error is one line on stderr' "$err" 'stave-oci: error: create a: exec: "nope": executable file not found in $PATH'
is 'and one object in the log' "$(jq -c '[.level, .msg, keys]' log)" \
  '["error","create a: exec: \"nope\": executable file not found in $PATH",["level","msg","time"]]'
ok 'with its time' jq -e '.time | fromdateiso8601? // sub("\\.[0-9]+";"") | tostring | test("^20|^1")' log
oci --log=log --log-format=json state a 2>/dev/null
is 'the log is appended to' "$(jq -r .msg log | tail -n 1)" 'state a: container does not exist'
is 'and holds nothing else' "$(wc -l <log) $(jq -c . log | wc -l)" '2 2'
oci --log log --log-format json frobnicate 2>/dev/null
is 'a wrong word is told there too' "$(last | jq -r '.msg | test("frobnicate")')" true
is 'with the status of runc' "$?$(oci frobnicate 2>/dev/null || echo $?)" 03
oci --log=log --log-format=json --root=/ list 2>/dev/null
is 'a root that cannot be' "$(last | jq -r .msg)" 'list: --root should not be set to /'
rm log
oci --log log --log-format text state a 2>/dev/null
like 'as text' "$(cat log)" '^time="20[^"]*Z" level=error msg="state a: container does not exist"$'
rm log
oci --log-format json state a 2>err
is 'as JSON on stderr, where there is no file' "$(jq -r .level err)" error
refuses 'another format' 1 'invalid log-format: xml' oci --log-format xml list
refuses 'another level' 1 'invalid log-level: loud' oci --log-level loud list
refuses 'a log that cannot be' 1 'open the log /no/such/log: no such file' oci --log /no/such/log list
jq '.process.args = ["true"] | .process.capabilities.bounding += ["CAP_NOPE"]' b/config.json >b/warn.json
try oci --log log --log-format json run -b b -f warn.json a
is 'a warning does not stop it' "$status" 0
is 'nor says anything to whom stderr belongs' "$err" ''
is 'and is told as such' "$(jq -c '[.level, .msg]' log)" '["warning","there is no capability CAP_NOPE"]'
try oci --log log --log-format json --log-level error run -b b -f warn.json a
is 'or not at all' "$err$(wc -l <log)" 1
rm log
try oci --debug run -b b -f warn.json a
like '--debug says each step' "$err" '^time=".*" level=debug msg="clone a process into new .*: done"$'
try oci --debug --log log --log-format json run -b b -f warn.json a
unlike 'in the log, where there is one' "$err" 'clone'
like 'as all else' "$(jq -r 'select(.level == "debug") | .msg' log)" '^exec|^clone a process'

# Flags are what the kernel gets: one that none asks for is set, one that is asked for alone.
for flags in 'null 4' '[] 0' '["SECCOMP_FILTER_FLAG_LOG"] 2'; do
  jq --argjson flags "${flags% *}" '.process.args = ["true"] | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["swapon"], action: "SCMP_ACT_ERRNO"}]}
    | if $flags then .linux.seccomp.flags = $flags else . end' b/config.json >b/seccomp.json
  like "--debug says seccomp's flags: $flags" "$(oci --debug run -b b -f seccomp.json a 2>&1)" "level=debug msg=\"seccomp filter flags: ${flags#* }\"\$"
done

# What is wrong with a program that is there is said by itself, as its process would say it; why it is
# so is for the log.
printf '#!/no/such/sh x\n' >b/rootfs/script && printf 'text\n' >b/rootfs/text && chmod 755 b/rootfs/script b/rootfs/text
jq '.process.args = ["/script"]' b/config.json >b/script.json
jq '.process.args = ["/text"]' b/config.json >b/text.json
refuses 'a script without its interpreter' 1 '^exec /script: no such file or directory$' oci --log log --log-format json run -b b -f script.json a
is 'the log says which' "$(last | jq -r .msg)" 'run a: exec /script: no such file or directory: its interpreter /no/such/sh is not there'
refuses 'a text' 1 '^exec /text: exec format error$' oci run -b b -f text.json a
# Engines tell 127, 126 and the rest by these words.
ln -s loop b/rootfs/loop
for words in ':executable file not found in \$PATH' 'moon:executable file not found in \$PATH' '/moon:no such file or directory' \
  '/loop:too many levels of symbolic links' '/text/x:not a directory' '/bin:is a directory: permission denied'; do
  jq --arg name "${words%%:*}" '.process.args = [$name]' b/config.json >b/name.json
  refuses "create: '${words%%:*}'" 1 "^stave-oci: error: create a: exec: \"${words%%:*}\": ${words#*:}\$" oci create -b b -f name.json a
done
rm log

mkdir -p images/parent && : >images/file
for parent in "$T/images/parent" no file; do
  refuses "checkpoint --parent-path $parent" 1 '^stave-oci: error: checkpoint a: --parent-path' oci checkpoint --image-path images --parent-path "$parent" a
done
refuses 'one that is there' 1 'checkpoint is not supported' oci checkpoint --image-path images --parent-path parent a

for verb in create run exec start kill delete pause resume ps events update state checkpoint restore; do
  try oci $verb
  if [ "$status" = 1 ] && [ "$(printf '%s\n' "$err" | wc -l)" = 1 ]; then pass "$verb without an id"; else fail "$verb without an id" "$status" "$err"; fi
  try oci $verb --no-such-flag a
  if [ "$status" = 1 ]; then pass "$verb with a flag that there is not"; else fail "$verb with a flag that there is not" "$status" "$err"; fi
  try oci $verb --help
  like "$verb --help" "$status $out" "^   stave-oci $verb - "
done
try stave-oci
like 'no word at all shows the help' "$status $out" '^0 NAME:$'
like 'help' "$(stave-oci help)" '^  restore '
is '--version' "$(stave-oci --version | sed 's/[0-9.]*$/X/')" 'stave-oci version X
commit: vX
spec: X'
is '-v' "$(stave-oci -v)" "$(stave-oci --version)"
ln -s "$(command -v stave-oci)" runc
is 'by the name of runc it says what clients of runc look for' "$(./runc -v | sed 's/[0-9.]*$/X/' | head -n 1)" 'runc version X'
ln -s runc crun
is 'as by that of crun' "$(./crun -v | sed 's/[0-9.]*$/X/' | head -n 1)" 'crun version X'
is 'and does the same' "$(./runc --root "$T/oci" list -f json)" null

if [ -d /run/systemd/system ]; then
  skip '--systemd-cgroup' 'systemd runs this machine; tests/vm/systemd.sh has it do so'
else
  refuses '--systemd-cgroup' 1 'systemd does not run this machine' oci --systemd-cgroup run -b b a
  refuses '--cgroup-manager=systemd' 1 'systemd does not run this machine' oci --cgroup-manager=systemd create -b b a
fi
ok 'other verbs do not mind' oci --systemd-cgroup delete --force a
refuses 'another manager' 1 'unknown cgroup manager x' oci --cgroup-manager x list
refuses '--rootless' 1 'invalid --rootless value: maybe' oci --rootless=maybe list
for when in --rootless --rootless=true '--rootless false' '--rootless auto'; do
  # shellcheck disable=SC2086 # words
  ok "$when" oci $when list
done
jq '.process.args = ["cat", "/proc/self/cgroup"]' b/config.json >b/cgroup.json
own=$(cut -d: -f3- /proc/self/cgroup | sort -u)
is 'no cgroup with --cgroup-manager=disabled' "$(oci --cgroup-manager=disabled run -b b -f cgroup.json a | cut -d: -f3- | sort -u)" "$own"
is 'features is what the specification has' "$(oci features | jq -c '[.ociVersionMin, (.hooks | length), (.mountOptions | index("rro") != null), .linux.mountExtensions.idmap.enabled, (.linux.namespaces | length)]')" \
  '["1.0.0",6,true,true,8]'
is 'also of seccomp' "$(oci features | jq -c '.linux.seccomp | [.enabled, (.actions | index("SCMP_ACT_NOTIFY") != null), (.archs | index("SCMP_ARCH_X86_64") != null), .knownFlags == .supportedFlags]')" \
  '[true,true,true,true]'
nothing_left 'nothing is left' "$before"
