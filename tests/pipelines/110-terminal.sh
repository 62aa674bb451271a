#!/bin/sh
# -t: a terminal of the container's own, joined to the caller's.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
rootfs
before=$(snapshot)

at stave run --rm -it --rootfs "$B" sh <<'END'
? # 
> tty; stty size
? /dev/pts/0\s+24 80
size 30 100
> stty size
? 30 100
> test -t 0 && test -t 1 && test -t 2 && echo all' three'
? all three
> echo $TERM; ls -l /dev/console
? xterm\s+c.*/dev/console
> sh -c 'trap "echo chan""ged" WINCH; echo rea""dy; while :; do sleep 0.05; done'
? ready
size 40 120
? changed
^ C
? # 
> sleep 100
$ until pgrep -x -f 'sleep 100' >/dev/null; do sleep 0.02; done
^ C
? # 
> exit 7
END
is 'a shell: sizes, control-C, status, terminal put back' "$out" 'exit 7, cooked'
nothing_left 'nothing is left' "$before"

at stave run --rm -t --rootfs "$B" sh -c 'echo one; echo two >&2; exit 3' </dev/null
is 'without -i too' "$out" 'exit 3, cooked'
is 'both streams come' "$(tr -d '\r' <typed)" 'one
two'
at stave run --rm -it --rootfs "$B" nosuch </dev/null
is 'a start that fails' "$out" 'exit 127, cooked'
like 'its error is readable' "$(cat typed)" '^stave-run: exec nosuch: not found in PATH'
at stave run --rm -it --rootfs "$B" sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done' <<'END'
? ready
kill TERM
END
is 'SIGTERM to stave reaches the workload' "$out" 'exit 3, cooked'
at stave run --rm -it --rootfs "$B" sh -c 'stty raw -echo; echo ready; sleep 0.1; exit 4' <<'END'
? ready
END
is 'a workload that leaves its terminal raw' "$out" 'exit 4, cooked'
at stave run --rm -it --rootfs "$B" sh -c 'head -c 300000 /dev/zero | tr "\0" x; echo; echo end' <<'END'
? end
END
is 'much output' "$out $(tr -cd x <typed | wc -c)" 'exit 0, cooked 300000'
nothing_left 'nothing is left' "$before"

# In the pipeline: the terminal is /dev/tty, whatever stdin is.
at sh -c 'stave new --rootfs "$B" | stave mount | stave spawn --rm -t -- sh' <<'END'
? # 
> tty
? /dev/pts/0
> exit 5
END
is 'spawn -t at the end of a pipe' "$out" 'exit 5, cooked'

# exec -t into a running one.
stave run -d --name web --rootfs "$B" sleep 1000 >/dev/null
at stave exec -it web sh <<'END'
? # 
> tty; stty size; echo $$
? /dev/pts/0\s+24 80
size 31 101
> stty size
? 31 101
> sleep 100
$ until pgrep -x -f 'sleep 100' >/dev/null; do sleep 0.02; done
^ C
? # 
> exit 6
END
is 'exec -it' "$out" 'exit 6, cooked'
stave rm -f web >/dev/null
refuses 'without a terminal' 125 '/dev/tty' setsid -w stave run --rm -t --rootfs "$B" true
nothing_left 'nothing is left' "$before"
