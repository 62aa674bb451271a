#!/bin/sh
# The same script by runc and by stave-oci, on the same bundle: what is printed, and every exit status.
# shellcheck disable=SC2016,SC2094 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq runc stave-oci
rootfs
before=$(snapshot)
bundle b '.process.args = ["sh", "-c", "echo $X; exec sleep 1000"]' '.process.env += ["X=y"]' '.annotations = {"org.example": "x"}' \
  '.hostname = "box"' '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 77, hard: 78}]' '.linux.resources = {pids: {limit: 50}}'
jq '.process.args = ["sh", "-c", "exit 7"]' b/config.json >seven.json
jq '.process.args = ["nope"]' b/config.json >nope.json
jq '.process.args = ["/nope"]' b/config.json >path.json
jq '.process.args = ["/etc"]' b/config.json >directory.json
jq '.process.args = ["/etc/passwd"]' b/config.json >file.json
jq '.hooks = {createRuntime: [{path: "/bin/false"}]}' b/config.json >hook.json
jq '.process.terminal = true' b/config.json >terminal.json
jq '.process.args = []' b/config.json >empty.json
jq '.process.cwd = "relative"' b/config.json >cwd.json
jq '.linux.namespaces += [{type: "nope"}]' b/config.json >namespace.json
jq '.process.args = ["sleep", "1000"]' b/config.json >quiet.json
for doc in quiet seven nope path directory file hook terminal empty cwd namespace; do
  mkdir $doc && jq --arg root "$T/b/rootfs" '.root.path = $root' $doc.json >$doc/config.json
done

# What differs for a reason: pids, moments, inodes, who says it, an end of the last line, and the help that runc prints beside an
# error. Debian's runc gives its own version of the specification for the document's.
plain() {
  ! grep -q '^Incorrect Usage' "$1" || return 0
  sed -E "s/1.0.2-dev/1.0.2/; s/\"pid\": ?[1-9][0-9]*/\"pid\":N/; s/20[0-9][0-9]-[0-9T:.-]+Z/WHEN/; s/^[0-9]+$/NUMBER/; s/(mnt|net|pid|ipc|uts):\[[0-9]+\]/\1/g" "$1" | awk 1
}
# do_it WORDS...: one command, its output and status.
do_it() {
  echo "\$ $*" | sed "s/$id\\b/ID/g"
  "$runtime" --root "$T/$runtime" "$@" >said 2>complaint </dev/null
  echo "status $?"
  plain said | sed "s/\\b$id\\b/ID/g"
  # The words are each runtime's own, but for those that clients look for.
  grep -oE 'executable file not found in \$PATH|no such file or directory|permission denied|container does not exist|container not running|cannot exec in a (stopped|paused) container|cannot start an already running container|cannot start a container that has stopped|already exists|not stopped|hook #0|setting console socket' complaint | head -n 1
}
script() {
  do_it state $id
  do_it run -b seven $id
  for doc in nope path directory file hook terminal empty cwd namespace; do
    do_it create -b $doc $id
    do_it state $id
  done
  do_it list
  do_it list -q
  do_it list -f json
  do_it create -b b --pid-file pid $id
  do_it state $id
  do_it create -b b $id
  do_it exec $id hostname
  do_it start $id
  do_it start $id
  do_it state $id
  do_it list -q
  do_it exec $id sh -c 'echo $X; exit 3'
  do_it exec -e X=z -u 33:34 -g 5 --cwd /tmp $id sh -c 'id -u; id -G; pwd; echo $X'
  do_it exec $id sh -c 'for n in mnt net pid ipc uts; do readlink /proc/self/ns/$n; done; ls /proc/self/fd'
  do_it exec $id sed -n '/^Cap/p; /^NoNew/p; /^Seccomp:/p' /proc/self/status
  do_it exec --cap CAP_AUDIT_WRITE $id sed -n '/^Cap/p' /proc/self/status
  do_it exec $id sh -c 'ulimit -n; ulimit -Hn; umask'
  do_it exec $id nope
  do_it exec $id /nope
  do_it exec $id /etc/passwd
  do_it exec -d --pid-file pid $id sleep 500
  do_it exec $id
  do_it ps -f json $id
  do_it pause $id
  do_it state $id
  do_it exec $id true
  do_it pause $id
  do_it resume $id
  do_it resume $id
  do_it update --pids-limit 40 $id
  do_it delete $id
  do_it kill $id 0
  do_it kill $id NOPE
  do_it kill $id KILL
  soon sh -c "$runtime --root $T/$runtime state $id | grep -q stopped"
  do_it state $id
  do_it kill $id KILL
  do_it kill --all $id KILL
  do_it exec $id true
  do_it start $id
  do_it delete $id
  do_it delete $id
  do_it delete --force $id
  do_it run -d -b quiet $id
  do_it delete --force $id
  do_it run --keep -b seven $id
  do_it state $id
  do_it delete $id
  do_it events --stats $id
  do_it nonsense
  do_it create
  do_it create --nonsense $id
  do_it list --format nonsense
  do_it state
}
for runtime in runc stave-oci; do
  # An id each: their cgroups would be the same.
  id=c-$runtime
  script >"$runtime.log"
done
sed -i -E 's/^\[[0-9,]+\]$/PIDS/' runc.log stave-oci.log
is 'the same' "$(cat stave-oci.log)" "$(cat runc.log)"
is 'they did something' "$(grep -c '^status 0' runc.log)" "$(grep -c '^status 0' stave-oci.log)"
for runtime in runc stave-oci; do
  "$runtime" --root "$T/$runtime" list -q | while read -r id; do "$runtime" --root "$T/$runtime" delete -f "$id"; done
done
nothing_left 'nothing is left' "$before"
