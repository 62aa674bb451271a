#!/bin/sh
# --step: stop before each step; look from another shell; undo; quit. What was made is gone then.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
rootfs
before=$(snapshot)

# The pipeline `new | mount --step`: the questions come at the terminal, the document through the pipe.
stave new web --rootfs "$B" >doc
id=$(id_of web)
made=$(snapshot)
at sh -c 'stave mount --step <doc >doc2' <<END
? mount -t overlay
$ echo "before: \$(findmnt -no FSTYPE $STAVE_ROOT/c/$id/rootfs)"
? step 1/1
enter 1
END
is 'stopped before the mount, it is not there yet; then it is' "$out $(findmnt -no FSTYPE "$STAVE_ROOT/c/$id/rootfs")" 'before: 
exit 0, cooked overlay'
is 'the document went through the pipe' "$(cat doc2)" "$(cat doc)"
stave mount --undo web >/dev/null
nothing_left 'undo' "$made"

# Undo of a step, while one looks from another shell.
at stave ns web --step <<END
? step 1/
enter 4
? \[q\]uit >
$ findmnt -no TARGET | grep -c "$STAVE_RUN/$id/ns"
> u
? \[q\]uit >
$ findmnt -no TARGET | grep -c "$STAVE_RUN/$id/ns"
> q
END
like 'a pin came and went' "$out" '^1'
is 'and quit ends with 1' "$(echo "$out" | tail -n 1)" 'exit 1, cooked'
nothing_left 'after quit nothing of ns is left' "$made"
at stave limit -m 64M web --step <<END
enter 1
? step 2/
> nonsense
? Enter, s, u or q
? step 2/
> s
? step 3/
> q
END
is 'skip, and a word that it does not know' "$out" 'exit 1, cooked'
nothing_left 'after quit nothing of limit is left' "$made"
stave rm web >/dev/null

# run: quit before step K, for some K of all its steps, the child's among them.
for k in 1 2 4 7 9 12 14 16 18 21 30 40; do
  at stave run --step --hostname cask -m 64M --rootfs "$B" true <<END
enter $((k - 1))
? step [0-9]+/.*\[q\]uit >
> q
END
  is "run --step, quit before step $k" "$out" 'exit 1, cooked'
  nothing_left "nothing is left ($k)" "$before"
done
at stave run --rm --step --hostname cask -m 64M --rootfs "$B" echo through <<END
enter
END
like 'Enter to the end runs it' "$(cat typed)" '^through'
nothing_left 'and nothing is left' "$before"

# The child's steps: look into its namespaces between two of them.
stave new web --rootfs "$B" | stave mount >doc
id=$(id_of web)
made=$(snapshot)
at stave spawn web --step -- true <<END
? config.json
enter 1
? unshare
enter 1
? \[q\]uit >
$ child=\$(pgrep -P \$PID); [ "\$(readlink /proc/\$child/ns/mnt)" != "\$(readlink /proc/self/ns/mnt)" ] && echo 'a mount namespace of its own'
$ lsns -n -t pid -o NPROCS,COMMAND | grep -q '1 stave-spawn' && echo 'lsns shows its pid namespace'
> q
END
is 'between two steps of the child' "$out" 'a mount namespace of its own
lsns shows its pid namespace
exit 1, cooked'
nothing_left 'quit: as before' "$made"
at stave spawn web --step -- true <<END
enter 11
? step 12/
> u
? step 11/
enter 1
? step 12/
? \[q\]uit >
> q
END
is 'the child undoes and does again' "$out" 'exit 1, cooked'
nothing_left 'quit: as before' "$made"
stave rm web >/dev/null
refuses 'without a terminal there is nobody to ask' 2 'step needs a terminal' setsid -w stave new --step
nothing_left 'nothing is left' "$before"
