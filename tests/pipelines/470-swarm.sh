#!/bin/sh
# A swarm of one node, with services that are scaled, updated and rolled back, over runc and over stave-oci.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/clients/lib.sh
. "$here/../clients/lib.sh"
engine_needs dockerd docker containerd containerd-shim-runc-v2 iptables tini-static
busybox_image "$T/busybox.oci"
both swarm.sh
