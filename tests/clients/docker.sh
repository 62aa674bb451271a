#!/bin/sh
# shellcheck disable=SC2016,SC2154 # the shell of a step expands; lib.sh gives
# What docker does with a runtime that is its daemon's default, and with one that is named.
# shellcheck source=tests/clients/record.sh
. "$clients/record.sh"
# shellcheck source=tests/clients/daemon.sh
. "$clients/daemon.sh"

step 0 'docker load -q -i "$ARCHIVE"'
step 0 'docker info --format "{{.DefaultRuntime}} {{.CgroupDriver}}"'

# One process: what it prints, how it ends, what docker calls a failure.
step 0 'docker run --rm busybox echo hello'
step 0 'docker run --rm --runtime named busybox echo hello'
step 125 'docker run --rm --runtime nosuch busybox echo hello'
step 7 'docker run --rm busybox sh -c "echo out; echo err >&2; exit 7"'
step 127 'docker run --rm busybox nosuch'
step 127 'docker run --rm busybox /nosuch/at/all'
step 126 'docker run --rm busybox /etc'
step 126 'docker run --rm busybox /etc/passwd'
step 125 'docker run --rm --workdir /etc/passwd busybox true'
step 127 'docker run --rm --sysctl net.no.such=1 busybox true'
step 125 'docker run --rm --sysctl kernel.no.such=1 busybox true'
step 125 'docker run --rm -v /etc/passwd:/etc busybox true 2>&1 | grep -o "Are you trying.*"; docker run --rm -v /etc/passwd:/etc busybox true 2>/dev/null'
step 125 'docker run --rm --user nosuch busybox true'
step 0 'echo through | docker run -i --rm busybox cat'
step 0 'docker run --rm busybox sh -c "cat /proc/self/oom_score_adj; umask; pwd; env | sort | grep -v HOSTNAME"'
at 0 'docker run --rm -it busybox sh -c "echo ready; read line; eval \"\$line\""' <<END
? ready
> for i in \$(seq 50); do stty size 2>/dev/null | grep -q "24 80" && break; sleep 0.1; done; tty; stty size; test -t 1 && echo yes it is; exit 5
END
at 0 'docker run --rm -it busybox sh -c "trap \"echo got INT; exit 9\" INT; echo ready; sleep 5 & wait"' <<END
? ready
^ C
END

# What is inside; a network is for the other steps.
step 0 'docker run --rm --network none busybox cat /proc/self/mountinfo | mountinfo | sort'
step 0 'docker run --rm --network none --security-opt systempaths=unconfined --cgroupns host busybox cat /proc/self/mountinfo | mountinfo | sort'
step 0 'docker run --rm --network none busybox grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|SigBlk)" /proc/self/status'
step 0 'docker run --rm --network none --cap-add all --cap-drop sys_resource busybox grep -E "^(Cap|NoNewPrivs|Seccomp)" /proc/self/status'
step 0 'docker run --rm --network none busybox cat /proc/self/limits'
step 0 'docker run --rm --network none busybox sh -c "cd /dev && stat -c \"%n %F %a %u %g %t:%T %N\" * | sort"'
step 0 'docker run --rm --network none busybox cat /proc/self/cgroup /sys/fs/cgroup/devices/devices.list | grep -v 10:200 | sort'
step 0 'docker run --rm --network none --cgroupns private busybox cat /proc/self/cgroup'
step 0 'docker run --rm --network none --security-opt seccomp=unconfined --security-opt no-new-privileges --cap-drop all --cap-add net_raw --user 33:34 --group-add 101 busybox grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)" /proc/self/status'
step 0 'docker run --rm --network none --user web busybox id'
step 126 'docker run --rm --network none --user nobody busybox /root/x'
step 1 'docker run --rm --network none --read-only --tmpfs /x:size=1m,mode=750 --shm-size 2m busybox sh -c "grep -E \" (/x|/dev/shm) \" /proc/self/mounts; stat -c %a /x; touch /c"'
step 0 'docker run --rm --network none --ulimit nofile=100:200 --ulimit core=0 busybox sh -c "ulimit -Sn; ulimit -Hn; ulimit -c"'
step 0 'docker run --rm --network none --init busybox cat /proc/1/comm'
step 0 'docker run --rm --hostname box --domainname dom --workdir /new/dir --env A=b --add-host other:10.1.2.3 busybox sh -c "hostname; cat /proc/sys/kernel/domainname; pwd; echo \$A; grep other /etc/hosts"'
step 0 'mkdir -p v && docker run --rm --network none -v $PWD/v:/v -v $PWD/v:/ro:ro -v named:/named busybox sh -c "echo data >/v/f; cat /ro/f; touch /ro/g; grep named /proc/self/mountinfo" | mountinfo; cat v/f; docker volume rm named'
step 0 'docker run --rm --network none --mount type=bind,src=$PWD/v,dst=/v,bind-propagation=rshared busybox grep " /v " /proc/self/mountinfo | mountinfo'
step 0 'docker run --rm --network none --device /dev/null:/dev/nix:rw --device-cgroup-rule "c 10:229 r" busybox sh -c "stat -c \"%n %a %t:%T\" /dev/nix && echo x >/dev/nix; grep -c 10:229 /sys/fs/cgroup/devices/devices.list; mknod /dev/other c 10 230 && cat /dev/other"; true'
step 0 'docker run --rm --network none --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=1234 busybox cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax'
step 0 'docker run --rm --network none busybox ip -o link | cut -d: -f2 | sed "s/@.*//"'
step 0 'docker run --rm --network host --uts host --ipc host --pid host busybox sh -c "for n in net uts ipc pid; do readlink /proc/self/ns/\$n; done" >a; for n in net uts ipc pid; do readlink /proc/self/ns/$n; done | diff a -'
step 0 'docker run --rm --network none --memory 64m --memory-reservation 32m --memory-swappiness 10 --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 50 busybox sh -c "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares cpuset/cpuset.cpus pids/pids.max memory/memory.swappiness"'
step 137 'docker run --name oom --memory 16m busybox sh -c "tail /dev/zero; exit 137"'
step 0 'docker inspect -f "{{.State.ExitCode}} {{.State.Status}} {{.State.OOMKilled}}" oom; docker rm oom'
step 0 'docker run --rm --network none --pids-limit 4 busybox sh -c "for i in 1 2 3 4 5; do sleep 30 & done" 2>&1 | grep -c fork'
step 125 'docker run --rm --network none --memory 1k busybox true'

# A container that stays.
step 0 'docker run -d --name web -l app=web busybox sh -c "trap \"echo bye; exit 3\" TERM; trap \"echo hup\" HUP; echo up; while :; do sleep 0.1; done"'
step 0 'docker ps --format "{{.Names}} {{.State}} {{.Image}} {{.Labels}}"'
step 0 'docker exec web sh -c "id; pwd; env | sort | grep -v HOSTNAME"'
step 0 'docker exec -u web -w /srv -e A=b web sh -c "id; pwd; echo \$A"'
step 0 'docker exec web grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)" /proc/self/status'
step 0 'docker exec web cat /proc/self/cgroup'
step 3 'docker exec web sh -c "echo no >&2; exit 3"'
step 137 'docker exec web sh -c "kill -9 \$\$"'
step 126 'docker exec web nosuch'
step 126 'docker exec web /etc'
step 0 'echo in | docker exec -i web cat'
at 0 'docker exec -it web sh -c "echo ready; read line; eval \"\$line\""' <<END
? ready
> for i in \$(seq 50); do stty size 2>/dev/null | grep -q "24 80" && break; sleep 0.1; done; tty; stty size; exit 4
END
step 0 'docker run -d --name hc --health-cmd "test -e /well" --health-interval 200ms --health-retries 1 busybox sleep 100 && for state in unhealthy healthy; do for i in $(seq 50); do [ "$(docker inspect -f "{{.State.Health.Status}}" hc)" = $state ] && echo $state && break; sleep 0.1; done; docker exec hc touch /well; done; docker rm -f hc'
step 0 'docker exec -d web touch /tmp/detached; for i in $(seq 50); do docker exec web ls /tmp/detached 2>/dev/null && break; done'
step 0 'docker top web -o pid,comm | head -2 | sed "s/[0-9][0-9]*/PID/"'
step 0 'docker stats --no-stream --format "{{.Name}} {{.PIDs}} {{.MemUsage}}" web | sed "s/[1-9][0-9]* [0-9.]*[kKM]*iB /N USED /"'
step 0 'docker update --cpus 0.25 --memory 100m --memory-swap 100m --pids-limit 40 web && docker exec web sh -c "cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes pids/pids.max"'
step 1 'docker update --memory 4k web'
step 0 'docker pause web && docker ps --format "{{.Names}} {{.State}}"'
step 1 'docker exec web true'
step 0 'docker unpause web && docker ps --format "{{.Names}} {{.State}}"'
step 0 'docker kill -s HUP web; for i in $(seq 50); do docker logs web 2>&1 | grep -q hup && break; sleep 0.1; done; docker logs web'
step 0 'echo file >f && docker cp f web:/srv/f && docker exec web cat /srv/f && docker cp web:/etc/passwd - | tar t; docker diff web | sort'
step 0 'docker commit web saved && docker run --rm saved cat /srv/f'
step 1 'docker checkpoint create web point'
step 0 'docker inspect -f "{{.State.Status}} {{.State.Running}} {{.State.OOMKilled}} {{.HostConfig.Runtime}}" web'
step 0 'docker restart -t 2 web && docker logs web'
step 0 'docker stop -t 5 web && docker wait web && docker inspect -f "{{.State.Status}} {{.State.ExitCode}}" web'
step 1 'docker exec web true'
step 0 'docker start web && docker kill web && docker wait web && docker rm web'
step 0 'docker run -d --name deaf busybox sh -c "trap : TERM; while :; do sleep 0.1; done" && docker stop -t 1 deaf && docker inspect -f "{{.State.ExitCode}}" deaf && docker rm deaf'
step 0 'docker create --name again busybox echo again && docker start -a again && docker start -a again && docker logs again && docker rm again'
step 0 'docker run -d --name talk -i busybox sh -c "read a; echo got \$a" && echo word | docker attach talk >/dev/null; docker wait talk; docker logs talk; docker rm talk'
step 0 'docker run -d --name loop --restart on-failure:2 busybox false; for i in $(seq 60); do sleep 0.3; [ "$(docker inspect -f "{{.RestartCount}} {{.State.Status}}" loop)" != "2 exited" ] || break; done; docker inspect -f "{{.RestartCount}} {{.State.ExitCode}}" loop; docker rm loop'
step 0 'docker run -d --name port -p 8080:80 busybox httpd -f -h /etc && for i in $(seq 50); do docker run --rm --network container:port busybox wget -qO- http://127.0.0.1/group 2>/dev/null && break; sleep 0.2; done; docker port port; docker rm -f port'
step 1 'docker start nosuch'

# The builder, classic and new: each RUN is a container of the runtime.
mkdir context
cat >context/Dockerfile <<END
FROM busybox
RUN id; echo built >/built; grep NoNewPrivs /proc/self/status
RUN ["touch", "/x"]
USER web
WORKDIR /srv
RUN touch mine; ls -l /built mine | cut -c1-10
CMD cat /built
END
step 0 'DOCKER_BUILDKIT=0 docker build -q -t classic context && docker run --rm classic'
step 0 'DOCKER_BUILDKIT=1 docker build -q --progress plain -t new context && docker run --rm new'
printf 'FROM busybox\nRUN exit 6\n' >context/Dockerfile
step 6 'DOCKER_BUILDKIT=0 docker build -q context'
step 0 'DOCKER_BUILDKIT=1 docker build -q context 2>&1 | grep -o "exit code: 6" | head -1'

step 0 'docker run -d --name live busybox sleep 100; docker rm -f live; docker ps -aq'
# A program that the kernel refuses: runc says so in the container's name, ours of the start, after which
# docker deletes what it takes for ended.
step 0 'printf "#!/no/such/sh\n" >v/script; chmod 755 v/script; for i in 1 2 3; do docker run --rm --network none -v $PWD/v:/v busybox /v/script 2>/dev/null; done; docker ps -aq; ls /run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby'
step 0 'find /sys/fs/cgroup/*/docker -mindepth 1 -type d ! -name buildkit'
end_docker
