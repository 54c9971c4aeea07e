# Steps and checks of a test that goes on after a failure, so that one run shows all of them; sourced.
# shellcheck shell=bash
passed=0 failed=0

step() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }

# check <name> <command…>: runs it; its output is shown only when it fails.
check() {
  local name=$1 started=$SECONDS output
  shift
  if output=$("$@" 2>&1); then
    passed=$((passed + 1))
    printf 'ok   %s (%s s)\n' "$name" "$((SECONDS - started))"
  else
    failed=$((failed + 1))
    printf 'FAIL %s (%s s)\n' "$name" "$((SECONDS - started))"
    printf '%s\n' "$output" | tail -n 25 | sed 's/^/     /'
    return 1
  fi
}

# must <name> <command…>: the same for what the rest stands on. Not in a subshell: it may start a process in the background.
must() {
  local name=$1 started=$SECONDS log
  shift
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    printf 'ok   %s (%s s)\n' "$name" "$((SECONDS - started))"
    rm -f "$log"
  else
    tail -n 25 "$log" >&2
    rm -f "$log"
    printf '%s failed; nothing further was tried.\n' "$name" >&2
    exit 1
  fi
}

summary() {
  printf '\n%s passed, %s failed in %s s\n' "$passed" "$failed" "$SECONDS"
  ((failed == 0))
}
