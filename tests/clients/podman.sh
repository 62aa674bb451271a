#!/bin/sh
# shellcheck disable=SC2016,SC2154 # the shell of a step expands; lib.sh gives
# What podman does with a runtime: sixty commands and more.
# shellcheck source=tests/clients/record.sh
. "$clients/record.sh"
# shellcheck source=tests/clients/containers.sh
. "$clients/containers.sh"

mkdir -p /etc/cni/net.d
containers_conf "$RUNTIME"
cat >/etc/containers/storage.conf <<END
[storage]
driver = "overlay"
graphroot = "$SIDE/storage"
runroot = "$SIDE/run"
END

step 0 'podman load -q -i "$ARCHIVE"'
step 0 'podman info --format "{{.Host.OCIRuntime.Name}} {{.Host.CgroupManager}}"'

# One process: what it prints, how it ends, what podman calls a failure.
step 0 'podman run --rm busybox echo hello'
step 7 'podman run --rm busybox sh -c "echo out; echo err >&2; exit 7"'
step 127 'podman run --rm busybox nosuch'
step 127 'podman run --rm busybox /nosuch/at/all'
step 126 'podman run --rm busybox /etc'
step 126 'podman run --rm busybox /etc/passwd'
step 125 'podman run --rm --memory nonsense busybox true'
step 126 'podman run --rm --workdir /etc/passwd busybox true'
step 127 'podman run --rm --sysctl net.no.such=1 busybox true'
step 125 'podman run --rm -v /no/such/dir:/x busybox true'
step 0 'echo through | podman run -i --rm busybox cat'
step 0 'echo lost | podman run --rm busybox cat'
step 0 'podman run --rm busybox sh -c "ls /proc/self/fd | wc -l; cat /proc/self/oom_score_adj; umask; pwd; env | sort | grep -v HOSTNAME"'
at 0 'podman run --rm -it busybox sh -c "echo ready; read line; eval \"\$line\""' <<END
? ready
> for i in \$(seq 50); do stty size 2>/dev/null | grep -q "24 80" && break; sleep 0.1; done; tty; stty size; test -t 1 && echo yes it is; exit 5
END
at 0 'podman run --rm -it busybox sh -c "trap \"echo got INT; exit 9\" INT; echo ready; sleep 5 & wait"' <<END
? ready
^ C
END

# What is inside.
step 0 'podman run --rm busybox cat /proc/self/mountinfo | mountinfo | sort'
step 0 'podman run --rm --privileged busybox cat /proc/self/mountinfo | mountinfo | sort'
step 0 'podman run --rm busybox grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|SigBlk)" /proc/self/status'
step 0 'podman run --rm --privileged busybox grep -E "^(Cap|NoNewPrivs|Seccomp)" /proc/self/status'
step 0 'podman run --rm busybox cat /proc/self/limits'
step 0 'podman run --rm busybox sh -c "cd /dev && stat -c \"%n %F %a %u %g %t:%T %N\" * | sort"'
step 0 'podman run --rm busybox cat /proc/self/cgroup'
step 0 'podman run --rm --cgroupns host busybox cat /proc/self/cgroup'
step 0 'podman run --rm busybox cat /sys/fs/cgroup/devices/devices.list | grep -v 10:200 | sort'
step 0 'podman run --rm --security-opt seccomp=unconfined --security-opt no-new-privileges --cap-drop all --cap-add net_raw --user 33:34 --group-add 101 busybox grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)" /proc/self/status'
step 0 'podman run --rm --user web busybox id'
step 126 'podman run --rm --user nobody busybox /root/x'
step 1 'podman run --rm --read-only busybox sh -c "touch /tmp/a /run/b && touch /c"'
step 0 'podman run --rm --tmpfs /x:size=1m,mode=750 --shm-size 2m busybox sh -c "grep -E \" (/x|/dev/shm) \" /proc/self/mounts; stat -c %a /x"'
step 0 'podman run --rm --ulimit nofile=100:200 --ulimit nproc=300:300 --ulimit core=0 busybox sh -c "ulimit -Sn; ulimit -Hn; ulimit -c"'
step 0 'podman run --rm --init busybox sh -c "cat /proc/1/comm"'
step 0 'podman run --rm --hostname box --workdir /srv --env A=b --env C --add-host other:10.1.2.3 busybox sh -c "hostname; pwd; echo \$A; grep other /etc/hosts"'
step 0 'mkdir -p v && podman run --rm -v $PWD/v:/v -v $PWD/v:/ro:ro busybox sh -c "echo data >/v/f; cat /ro/f; touch /ro/g"; cat v/f'
step 0 'podman run --rm --mount type=bind,src=$PWD/v,dst=/v,bind-propagation=rshared --mount type=tmpfs,dst=/t,tmpfs-size=1m busybox grep -E " (/v|/t) " /proc/self/mountinfo | mountinfo | sort'
step 0 'podman run --rm --device /dev/null:/dev/nix:rw busybox sh -c "stat -c \"%n %a %t:%T\" /dev/nix && echo x >/dev/nix"'
step 0 'podman run --rm --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=1234 busybox cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax'
step 0 'podman run --rm --uidmap 0:100000:65536 --gidmap 0:200000:65536 busybox sh -c "cat /proc/self/uid_map /proc/self/gid_map; id -u; stat -c %u:%g / /srv; touch /x"'
step 0 'podman run --rm --uidmap 0:100000:65536 --gidmap 0:100000:65536 busybox cat /proc/self/mountinfo | mountinfo | sort'
step 0 'podman run --rm --network none busybox ip -o link | cut -d: -f2 | sed "s/@.*//"'
step 0 'podman run --rm --network host --uts host --ipc host --pid host busybox sh -c "for n in net uts ipc pid; do readlink /proc/self/ns/\$n; done" >a; for n in net uts ipc pid; do readlink /proc/self/ns/$n; done | diff a -'
step 0 'podman run --rm busybox ip -o -4 addr show eth0 | grep -o 10.88'
step 0 'podman run --rm --memory 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 50 --blkio-weight 0 busybox sh -c "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares cpuset/cpuset.cpus pids/pids.max"'
step 137 'podman run --name oom --memory 16m busybox sh -c "tail /dev/zero; exit 137"'
step 0 'podman inspect -f "{{.State.ExitCode}} {{.State.Status}}" oom'
step 0 'podman run --rm --pids-limit 4 busybox sh -c "for i in 1 2 3 4 5; do sleep 30 & done" 2>&1 | grep -c fork'
step 0 'for n in -1 0; do podman run --rm --network none --pids-limit $n busybox cat /sys/fs/cgroup/pids/pids.max; done'
step 0 'podman run --rm --oom-score-adj 500 --umask 077 --tz UTC busybox sh -c "cat /proc/self/oom_score_adj; umask"'
step 0 'podman run --rm --security-opt mask=/proc/version --security-opt unmask=/proc/keys busybox sh -c "wc -c </proc/version; grep -c . /proc/keys >/dev/null && echo seen"'
step 0 'podman run --rm --rootfs $PWD/root true || mkdir root && podman cp oom:/bin root/ && mkdir root/etc root/proc root/sys root/dev root/run root/tmp && podman run --rm --rootfs $PWD/root ls /'

# A container that stays.
step 0 'podman run -d --name web -l app=web busybox sh -c "trap \"echo bye; exit 3\" TERM; trap \"echo hup\" HUP; echo up; while :; do sleep 0.1; done"'
step 0 'podman ps --format "{{.Names}} {{.State}} {{.Image}} {{.Labels}}"'
step 0 'podman logs web'
step 0 'podman exec web sh -c "id; pwd; echo \$\$ >/dev/null; env | sort | grep -v HOSTNAME"'
step 0 'podman exec -u web -w /srv -e A=b web sh -c "id; pwd; echo \$A"'
step 0 'podman exec web grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)" /proc/self/status'
step 0 'podman exec --privileged web grep -E "^(Cap|NoNewPrivs|Seccomp)" /proc/self/status'
step 0 'podman exec web cat /proc/self/cgroup'
step 3 'podman exec web sh -c "echo no >&2; exit 3"'
step 137 'podman exec web sh -c "kill -9 \$\$"'
step 127 'podman exec web nosuch'
step 126 'podman exec web /etc'
step 0 'echo in | podman exec -i web cat'
step 0 'podman exec -d web touch /tmp/detached; for i in $(seq 50); do podman exec web ls /tmp/detached 2>/dev/null && break; done'
at 0 'podman exec -it web sh -c "echo ready; read line; eval \"\$line\""' <<END
? ready
> for i in \$(seq 50); do stty size 2>/dev/null | grep -q "24 80" && break; sleep 0.1; done; tty; stty size; exit 4
END
step 0 'podman top web pid user args | grep -v "sleep 0.1 *$" | sed "s/^[0-9][0-9]*  */PID /"'
step 0 'podman top web -o pid,comm | head -2'
step 0 'podman stats --no-stream --format "{{.Name}} {{.PIDs}} {{.MemUsage}}" web | sed "s/[1-9][0-9]* [0-9.]*[kKM]*B /N USED /"'
step 0 'podman update --cpus 0.25 --memory 100m web && podman exec web sh -c "cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes"'
step 0 'podman pause web && podman ps --format "{{.Names}} {{.State}}"'
step 255 'podman exec web true'
step 0 'podman unpause web && podman ps --format "{{.Names}} {{.State}}"'
step 0 'podman kill -s HUP web; for i in $(seq 50); do podman logs web 2>&1 | grep -q hup && break; sleep 0.1; done; podman logs web'
step 0 'echo file >f && podman cp f web:/srv/f && podman exec web cat /srv/f && podman cp web:/etc/passwd - | tar t'
step 0 'podman diff web | sort'
step 0 'podman commit -q web saved && podman run --rm saved cat /srv/f'
step 125 'podman container checkpoint web'
step 0 'podman inspect -f "{{.State.Status}} {{.State.Running}} {{.State.OOMKilled}} {{.OCIRuntime}} {{.HostConfig.Runtime}} {{.State.CgroupPath}}" web'
step 0 'podman restart -t 2 web && podman logs web'
step 0 'podman stop -t 5 web && podman wait web && podman inspect -f "{{.State.Status}} {{.State.ExitCode}}" web'
step 255 'podman exec web true'
step 0 'podman start web && podman kill web && podman wait web && podman rm web'
step 0 'podman run -d --name deaf busybox sh -c "trap : TERM; while :; do sleep 0.1; done" && podman stop -t 1 deaf && podman inspect -f "{{.State.ExitCode}}" deaf && podman rm deaf'
step 0 'podman create --name again busybox echo again && podman start -a again && podman start -a again && podman logs again'
step 1 'podman rm web; podman rm -f again; podman start web; podman rm nosuch'
step 0 'podman run -d --name talk -i busybox sh -c "read a; echo got \$a" && echo word | podman attach talk; podman wait talk; podman logs talk; podman rm talk'
step 0 'podman run -d --name loop --restart on-failure:2 busybox false; for i in $(seq 60); do sleep 0.3; [ "$(podman inspect -f "{{.RestartCount}} {{.State.Status}}" loop)" != "2 exited" ] || break; done; podman inspect -f "{{.RestartCount}} {{.State.ExitCode}}" loop; podman rm loop'
step 0 'podman run -d --name port -p 127.0.0.1:8080:80 busybox httpd -f -h /etc && for i in $(seq 50); do busybox wget -qO- http://127.0.0.1:8080/group 2>/dev/null && break; sleep 0.2; done; podman port port; podman rm -f -t 0 port'
step 0 'podman run -d --name hc --health-cmd "test -e /tmp/well" --health-interval disable busybox sleep 100 && podman healthcheck run hc; echo $?; podman exec hc touch /tmp/well; podman healthcheck run hc; echo $?; podman inspect -f "{{.State.Health.Status}} {{.State.Healthcheck.Status}}" hc; podman rm -f -t 0 hc'

# A pod: three containers that share.
step 0 'podman pod create --name p --hostname pod --infra-image busybox --infra-command "sleep 100"'
step 0 'podman run -d --pod p --name one busybox sh -c "while :; do echo answer | nc -l -p 90; done" && podman run --rm --pod p busybox sh -c "hostname; for i in \$(seq 50); do nc 127.0.0.1 90 </dev/null && break; sleep 0.2; done"'
step 0 'podman pod ps --format "{{.Name}} {{.Status}} {{.NumberOfContainers}}"; podman pod top p user args | sort'
step 0 'for n in net uts ipc; do [ "$(podman exec one readlink /proc/1/ns/$n)" = "$(podman exec -l readlink /proc/1/ns/$n)" ] && echo same $n; done'
step 0 'podman pod pause p; podman pod ps --format "{{.Status}}"; podman pod unpause p; podman pod stop -t 0 p; podman pod ps --format "{{.Status}}"; podman pod start p; podman pod ps --format "{{.Status}}"; podman pod rm -f -t 0 p 2>/dev/null || { sleep 1; podman pod rm -f -t 0 p; }'
step 0 'podman run -d --name all busybox sleep 100; podman rm -f -t 0 -a; podman ps -a -q; ls "$SIDE/run/overlay-containers"'
step 0 'find /sys/fs/cgroup -type d -name "libpod-*"'
