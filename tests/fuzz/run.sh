#!/bin/sh
# The targets under libFuzzer, FUZZ_SECONDS each (60): all of them, or those that are named. On
# stable: what cargo-fuzz does with -s none. What is learnt stays in target/fuzz/corpus; an input
# that fails is left in target/fuzz/failed, and its like belongs into tests/fuzz/found/TARGET.
set -eu
cd "$(dirname "$0")/../.."
work=$PWD/target/fuzz
command -v g++ >/dev/null || { echo "fuzz: libFuzzer needs g++ (apt-get install g++)" >&2; exit 1; }

args='level=4 inline-8bit-counters pc-table trace-compares'
RUSTFLAGS='--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-simplifycfg-branch-fold-threshold=0'
for arg in $args; do RUSTFLAGS="$RUSTFLAGS -Cllvm-args=-sanitizer-coverage-$arg"; done
export RUSTFLAGS
host=$(rustc -vV | sed -n 's/^host: //p')
# The versions of the workspace.
cp Cargo.lock tests/fuzz/libfuzzer/Cargo.lock
cargo build --release --quiet --target "$host" --target-dir "$work" --manifest-path tests/fuzz/libfuzzer/Cargo.toml
fuzz=$work/$host/release/fuzz-libfuzzer

FUZZ_DIR=$(mktemp -d "$([ -d /dev/shm ] && echo /dev/shm || echo /tmp)/stave-fuzz.XXXXXX")
export FUZZ_DIR
trap 'rm -rf "$FUZZ_DIR"' EXIT
trap 'exit 1' INT TERM

bad=0
[ $# -gt 0 ] || set -- layer archive compressed manifest index config reference platform document
for FUZZ_TARGET in "$@"; do
  export FUZZ_TARGET
  corpus=$work/corpus/$FUZZ_TARGET found=tests/fuzz/found/$FUZZ_TARGET
  mkdir -p "$corpus" "$work/failed"
  FUZZ_SEEDS=$corpus "$fuzz" >/dev/null 2>&1
  [ -d "$found" ] || found=
  log=$work/$FUZZ_TARGET.log
  "$fuzz" -max_total_time="${FUZZ_SECONDS:-60}" -max_len=65536 -len_control=0 -timeout=20 -rss_limit_mb=1024 \
    -print_final_stats=1 -artifact_prefix="$work/failed/$FUZZ_TARGET-" "$corpus" ${found:+"$found"} >"$log" 2>&1 ||
    { tail -n 60 "$log"; bad=1; }
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "$FUZZ_TARGET: ${runs:-?} runs, $(find "$corpus" -type f | wc -l) inputs that differ"
done
exit $bad
