#!/bin/sh
# podman drives runc and stave-oci by the same commands, and prints the same.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/clients/lib.sh
. "$here/../clients/lib.sh"
engine_needs podman conmon
busybox_image "$T/busybox.oci"
both podman.sh
like 'the terminals have been used' "$(cat "$T"/ours/record/*)" 'out: exit 5, cooked'
