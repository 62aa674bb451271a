# shellcheck shell=sh
# shellcheck disable=SC2034 # who is for those that source this
# Sourced by the guests' scripts.

n=0 failed=0 who=''
# is NAME GOT WANTED
is() {
  n=$((n + 1))
  if [ "$2" = "$3" ]; then echo "ok $n - $who$1"; else
    failed=$((failed + 1))
    echo "not ok $n - $who$1"
    printf '%s\n' "got:" "$2" "wanted:" "$3" | sed 's/^/# /'
  fi
}
