#!/bin/sh
# shellcheck disable=SC2016,SC2154 # the shell of a step expands; lib.sh gives
# What containerd does with a runtime, and what it reads back of its errors.
# shellcheck source=tests/clients/record.sh
. "$clients/record.sh"
cat >"$SIDE/containerd.toml" <<END
version = 2
root = "$SIDE/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "/run/containerd.sock"
END
containerd --config "$SIDE/containerd.toml" >"$SIDE/containerd.log" 2>&1 &
daemon=$!
export CONTAINERD_ADDRESS=/run/containerd.sock
soon ctr version || {
  tail -n 20 "$SIDE/containerd.log"
  exit 1
}
cat >"$SIDE/home/run" <<END
#!/bin/sh
exec ctr run --runc-binary "$RUNTIME" --runc-root /run/runtime "\$@"
END
chmod 755 "$SIDE/home/run"
image=docker.io/library/busybox:latest
export image
step 0 'ctr image import "$ARCHIVE" | sed "s/ *(.*//"'
step 0 'run --rm $image a echo hello'
step 7 'run --rm $image a sh -c "echo out; echo err >&2; exit 7"'
step 1 'run --rm $image a nosuch'
step 1 'run --rm $image a /etc'
step 1 'run --rm --cwd /etc/passwd $image a true'
step 1 'run --rm --mount type=bind,src=/no/such,dst=/x,options=rbind $image a true'
step 0 'echo through | run --rm $image in head -n 1'
at 0 'run --rm -t docker.io/library/busybox:latest tty sh -c "echo ready; read line; eval \"\$line\""' <<END
? ready
> for i in \$(seq 50); do stty size 2>/dev/null | grep -q "24 80" && break; sleep 0.1; done; tty; stty size; exit 5
END
step 0 'run --rm $image a cat /proc/self/mountinfo | mountinfo'
step 0 'run --rm $image a grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)" /proc/self/status'
step 0 'run --rm --read-only --env A=b --cwd /srv $image a sh -c "id; pwd; echo \$A; touch /x 2>&1; true"'
step 0 'run --rm --seccomp --allow-new-privs --cap-drop CAP_CHOWN --memory-limit 33554432 --cpu-quota 50000 --cpu-period 100000 --cgroup /own $image a sh -c "grep -E \"NoNewPrivs|Seccomp:|CapEff\" /proc/self/status; cat /proc/self/cgroup"' 
step 0 'run -d $image web sh -c "trap \"exit 3\" TERM; while :; do sleep 0.1; done" && ctr task ls | sed "s/ [0-9][0-9]* / PID /"'
step 0 'ctr task exec --exec-id e1 web sh -c "id; sleep 0.1"'
step 4 'ctr task exec --exec-id e2 web sh -c "echo err >&2; sleep 0.1; exit 4"'
step 0 'ctr task exec --exec-id e3 --user 33:34 --cwd /srv web sh -c "id; pwd; sleep 0.1"'
step 1 'ctr task exec --exec-id e4 web nosuch'
step 1 'ctr task exec --exec-id e5 web /etc'
step 0 'echo in | ctr task exec --exec-id e6 web sh -c "cat; sleep 0.1"'
at 0 'ctr task exec -t --exec-id e7 web sh -c "echo ready; read line; eval \"\$line\""' <<END
? ready
> for i in \$(seq 50); do stty size 2>/dev/null | grep -q "24 80" && break; sleep 0.1; done; tty; stty size; exit 6
END
step 0 'ctr task ps web | sed 1d | grep -q "^[0-9][0-9]* *-" && echo some'
step 0 'ctr task metrics web | sed "s/ [0-9][0-9]* *$/ N/; s/\[.*/N/"'
step 0 'ctr task metrics --format json web | jq -S "[paths(scalars) | map(tostring) | join(\".\")] | map(select(test(\"cpu.usage|hugetlb|blkio\") | not)) | .[]" -r'
step 0 'ctr task pause web && ctr task ls | sed "s/ [0-9][0-9]* / PID /"'
step 0 'ctr task resume web && ctr task ls | sed "s/ [0-9][0-9]* / PID /"'
step 1 'ctr task checkpoint web 2>/dev/null'
step 1 'ctr task delete web'
step 1 'ctr task kill -s NOSUCH web'
step 0 'ctr task kill -s TERM web; for i in $(seq 50); do ctr task ls | grep -q STOPPED && break; sleep 0.1; done; ctr task delete web'
step 0 'ctr task start -d web; ctr task kill -s KILL -a web; for i in $(seq 50); do ctr task ls | grep -q STOPPED && break; sleep 0.1; done; ctr task delete web; ctr container rm web; ctr container ls -q'
step 1 'ctr task ps nosuch'
step 0 'ls /run/runtime/default; find /sys/fs/cgroup -path "*/default/*" -type d'
kill "$daemon"
wait "$daemon"
grep -E 'level=(error|fatal)|panic' "$SIDE/containerd.log" | tail -n 20
