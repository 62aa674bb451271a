#!/bin/sh
# The document is the first object on stdin; what follows it is the workload's, byte for byte.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
rootfs
before=$(snapshot)
head -c 10000000 /dev/urandom >bytes
sum=$(sha256sum <bytes)

# spawn hands the rest of the pipe on. Fresh documents: `new` gives each an id.
doc() { stave new --rootfs "$B" | stave mount; }
is 'a line behind the document' "$( (doc; echo hello) | stave spawn --rm -- cat)" hello
is 'without a newline between' "$( (doc | tr -d '\n'; printf hello) | stave spawn --rm -- cat)" hello
is 'one newline is the document'"'"'s, the next is not' "$( (doc; printf '\nx') | stave spawn --rm -- wc -c)" 2
is 'another object is none of its business' "$( (doc; echo '{"a":1}') | stave spawn --rm -- cat)" '{"a":1}'
is '10 MB' "$( (doc; cat bytes) | stave spawn --rm -- sha256sum)" "$sum"
is 'from a file as well' "$( (doc; cat bytes) >both; stave spawn --rm -- sha256sum <both)" "$sum"
is 'and from a late writer' "$( (doc; sleep 0.2; echo late) | stave spawn --rm -- cat)" late
is 'indented by jq' "$( (doc | sed 's/,"/,\n  "/g'; echo hello) | stave spawn --rm -- cat)" hello
is 'nothing behind it' "$(doc | stave spawn --rm -- wc -c)" 0
# Filters neither read nor pass on what follows.
is 'a filter leaves it on the pipe' "$( (stave new --rootfs "$B"; echo rest) | { stave mount >doc; cat; })" rest
is 'and does not hand it on' "$(wc -l <doc)" 1
stave spawn --rm -- true <doc

# run: /dev/null unless asked.
is 'run without -i' "$(stave run --rm --rootfs "$B" sh -c 'readlink /proc/self/fd/0; cat' <bytes)" /dev/null
is 'run -i' "$(stave run --rm -i --rootfs "$B" sha256sum <bytes)" "$sum"
is 'run -i, from a pipe and back' "$(stave run --rm -i --rootfs "$B" cat <bytes | sha256sum)" "$sum"
is 'what the workload leaves is left' "$(printf 'one\ntwo\n' | { stave run --rm -i --rootfs "$B" head -n 0; cat; })" 'one
two'

# Exit statuses.
for n in 0 1 2 42 125 126 127 128 255; do
  try stave run --rm --rootfs "$B" sh -c "exit $n"
  is "status $n" "$status$err" "$n"
done
for signal in 9:KILL 6:ABRT 11:SEGV; do
  # Pid 1 is deaf to what it has no handler for, unless it comes from outside its namespace: so by its child.
  try stave run --rm --pid host --rootfs "$B" sh -c "kill -${signal#*:} \$\$"
  is "ended by ${signal#*:}" "$status" $((128 + ${signal%:*}))
done

# A reader that goes away ends the workload. Pid 1 is deaf to SIGPIPE and gets EPIPE; under an init
# it is the signal.
began=$(date +%s)
is 'yes | head' "$(stave run --rm --rootfs "$B" yes 2>&1 | head -n 1)" y
is 'through the pipeline' "$(doc | stave spawn --rm -- yes 2>&1 | head -n 1)" y
like 'quickly' "$(($(date +%s) - began))" '^[0-4]$'
is 'and the status says so' "$(sh -c '{ stave run --rm --init --rootfs "$B" yes; echo $? >status; } | head -n 1' && cat status)" "y
141"
try sh -c 'stave run --rm --rootfs "$B" sh -c "echo out; echo err >&2"'
is 'stdout and stderr are apart' "$out,$err" out,err
nothing_left 'nothing is left' "$before"
