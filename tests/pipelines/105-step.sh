#!/bin/sh
# --step and --trace, taken at their word: what is undone is as before, what is skipped is not done,
# what is traced is shell that does the same.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3 jq
rootfs
before=$(snapshot)
prompt='\[q\]uit > '

# Back over several steps, and forward again.
stave new web --rootfs "$B" >/dev/null
id=$(id_of web)
made=$(snapshot)
at stave ns web --step <<END
enter 8
END
is 'Enter to the end' "$out $(mounts "$STAVE_RUN/$id/ns" | wc -l)" 'exit 0, cooked 3'
stave ns --undo web >/dev/null
at stave ns web --step <<END
enter 5
? $prompt
$ findmnt -rno TARGET | grep -c "$STAVE_RUN/$id/ns/"
> u
? $prompt
> u
? $prompt
$ findmnt -rno TARGET | grep -c "$STAVE_RUN/$id/ns/"
>
enter
END
is 'two steps back, a pin fewer, and on to the end' "$(echo "$out" | head -n 3) $(mounts "$STAVE_RUN/$id/ns" | wc -l)" '2
1
exit 0, cooked 3'

# What was so before the tool came is not its own to undo.
made=$(snapshot)
at stave ns web --step <<END
enter 4
? $prompt
> u
? $prompt
> u
? $prompt
> q
END
is 'undo and quit' "$out" 'exit 1, cooked'
nothing_left 'leave what others made' "$made"
stave ns --undo web >/dev/null

# Every step skipped: nothing is done.
made=$(snapshot)
at stave ns web --step <<END
? step 1/7
> s
? step 2/7
> s
? step 3/7
> s
? step 4/7
> s
? step 5/7
> s
? step 6/7
> s
? step 7/7
> s
END
like 'all skipped' "$out" '^exit 0, cooked'
nothing_left 'nothing is made' "$made"

# Quit takes back what the document says, too.
stave mount web >/dev/null && stave ns web >/dev/null && stave limit -m 64M web
made=$(snapshot) document=$(cat "$STAVE_ROOT/c/$id/config.json")
at stave limit -m 32M web --step <<END
? config.json
enter 1
? $prompt
> q
END
is 'quit' "$out" 'exit 1, cooked'
is 'and the document is the former' "$(jq -S . "$STAVE_ROOT/c/$id/config.json")" "$(echo "$document" | jq -S .)"
nothing_left 'and the kernel has what it had' "$made"
# The same where the kernel says no.
before_it=$(jq .linux.resources "$STAVE_ROOT/c/$id/config.json")
stave keep web -- sh -c 'tail -c 20000000 </dev/zero' >/dev/null
if v1; then
  ok 'it fills its memory' soon sh -c "[ \$(cat /sys/fs/cgroup/memory/stave/$id/memory.usage_in_bytes) -gt 10000000 ]"
  refuses 'a limit below what is used' 1 'unable to set memory limit' stave limit -m 6M web
  is 'is not in the document either' "$(jq .linux.resources "$STAVE_ROOT/c/$id/config.json")" "$before_it"
else
  skip 'a limit below what is used' 'v2 takes it'
fi
stave rm -f web >/dev/null
nothing_left 'rm' "$before"

# End of the terminal's input, and ^C, at the parent's steps and at the child's.
for k in 2 50; do
  at stave run --step -m 64M --rootfs "$B" true <<END
enter $((k - 1))
? $prompt
^ D
END
  is "end of input before step $k" "$out" 'exit 1, cooked'
  nothing_left 'is quit' "$before"
done
stave new web --rootfs "$B" | stave mount >/dev/null
touch "$STAVE_ROOT/c/$(id_of web)/log"
made=$(snapshot)
at stave spawn web --step -- true <<END
enter 9
? $prompt
^ C
END
like '^C while a step of the child waits' "$out" '^exit (130|1), cooked'
nothing_left 'ends it' "$made"

# exec, join and keep: quit at some steps.
at stave keep web --step -- sleep 1000 <<END
enter 9
? $prompt
> q
END
like 'keep, quit' "$out" '^exit 1, cooked'
nothing_left 'nothing is left' "$made"
stave keep web -- sleep 1000 >/dev/null
runs=$(snapshot)
for tool in exec join; do
  if [ $tool = exec ]; then set -- web true; else set -- web -- true; fi
  for k in 1 3 6; do
    at stave $tool --step "$@" <<END
enter $((k - 1))
? $prompt
> q
END
    is "$tool, quit before step $k" "$out" 'exit 1, cooked'
  done
  at stave $tool --step "$@" <<END
enter
END
  is "$tool to its end" "$out" 'exit 0, cooked'
done
nothing_left 'only the container is left' "$runs"
stave rm -f web >/dev/null

# Two stages at one terminal ask one after the other.
at sh -c 'stave new web --rootfs "$B" --step | stave mount --step | stave ns --step >doc' <<END
? stave-new step
enter
END
is 'a pipeline of --step' "$out $(jq -r .stave.name doc)" 'exit 0, cooked web'
like 'every stage asked' "$(cat typed)" 'stave-mount step 1/'
like 'to the last' "$(cat typed)" 'stave-ns step 1/'
stave rm web >/dev/null

# --trace: each step with the kernel's answer, as shell that does the same.
stave new web --rootfs "$B" >/dev/null
id=$(id_of web)
made=$(snapshot)
stave mount web --trace >view 2>trace
stave ns web --hostname cask --trace >view 2>>trace
stave limit web -m 64M --trace 2>>trace
whole=$(snapshot)
is 'every step begins with +' "$(head -c 2 trace)" '+ '
like 'and says ok' "$(cat trace)" '^\+ mountpoint -q .* # ok$'
sed 's/^+ //' trace >trace.sh
ok 'a trace is shell' sh -n trace.sh
cp "$STAVE_ROOT/c/$id/config.json" config.json
stave limit --undo web && stave ns --undo web && stave mount --undo web
nothing_left 'undone' "$made"
try sh -e trace.sh
is 'and does the same' "$status $(snapshot)" "0 $whole"
is 'to the document as well' "$(cat "$STAVE_ROOT/c/$id/config.json")" "$(cat config.json)"
cp config.json "$STAVE_ROOT/c/$id/config.json"
stave ns web >view
stave ns web --trace >view 2>trace
like 'a second time it was so' "$(cat trace)" ' # it was so$'
try stave spawn web --trace -- sh -c 'echo out; exit 7'
is 'stdout is the workload'"'"'s alone' "$status $out" '7 out'
like 'the steps of the child are traced' "$err" '^\+ stave step .*pivot_root.* # ok$'
try stave spawn web --trace -- nosuch
like 'a step that fails with what was wrong' "$err" '^\+ stave step .*exec.* # .*not found'
is 'and its status' "$status" 127
stave rm web >/dev/null
nothing_left 'nothing is left' "$before"
