#!/bin/sh
# Stdin, stdout and statuses: the document is the first thing on the pipe, and what follows it is
# the workload's, byte for byte.
# shellcheck source=tests/lib.sh
# shellcheck disable=SC2016 # single quotes are for the shell in the container
. "$(dirname "$0")/../lib.sh"
need jq python3
image
before=$(snapshot)

# The rest of the pipe is the workload's. No root is needed for that: `new` alone isolates nothing.
stave new >doc
try sh -c '(cat doc; echo hello) | stave spawn -- cat'
is 'what follows the document goes to the workload' "$out" hello
try sh -c '(cat doc; printf "\n\n  {\"a\":1}\n\n") | stave spawn -- cat | od -c | head -n 1'
is 'but for one newline, nothing is swallowed' "$(printf '%s\n' "$out" | tr -s ' ')" '0000000 \n \n { " a " : 1 } \n \n'
try sh -c 'cat doc | stave spawn -- cat'
is 'without more it reads the end' "$status/$out" 0/
try sh -c 'printf "%s" "$(cat doc)" | stave spawn -- cat'
is 'a document needs no newline' "$status/$out" 0/
try sh -c '(printf "%s" "$(cat doc)"; printf x) | stave spawn -- cat'
is 'nor does what follows need one before it' "$out" x
try sh -c '(printf " \n\t "; cat doc; echo hello) | stave spawn -- cat'
is 'white space may come before it' "$out" hello
try sh -c '(cat doc; echo hello) | stave spawn -- sh -c "read -r word; echo \$word; cat"'
is 'a shell reads it as any stdin' "$out" hello

# However it comes: in pieces, pretty, large, from a file, from a socket.
cat >pieces.py <<'END'
import os, sys, time
text = open("doc").read().rstrip("\n").encode() + b"\nhello\n"
for n in range(0, len(text), 7):
    os.write(1, text[n:n + 7]); time.sleep(0.001)
END
try sh -c 'python3 pieces.py | stave spawn -- cat'
is 'a document in pieces' "$out" hello
cat >late.py <<'END'
import os, time
text = open("doc").read().rstrip("\n").encode()
os.write(1, text); time.sleep(0.3); os.write(1, b"\nhello\n")
END
try sh -c 'python3 late.py | stave spawn -- cat'
is 'what comes late is not lost' "$(printf '%s' "$out" | tail -n 1)" hello
try sh -c '(jq . doc; echo hello) | stave spawn -- cat'
is 'a pretty one, of jq' "$out" hello
try sh -c '(jq -c ".annotations.text = \"}\\\\\\\"{[\\\\u007d\\\\\\\\\"" doc; echo hello) | stave spawn -- cat'
is 'braces and quotes in its strings' "$out" hello
head -c 200000 /dev/zero | tr '\0' '{' >braces
jq -c --rawfile long braces '.annotations.long = $long' doc >large
try sh -c '(cat large; echo hello) | stave spawn -- cat'
is 'one larger than a pipe' "$out" hello
try stave spawn -- cat <doc
is 'from a file' "$status/$out" 0/
(cat doc && echo hello) >file
try sh -c 'exec 3<file; stave spawn -- cat <&3'
is 'from a file that goes on' "$out" hello
jq . doc >pretty && echo hello >>pretty
try stave spawn -- cat <pretty
is 'from a file that goes on, pretty' "$out" hello
cat >socketpair.py <<'END'
import socket, subprocess, sys
ours, theirs = socket.socketpair()
ours.sendall(open("doc").read().encode() + b"hello\n")
ours.shutdown(socket.SHUT_WR)
sys.exit(subprocess.run(sys.argv[1:], stdin=theirs).returncode)
END
try python3 socketpair.py stave spawn -- cat
is 'from a socket' "$(printf '%s' "$out" | tail -n 1)" hello
# A filter hands on the document alone.
try sh -c '(cat doc; echo hello) | stave limit | wc -l'
is 'a filter prints one line' "$out" 1
stave rm "$(jq -r .stave.id doc)" >/dev/null

# run: /dev/null without -i, all of stdin with it.
try sh -c 'echo hello | stave run --rm busybox cat'
is 'run without -i reads nothing' "$status/$out" 0/
try sh -c 'echo hello | stave run --rm busybox readlink /proc/self/fd/0'
is 'but /dev/null' "$out" /dev/null
try sh -c 'echo hello | (stave run --rm busybox true; cat)'
is 'and takes nothing from the pipe' "$out" hello
try sh -c 'echo hello | stave run -i --rm busybox cat'
is 'run -i reads it' "$out" hello
try sh -c 'printf "\n{\"stave\":1}\n" | stave run -i --rm busybox cat | wc -c'
is 'and takes it for no document' "$out" 13
head -c 10000000 /dev/urandom >bytes
wanted=$(sha256sum <bytes)
is 'ten million bytes pass through run' "$(stave run -i --rm busybox cat <bytes | sha256sum)" "$wanted"
is 'and by a pipe' "$(head -c 10000000 bytes | stave run -i --rm busybox cat | cat | sha256sum)" "$wanted"
is 'and through a pipeline' "$( (stave unpack busybox && cat bytes) | stave new - |
  wc -l)" 1
is 'of whose stages the last reads them' "$( (stave unpack busybox | stave new - | stave mount && cat bytes) |
  stave spawn --rm -- cat | sha256sum)" "$wanted"
stave ps -aq | while read -r id; do stave rm "$id" >/dev/null; done
stave run -d --name up busybox sleep 100 >/dev/null
is 'and through exec -i' "$(stave exec -i up cat <bytes | sha256sum)" "$wanted"
try sh -c 'echo hello | stave exec up cat'
is 'exec without -i reads nothing' "$status/$out" 0/
try sh -c 'echo hello | stave join up -- cat'
is 'join reads it' "$out" hello
stave rm -f up >/dev/null

# Statuses.
for wanted in 0 1 7 125 126 127 255; do
  try stave run --rm busybox sh -c "exit $wanted"
  is "status $wanted" "$status/$out$err" "$wanted/"
done
for number in 1 2 6 9 10 13 14 15; do
  # Pid 1 is deaf to signals of its own namespace, but not to the machine's, nor is its child.
  try stave run --rm busybox sh -c "sh -c 'kill -$number \$\$'; exit \$?"
  is "a child ended by signal $number" "$status" $((128 + number))
done
for number in 9 15; do
  stave run --name victim busybox sh -c 'trap "exit 3" USR1; sleep 100' >/dev/null 2>&1 &
  run=$!
  soon sh -c 'stave ps | grep -q victim'
  stave kill -s $number victim >/dev/null
  [ $number = 9 ] || { sleep 0.05 && stave kill -s 9 victim >/dev/null; }
  wait $run
  is "pid 1 after signal $number (and KILL, where it is deaf)" "$?" 137
  is 'the record has the signal' "$(jq .stave.exit.signal "$STAVE_RUN/$(id_of victim)/state.json")" 9
  stave rm victim >/dev/null
done
try stave run --rm --pid host busybox sh -c 'kill -TERM $$'
is 'without a pid namespace: ended by TERM' "$status" 143
try stave run --rm --pid host busybox sh -c 'kill -SEGV $$'
is 'and by SEGV' "$status" 139

# Nobody reads.
began=$(date +%s)
# A shell has no name for the first status of a pipe, so it is written down. As pid 1 `yes` would
# be deaf to SIGPIPE and complain.
try sh -c '{ stave run --rm busybox sh -c "yes; exit \$?"; echo $? >yes.status; } | head -n 1'
is 'yes | head: the first line' "$out" y
is 'yes dies of SIGPIPE' "$(cat yes.status)" 141
is 'without a word' "$err" ''
try sh -c 'stave run --rm busybox yes | head -n 1'
is 'yes as pid 1: the first line' "$out" y
like 'both at once' "$(($(date +%s) - began))" '^[0-3]$'
for command in 'stave run --rm busybox echo hello' 'stave new lost' 'stave ps -a' 'stave images' 'stave --help'; do
  sh -c "timeout 10 $command >&-" 2>err
  status=$?
  unlike "$command >&-: it ends, and not by a signal or a panic" "$status $(cat err)" '^(101|124|13[0-9])|panic'
  [ "$command" != 'stave new lost' ] || stave rm lost >/dev/null
  sh -c "timeout 10 $command >/dev/full" 2>err
  status=$?
  like "$command >/dev/full: it fails" "$status" '^(1|125)$'
  is "$command >/dev/full: in one line" "$(wc -l <err)" 1
done
try sh -c 'stave run --rm busybox sh -c "ls -l /proc/self/fd" <&- 2>&-'
is 'stdin and stderr closed: the workload has both all the same' "$(printf '%s\n' "$out" | grep -c ' [012] -> ')" 3
# A stage whose reader is gone takes back what it made.
{ sleep 0.1 && stave new lost; echo $? >new.status; } 2>err | true
is 'new into a pipe that nobody reads' "$(cat new.status)" 1
is 'leaves no container' "$(ls "$STAVE_ROOT/c" "$STAVE_ROOT/names")" "$STAVE_ROOT/c:

$STAVE_ROOT/names:"

nothing_left 'nothing is left' "$before"
