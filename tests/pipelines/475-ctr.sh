#!/bin/sh
# containerd drives runc and stave-oci by the same commands, and prints the same.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/clients/lib.sh
. "$here/../clients/lib.sh"
engine_needs containerd ctr containerd-shim-runc-v2
busybox_image "$T/busybox.oci"
both ctr.sh
like 'the terminals have been used' "$(cat "$T"/ours/record/*)" 'out: exit [56], cooked'
