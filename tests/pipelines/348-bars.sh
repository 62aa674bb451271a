#!/bin/sh
# Progress: bars at a terminal, nothing in a pipe. And -n: the requests as shell, which runs.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry plain
plain=$at
noisy lay x 2 400000
copy oci:lay:x "docker://$plain/bb:x" --preserve-digests
layer=$(jq -r '.layers[0].digest' "$(blob_of lay "$digest")")
proxy px "$plain"
px=$at

echo '* GET /blobs/ drip 20000 20' | faults
at stave pull "$px/bb:x" <<'END'
END
is 'a pull at a terminal' "$out" 'exit 0, cooked'
like 'shows the layers' "$(tr '\r' '\n' <typed)" "$(echo "$layer" | cut -c8-15)"
like 'bytes' "$(tr '\r' '\n' <typed)" '[0-9](\.[0-9]+)? ?([kKM]i?)?B'
like 'and the rate' "$(tr '\r' '\n' <typed)" '/s'
like 'then the document, for people' "$(cat typed)" '^ +"ociVersion": '
another_store
at stave pull -q "$px/bb:x" <<'END'
END
is 'with -q' "$out" 'exit 0, cooked'
unlike 'no bar' "$(cat typed)" '/s|B '
another_store
at sh -c "stave pull $px/bb:x >doc" <<'END'
END
is 'stdout elsewhere' "$out" 'exit 0, cooked'
like 'the bar stays at the terminal' "$(tr '\r' '\n' <typed)" '/s'
is 'and the document is one line' "$(wc -l <doc)" 1
another_store
at sh -c "stave pull $px/bb:x 2>said" <<'END'
END
is 'stderr elsewhere' "$out $(cat said)" 'exit 0, cooked '
unlike 'no bar' "$(cat typed)" '/s'

# Interrupted, the terminal is as before.
another_store
echo "* GET $layer hold 1000 $T/never" | faults
at stave pull "$px/bb:x" <<END
? $(echo "$layer" | cut -c8-15)
^ C
END
is 'control-C' "$out $(names)" 'exit 130, cooked '
another_store
echo "* GET $layer flip 5" | faults
at stave pull "$px/bb:x" <<'END'
END
like 'an error at a terminal is a line of its own' "$(tr '\r' '\n' <typed | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g')" "^stave-pull: .*$layer"
at sh -c "stty cols 20; stave pull $px/bb:x" <<'END'
END
like 'a narrow terminal' "$out" '^exit 1, cooked$'

# Push.
echo | faults
another_store
stave pull "$px/bb:x" >doc
at stave push "$px/bb:x" "$px/cc:x" <<'END'
END
is 'push at a terminal' "$out" 'exit 0, cooked'
like 'says what it pushed' "$(cat typed)" "$px/cc@$digest"
