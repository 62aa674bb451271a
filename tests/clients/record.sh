# shellcheck shell=sh
# shellcheck disable=SC2016,SC2034,SC2154 # the shell of a step expands; name is for the scripts
# Sourced by the scripts of commands: each command is a step, and what came of it is recorded in
# words that do not depend on the run.

set -u
n=0
name=${RUNTIME##*/}

# step STATUS 'COMMAND' [NAME]: runs the line of shell, which is to end with that status.
step() {
  n=$((n + 1))
  file=$RECORD/$(printf %03d "$n")
  began=$(date +%s%N)
  timeout -k 1 30 sh -c "$2" >"$SIDE/out" 2>"$SIDE/err" </dev/null
  got=$?
  {
    printf '$ %s\n' "${3-$2}"
    echo "exit $got"
    [ "$got" = "$1" ] || echo "! $1 was due"
    plain <"$SIDE/out" | sed 's/^/out: /'
    plain <"$SIDE/err" | sed 's/^/err: /'
  } >"$file"
  printf '%s ms: %s\n' "$((($(date +%s%N) - began) / 1000000))" "${3-$2}"
}

# mountinfo: without what differs from mount to mount: ids, device numbers, peer groups. And
# without what this runc alone does (the file system of the cgroups' directory stays writable, v2
# beside v1 is not shown) and what ours alone does (the empty directories that mask take no file, the
# null device that masks is the machine's, devices bound from the host run nothing).
cat >"$SIDE/home/mountinfo" <<'END'
sed -E 's/^[0-9]+ [0-9]+ [0-9]+:[0-9]+ //; s/(shared|master|propagate_from):[0-9]+/\1/g; s/,(lowerdir|upperdir|workdir)=[^ ,]*//g; s/,nr_inodes=1\b//
s,^(/null /proc/[a-z_]+) .*,\1,; s,^(/ /sys/fs/cgroup) r[ow],\1,; / \/sys\/fs\/cgroup\/unified /d
s!^(/[a-z]+ /dev/(null|zero|full|random|urandom|tty)) r[ow],nosuid,noexec,!\1 rw,!'
END
chmod 755 "$SIDE/home/mountinfo"
export PATH="$SIDE/home:$PATH"

# at STATUS 'COMMAND': the same at a terminal, led by stdin (terminal.py says how).
at() {
  cat >"$SIDE/script"
  step "$1" "python3 '$clients/../pipelines/terminal.py' typed $2 <'$SIDE/script'; cat typed" "$2"
}

# plain: ids, times and the runtime's name are taken out. An engine repeats what the runtime said:
# of that only the cause stays, which is what engines themselves look for.
plain() {
  sed -E \
    -e "s#$RUNTIME#RUNTIME#g; s#$SIDE#SIDE#g; s#\b(stave-oci|runc)\b#RUNTIME#g" \
    -e 's/\b[0-9a-f]{64}\b/ID/g; s/\b[0-9a-f]{12}\b/ID/g' \
    -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+( ?[-+][0-9:]{4,5})?( ?UTC|Z)?/TIME/g' \
    -e 's/(Less than a second|About a minute|About an hour|[0-9]+ (seconds?|minutes?))( ago)?/WHILE/g' \
    -e 's/time="[^"]*"/time=TIME/' \
    -e 's/(OCI runtime (create|exec|start)[a-z]* failed: ).*(executable file not found in \$PATH|[Nn]o such file or directory|[Pp]ermission denied)/\1... \3/' \
    -e '/OCI runtime [a-z]+ failed: \.\.\./!s/(OCI runtime [a-z]+ failed: ).*/\1.../' \
    -e 's/^(Error: RUNTIME: ).*(executable file not found in \$PATH|[Nn]o such file or directory|[Pp]ermission denied): (OCI )/\1... \2: \3/' \
    -e 's/^(Error: OCI runtime error: ).*/\1.../' \
    -e 's/\r//g; s/  +/ /g' \
    -e '/msg="error waiting for container: context canceled"$/d'
}

# soon COMMAND...: polls for at most ten seconds until it succeeds.
soon() {
  polls=0
  until "$@" >/dev/null 2>&1; do
    polls=$((polls + 1))
    [ "$polls" -lt 200 ] || return 1
    sleep 0.05
  done
}
