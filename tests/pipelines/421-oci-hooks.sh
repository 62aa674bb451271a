#!/bin/sh
# Hooks: the lifecycle of runtime.md, POSIX-platform Hooks of config.md. Numbers: ../conformance/musts.tsv
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/conformance/lib.sh
. "$here/../conformance/lib.sh"
before=$(snapshot)
seen=$T/seen
mkdir "$seen"
chmod 777 "$seen"

# hook KIND SCRIPT...: hooks of that kind, one for each script; $0 is the directory of what was seen.
hook() {
  kind=$1
  shift
  jq -nc --arg kind "$kind" --arg dir "$seen" \
    '{($kind): [$ARGS.positional[] | {path: "/bin/sh", args: ["sh", "-c", ., $dir], env: ["PATH=/bin:/usr/bin", "OF=the hook"], timeout: 10}]}' --args "$@"
}
# The container's own place for what its hooks and its process note.
shared='.mounts += [{destination: $dir, type: "bind", source: $dir, options: ["bind"]}]'
touch "$bundle/rootfs/marker"

# What each hook sees: its state, its namespaces, whether the root is the container's; and who came before.
look='cat >"$0/KIND.state"; pid=$(sed -n "s/.*\"pid\": *\([0-9]*\).*/\1/p" "$0/KIND.state" | head -n 1)
  echo KIND-1 >>"$0/order"
  { readlink /proc/self/ns/mnt; readlink /proc/self/ns/uts; readlink /proc/self/ns/net; } >"$0/KIND.ns"
  { readlink /proc/$pid/ns/mnt; readlink /proc/$pid/ns/uts; readlink /proc/$pid/ns/net; } >"$0/KIND.container"
  [ -e /marker ] && echo container >"$0/KIND.root" || echo host >"$0/KIND.root"
  [ -e /proc/$pid/root/marker ] && echo pivoted >"$0/KIND.pivot" || echo before >"$0/KIND.pivot"
  cut -d" " -f5 /proc/$pid/mountinfo >"$0/KIND.mounts"
  ls /proc/$pid/cmdline >/dev/null 2>&1 && tr "\0" " " </proc/$pid/cmdline >"$0/KIND.cmdline"
  hostname >"$0/KIND.hostname"; echo "$OF ${HOME-none}" >"$0/KIND.env"'
all='{}'
for kind in poststop poststart startContainer createContainer createRuntime prestart; do
  all=$(hook $kind "$(printf '%s\n' "$look" | sed "s/KIND/$kind/g")" "echo $kind-2 >>\"\$0/order\"" | jq -c --argjson all "$all" '$all + .')
done
creates ".hooks = \$all | $shared | .process.args = [\"sh\", \"-c\", \"echo program >>\$dir/order; while :; do sleep 0.05; done\"] | .process.env += [\"dir=\" + \$dir] | .annotations = {a: \"b\"}
  | .mounts += [{destination: \"/sys\", type: \"sysfs\", source: \"sysfs\", options: [\"ro\"]}]" --argjson all "$all" --arg dir "$seen"
is 'R17: prestart hooks are run by create' "$(grep -c prestart "$seen/order")" 2
is 'R19: createRuntime hooks too' "$(grep -c createRuntime "$seen/order")" 2
is 'R21: and createContainer hooks' "$(grep -c createContainer "$seen/order")" 2
is 'C81: prestart hooks come before createRuntime hooks' "$(paste -sd' ' "$seen/order" | cut -d' ' -f 1-4)" 'prestart-1 prestart-2 createRuntime-1 createRuntime-2'
is 'C85: createContainer hooks come after these' "$(paste -sd' ' "$seen/order" | cut -d' ' -f 5-)" 'createContainer-1 createContainer-2'
no 'C89: startContainer hooks wait for the start' test -e "$seen/startContainer.state"
rt start "$id"
is 'R26: start is over when the poststart hooks are' "$(grep -c poststart "$seen/order")" 2
soon grep -q program "$seen/order"
is 'R23: startContainer hooks come after create' "$(paste -sd' ' "$seen/order" | cut -d' ' -f 7-8)" 'startContainer-1 startContainer-2'
like 'C89: and before the program' "$(paste -sd' ' "$seen/order")" 'startContainer-2 .*program'
like 'C92: poststart hooks see the program' "$(cat "$seen/poststart.cmdline")" '^sh -c echo program'
no 'C95: no poststop hook before the container is deleted' test -e "$seen/poststop.state"
rt kill "$id" KILL && becomes stopped
rt delete "$id"
is 'R29: poststop hooks are run by delete' "$(paste -sd' ' "$seen/order" | grep -o 'poststop.*')" 'poststop-1 poststop-2'
is 'C78: each kind in the order of its list' "$(grep -v program "$seen/order" | paste -sd' ')" "$(for k in prestart createRuntime createContainer startContainer poststart poststop; do echo $k-1 $k-2; done | paste -sd' ')"

own=$(readlink /proc/self/ns/mnt /proc/self/ns/uts /proc/self/ns/net)
for kind in prestart:C65:C82 createRuntime:C68:C83 poststart:C74:C93 poststop:C76:C96; do
  n=${kind#*:} also=${kind##*:} kind=${kind%%:*}
  n=${n%:*}
  is "$n $also: $kind hooks are executed in the namespaces of the runtime" "$(cat "$seen/$kind.ns")" "$own"
  is "$n: with its root" "$(cat "$seen/$kind.root")" host
done
for kind in prestart:C80 createRuntime:C84; do
  n=${kind#*:} kind=${kind%:*}
  is "$n: $kind hooks find the namespaces made" "$(grep -cFx "$own" "$seen/$kind.container")" 0
  is "$n: and the root not yet changed" "$(cat "$seen/$kind.pivot")" before
done
is 'C70 C87: createContainer hooks are executed in the namespaces of the container' "$(cat "$seen/createContainer.ns")" "$(cat "$seen/createRuntime.container")"
is 'C86: with the root of the runtime, which is not yet changed' "$(cat "$seen/createContainer.root")" host
is 'C86: when the environment has been made: its host name' "$(cat "$seen/createContainer.hostname")" conform
like 'C86: and its mounts' "$(cat "$seen/createContainer.mounts" "$seen/createRuntime.mounts")" '/rootfs/(sys|proc)$'
is 'C72 C91: startContainer hooks are executed in the namespaces of the container' "$(cat "$seen/startContainer.ns")" "$(cat "$seen/createRuntime.container")"
is 'C71 C90: with its root, by which their path is found' "$(cat "$seen/startContainer.root")" container

for kind in prestart createRuntime createContainer startContainer poststart poststop; do
  is "C79: a $kind hook is told the state" "$(jq -r '[(.ociVersion | test("^1\\.")), .id, .bundle, .annotations.a] | @tsv' "$seen/$kind.state")" "$(printf 'true\t%s\t%s\tb' "$id" "$bundle")"
done
is 'C79: and how far it has come' "$(for k in prestart createRuntime createContainer startContainer poststart poststop; do jq -r .status "$seen/$k.state"; done | paste -sd' ')" 'creating creating creating created running stopped'
pid=$(jq -r .pid "$seen/createRuntime.state")
is 'R59: the pid is what the runtime sees, for hooks in its namespace' "$(for k in prestart poststart; do jq -r .pid "$seen/$k.state"; done | paste -sd' ')" "$pid $pid"
is 'R59: and what the container sees, for hooks in there' "$(for k in createContainer startContainer; do jq -r .pid "$seen/$k.state"; done | paste -sd' ')" '1 1'
is 'C62: env is the hook'"'"'s environment, and all of it' "$(cat "$seen"/*.env | sort -u)" 'the hook none'

# Paths: those of the runtime are found by its root, of which the container knows nothing.
printf '#!/bin/sh\ncat >/dev/null; echo "$0 $*" >>%s/paths\n' "$seen" >"$T/script" && chmod 755 "$T/script"
creates ".hooks = ([\"prestart\", \"createRuntime\", \"createContainer\", \"poststart\", \"poststop\"] | map({(.): [{path: \$path, args: [\"zero\", .]}]}) | add) | $shared" --arg path "$T/script" --arg dir "$seen"
is 'create succeeds' "$status $err" '0 '
rt start "$id" && becomes stopped
rt delete "$id"
for kind in prestart:C64 createRuntime:C67 createContainer:C69 poststart:C73 poststop:C75; do
  n=${kind#*:} kind=${kind%:*}
  is "$n: the path of a $kind hook is one of the runtime's namespace" "$(grep -c "$kind" "$seen/paths")" 1
done
is 'C61: args follow the program, the first of them its name' "$(cut -d' ' -f 2- "$seen/paths" | paste -sd' ')" 'prestart createRuntime createContainer poststart poststop'

for kind in prestart createRuntime createContainer startContainer poststart poststop; do
  rejects "C60: a path of $kind that is not absolute" '.hooks = {($kind): [{path: "bin/true"}]}' --arg kind $kind
  rejects "C63: a timeout of $kind that is not above zero" '.hooks = {($kind): [{path: "/bin/true", timeout: 0}]}' --arg kind $kind
done
rejects 'C63: nor a negative one' '.hooks = {createRuntime: [{path: "/bin/true", timeout: -1}]}'
rejects 'C63: what takes longer is ended, and fails' '.hooks = {createRuntime: [{path: "/bin/sleep", args: ["sleep", "30"], timeout: 1}]}'

# Failures: an error, the container stopped and destroyed, its poststop hooks run (steps 12 and 13).
for kind in prestart:R18 createRuntime:R20 createContainer:R22 startContainer:R24 poststart:R27; do
  n=${kind#*:} kind=${kind%:*}
  rm -f "$seen/order"
  hooks=$(jq -nc --argjson a "$(hook "$kind" 'echo first >>"$0/order"; cat >"$0/failing"; exit 3' 'echo second >>"$0/order"')" --argjson b "$(hook poststop 'echo poststop >>"$0/order"')" '$a + $b')
  creates ".hooks = \$hooks | $shared | .process.args = [\"sh\", \"-c\", \"while :; do sleep 0.05; done\"]" --argjson hooks "$hooks" --arg dir "$seen"
  case $kind in
  startContainer | poststart)
    is "$n: create is done" "$status" 0
    no "$n: a $kind hook that fails is an error of start" rt start "$id"
    ;;
  *) is "$n: a $kind hook that fails is an error of create" "$([ "$status" != 0 ] && echo error)" error ;;
  esac
  is "$n: the process has gone" "$(grep -ls "$bundle/rootfs" /proc/[0-9]*/mountinfo)" ''
  no "$n: the container has been destroyed" rt state "$id"
  is "$n: its cgroup too" "$(find /sys/fs/cgroup -mindepth 2 -maxdepth 3 -type d -name "conform-$$-*")" ''
  is "$n: the next hook is not run, poststop hooks are" "$(paste -sd' ' "$seen/order")" 'first poststop'
  gone
done
rm -f "$seen/order"
creates ".hooks = \$hooks" --argjson hooks "$(hook poststop 'echo first >>"$0/order"; exit 3' 'echo second >>"$0/order"')"
rt start "$id" && becomes stopped
ok 'R30: a poststop hook that fails does not make delete fail' rt delete "$id"
like 'R30: it is a warning' "$err" '[Hh]ook|poststop'
is 'R30: the next is run' "$(paste -sd' ' "$seen/order")" 'first second'
no 'R30: and the container has gone' rt state "$id"
nothing_left 'R28: nothing is left' "$before"
