#!/bin/sh
# shellcheck disable=SC2016,SC2154 # the shell of a step expands; lib.sh gives
# A swarm of one node. Swarm knows no runtime of a service: its containers get the daemon's default.
# shellcheck source=tests/clients/record.sh
. "$clients/record.sh"
ip link add sw0 type veth peer name sw1
ip addr add 10.9.8.7/24 dev sw0
ip link set sw0 up
ip link set sw1 up
# shellcheck source=tests/clients/daemon.sh
. "$clients/daemon.sh"

# settled COUNT IMAGE: so many tasks of web run this image, and no other runs.
cat >"$SIDE/home/settled" <<'END'
#!/bin/sh
for i in $(seq 100); do
  now=$(docker service ps --filter desired-state=running --format '{{.Image}} {{.CurrentState}}' web | cut -d' ' -f1,2 | sort | uniq -c | sed 's/^ *//')
  running=$(docker ps -q --filter label=com.docker.swarm.service.name=web | wc -l)
  [ "$now, $running" != "$1 $2 Running, $1" ] || break
  sleep 0.1
done
echo "$now, $running"
END
chmod 755 "$SIDE/home/settled"

step 0 'docker load -q -i "$ARCHIVE"'
step 0 'docker swarm init --advertise-addr 10.9.8.7 --listen-addr 10.9.8.7:2377 | head -1 | sed "s/(.*)/(NODE)/"'
step 0 'docker node ls --format "{{.Status}} {{.Availability}} {{.ManagerStatus}}"'
step 0 'docker network create -d overlay --attachable inner >/dev/null && docker network ls --format "{{.Name}} {{.Driver}} {{.Scope}}" | sort'
step 0 'echo secret | docker secret create key - >/dev/null; echo setting | docker config create conf - >/dev/null; docker secret ls --format "{{.Name}}"; docker config ls --format "{{.Name}}"'
step 0 'docker service create -d -q --name web --replicas 3 --network inner --endpoint-mode dnsrr --update-delay 0s --update-parallelism 1 --update-order start-first --update-monitor 1ms --rollback-monitor 1ms --rollback-parallelism 0 --rollback-order start-first --stop-signal KILL --restart-delay 0s --no-resolve-image --secret key --config src=conf,target=/conf --limit-memory 32m --reserve-cpu 0.1 --hostname "web-{{.Task.Slot}}" --env "SLOT={{.Task.Slot}}" busybox:latest sh -c "echo up \$SLOT; exec httpd -f -h /etc" >/dev/null; settled 3 busybox:latest'
step 0 'docker service ls --format "{{.Name}} {{.Mode}} {{.Replicas}} {{.Image}}"'
step 0 'docker inspect -f "{{.HostConfig.Runtime}} {{.State.Status}}" $(docker ps -q)'
step 0 'docker ps -q | while read id; do docker exec $id sh -c "hostname; cat /run/secrets/key /conf /sys/fs/cgroup/memory/memory.limit_in_bytes; stat -c %a /run/secrets/key"; done | sort'
step 0 'docker run --rm --network inner busybox sh -c "nslookup web 127.0.0.11 | grep -c \"Address: 10\"; wget -qO- http://web/group | head -1"'
step 0 'docker service logs --raw web 2>&1 | sort'
step 0 'docker service update -d -q --no-resolve-image --image busybox:2 --limit-memory 48m web >/dev/null; settled 3 busybox:2; docker service inspect -f "{{.UpdateStatus.State}}" web'
step 0 'docker service ps --format "{{.Name}} {{.Image}} {{.DesiredState}}" web | sort'
step 0 'docker service rollback -d -q web >/dev/null; settled 3 busybox:latest'
step 0 'docker service scale -d web=1 >/dev/null; settled 1 busybox:latest; docker service scale -d web=2 >/dev/null; settled 2 busybox:latest'
step 1 'victim=$(docker ps -q | head -1); docker kill $victim >/dev/null; settled 2 busybox:latest; docker ps -q | grep -c $victim'
step 0 'docker service create -d -q --name every --mode global --no-resolve-image --restart-condition none busybox true >/dev/null; for i in $(seq 50); do docker service ps --format "{{.CurrentState}}" every | grep -o Complete && break; sleep 0.3; done'
step 0 'docker service rm web every; for i in $(seq 50); do [ -n "$(docker ps -q)" ] || break; sleep 0.1; done; docker ps -q; docker service ls -q'
step 0 'docker network rm inner; docker secret rm key >/dev/null; docker swarm leave --force; docker info -f "{{.Swarm.LocalNodeState}}"'
step 0 'find /sys/fs/cgroup/*/docker -mindepth 1 -type d ! -name buildkit'
end_docker
