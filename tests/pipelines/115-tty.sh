#!/bin/sh
# -t where it is hard: signals, hang-ups, terminals that nobody reads, other users.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3 jq
rootfs
before=$(snapshot)

# The terminal is put back whatever ends it. It is not the usual one before.
at sh -c 'stty -echo -icanon min 3 intr ^G; before=$(stty -g); stave run --rm -it --rootfs "$B" true
  [ "$before" = "$(stty -g)" ] && echo same; stave run --rm -it --rootfs "$B" nosuch
  [ "$before" = "$(stty -g)" ] && echo same; stave run --rm -it -v /no/such:/x --rootfs "$B" true
  [ "$before" = "$(stty -g)" ] && echo same; stty sane' </dev/null
is 'stty -g is the same after an end, a failed start, a failed plan' "$(tr -d '\r' <typed | grep -c '^same$')" 3
for signal in TERM HUP INT QUIT; do
  at stave run --rm --init -it --rootfs "$B" sh -c 'echo ready; exec sleep 1000' <<END
? ready
$ while stty -a </proc/\$PID/fd/0 | grep -qw '[^-]icanon'; do :; done
kill $signal
END
  is "SIG$signal to stave, an init within" "$out" "exit $((128 + $(env kill -l $signal))), cooked"
done
nothing_left 'nothing is left' "$before"

# The keys are the workload's; what stands before and behind is handed through.
at stave run --rm -it --rootfs "$B" sh -c 'stty -isig; echo ready; head -c 1 | od -An -tx1; echo end' <<'END'
? ready
^ C
> x
? 03
? end
END
is 'control-C as a byte' "$out" 'exit 0, cooked'
at stave run --rm -it --rootfs "$B" cat <<'END'
> one
? one\s+one
^ D
END
is 'control-D is the end of input' "$out" 'exit 0, cooked'
at stave run --rm -it --rootfs "$B" sh -c 'stty -echo raw; echo ready; head -c 60000 | wc -c' <<END
? ready
> $(head -c 4000 /dev/zero | tr '\0' x)
> $(head -c 4000 /dev/zero | tr '\0' x)
> $(head -c 52000 /dev/zero | tr '\0' x)
? 60000
END
is 'much input' "$out" 'exit 0, cooked'

# A user of the container's owns the terminal he is at.
at stave run --rm -it -u web --rootfs "$B" sh -c 'echo by path >/dev/stdout; echo by name >"$(tty)"; echo tty >/dev/tty' </dev/null
is 'another user may open the terminal he has' "$(tr -d '\r' <typed)" 'by path
by name
tty'
for user in root web; do
  is "-u $user may open the pipe that is its stdout" "$(stave run --rm -u $user --rootfs "$B" sh -c 'echo out >/dev/stdout; echo err >/dev/stderr' 2>&1 | cat)" 'out
err'
done

# A workload that closes its terminal: stave waits, and does not spin.
at stave run --rm -it --rootfs "$B" sh -c 'echo ready; exec sleep 1 <&- >&- 2>&-' <<'END'
? ready
$ sleep 0.2; cut -d' ' -f14,15 /proc/$PID/stat >one; sleep 0.5; cut -d' ' -f14,15 /proc/$PID/stat >two
END
is 'a terminal that was closed' "$out" 'exit 0, cooked'
read -r a b <one && read -r c d <two
ok "costs no processor time ($((c + d - a - b)) ticks)" [ $((c + d - a - b)) -lt 5 ]

# The caller's terminal goes away.
at sh -c 'stave run --name web -it --rootfs "$B" sh -c "echo ready; exec sleep 1000"' <<'END'
? ready
kill KILL
END
soon sh -c '[ -n "$(stave ps -q)" ]'
# shellcheck disable=SC2046 # one word an id
ok 'whatever is left then goes by rm' stave rm -f $(stave ps -aq)
nothing_left 'nothing is left' "$before"

# Neither its own terminal nor a size: -t needs one, -d does not.
for how in '-t' '-it'; do
  refuses "run $how without a terminal" 125 '/dev/tty' setsid -w stave run $how --rootfs "$B" true </dev/null
done
nothing_left 'nothing is left' "$before"
id=$(setsid -w stave run -dt --name web --rootfs "$B" sh -c 'tty; test -t 0 && test -t 1 && test -t 2 && echo three; exec sleep 1000')
ok 'run -dt: the monitor holds the terminal' soon grep -q three "$STAVE_ROOT/c/$id/log"
like 'it has a name' "$(cat "$STAVE_ROOT/c/$id/log")" ' stdout F /dev/pts/0'
refuses 'exec -t without a terminal' 125 '/dev/tty' setsid -w stave exec -t web true </dev/null
at stave exec -t web sh -c 'tty; sleep 0.1; exit 5' </dev/null
is 'exec -t' "$out $(tr -d '\r' <typed)" 'exit 5, cooked /dev/pts/1'
at stave exec -it web nosuch </dev/null
is 'exec -it of what is not there' "$out" 'exit 127, cooked'
at stave exec -it -u web web sh -c 'echo mine >"$(tty)"' </dev/null
like 'exec -it: another user' "$(tr -d '\r' <typed)" '^mine$'
at stave exec -it web sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done' <<'END'
? ready
kill TERM
END
is 'exec -it: SIGTERM' "$out" 'exit 3, cooked'
at stave exec -it web sh -c 'echo ready; exec sleep 1000' <<'END'
? ready
kill KILL
END
like 'exec -it: SIGKILL' "$out" '^exit 137'
stave rm -f web >/dev/null
nothing_left 'nothing is left' "$before"
