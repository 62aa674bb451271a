#!/bin/sh
# docker drives runc and stave-oci by the same commands, and prints the same.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/clients/lib.sh
. "$here/../clients/lib.sh"
engine_needs dockerd docker containerd containerd-shim-runc-v2 iptables tini-static
busybox_image "$T/busybox.oci"
both docker.sh
like 'the terminals have been used' "$(cat "$T"/ours/record/*)" 'out: exit 5, cooked'
