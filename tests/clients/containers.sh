#!/bin/sh
# shellcheck disable=SC2154 # lib.sh gives the name
# What podman is told by both of its scripts.

# containers_conf PATH: of the runtime.
containers_conf() {
  mkdir -p /etc/containers
  cat >/etc/containers/containers.conf <<END
[containers]
default_ulimits = []
log_driver = "k8s-file"
[engine]
runtime = "$name"
cgroup_manager = "cgroupfs"
events_logger = "file"
init_path = "$(command -v tini-static || command -v catatonit)"
runtime_supports_json = ["runc", "stave-oci"]
[engine.runtimes]
$name = ["$1"]
[network]
network_backend = "cni"
END
}
