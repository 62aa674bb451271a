#!/bin/sh
# docker compose brings three services up with runc and with stave-oci, which find each other.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/clients/lib.sh
. "$here/../clients/lib.sh"
engine_needs dockerd docker containerd containerd-shim-runc-v2 iptables tini-static docker-compose
busybox_image "$T/busybox.oci"
both compose.sh
like 'the services have heard each other' "$(cat "$T"/ours/record/*)" 'out: .*from the web'
