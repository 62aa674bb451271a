#!/bin/sh
# podman drives runc and stave-oci for an ordinary user by the same commands, and prints the same.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/clients/lib.sh
. "$here/../clients/lib.sh"
engine_needs podman conmon newuidmap setpriv
busybox_image "$T/busybox.oci"
both rootless.sh
like 'the user has been root of a namespace' "$(cat "$T"/ours/record/*)" 'out: +0 1000 1$'
