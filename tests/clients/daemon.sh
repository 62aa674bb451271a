# shellcheck shell=sh
# Sourced by the scripts that need dockerd: starts one whose default runtime is RUNTIME, under the
# name `plain`; it has it a second time as `named`, with arguments. end_docker ends it.

# Both stand in PATH as runc too: that is what docker's builder calls.
mkdir -p "$SIDE/bin" /etc/docker
ln -s "$RUNTIME" "$SIDE/bin/runc"
cat >/etc/docker/daemon.json <<END
{
  "runtimes": {"plain": {"path": "$RUNTIME"}, "named": {"path": "$RUNTIME", "runtimeArgs": ["--debug"]}},
  "default-runtime": "plain", "exec-opts": ["native.cgroupdriver=cgroupfs"],
  "data-root": "$SIDE/docker", "exec-root": "/run/docker", "pidfile": "/run/docker.pid",
  "hosts": ["unix:///run/docker.sock"], "storage-driver": "overlay2", "userland-proxy": false,
  "init-path": "$(command -v tini-static)", "shutdown-timeout": 1
}
END
PATH=$SIDE/bin:$PATH dockerd >"$SIDE/dockerd.log" 2>&1 &
daemon=$!
# Debian's client, whatever else is in PATH.
ln -s /usr/bin/docker "$SIDE/home/docker"
export DOCKER_HOST=unix:///run/docker.sock
soon docker version || {
  tail -n 20 "$SIDE/dockerd.log"
  exit 1
}

# The last things it said, if it says them in trouble, are in the log of the side.
end_docker() {
  kill "$daemon"
  wait "$daemon"
  grep -E 'level=(error|fatal)|panic' "$SIDE/dockerd.log" | tail -n 20
}
