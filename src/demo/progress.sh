#!/bin/sh
# progress.sh LOG COMMAND...: runs a Maven build with its output in LOG, and says every few seconds how far it is. On a
# terminal the line is drawn over. A build that fails shows the end of LOG, and the status is the build's.
set -u
log=$1
shift
mkdir -p "$(dirname "$log")"
start=$(date +%s)
"$@" >"$log" 2>&1 &
build=$!
trap 'kill "$build" 2>/dev/null; exit 130' INT TERM

# the last goal that began, and how many files were downloaded
stage() {
  goal=$(sed -n 's/^\[INFO\] --- \([a-z-]*\):[^:]*:\([a-z-]*\).*/\1 \2/p' "$log" | tail -n 1)
  files=$(grep -c '^\(\[INFO\] \)\{0,1\}Downloaded from' "$log")
  case $goal in
    "compiler compile") words="compiling" ;;
    "compiler testCompile") words="compiling the tests" ;;
    "quarkus build") words="packaging" ;;
    "") words="starting" ;;
    *) words=$goal ;;
  esac
  [ "$files" -eq 0 ] || words="$words, $files files downloaded"
  printf '%s' "$words"
}

if [ -t 1 ]; then every=1; else every=10; fi
passed=0
while kill -0 "$build" 2>/dev/null; do
  sleep 1
  passed=$((passed + 1))
  if [ $((passed % every)) -eq 0 ] && kill -0 "$build" 2>/dev/null; then
    if [ -t 1 ]; then
      printf '\r\033[K  building: %d s, %s' "$(($(date +%s) - start))" "$(stage)"
    else
      printf '  building: %d s, %s\n' "$(($(date +%s) - start))" "$(stage)"
    fi
  fi
done
wait "$build"
status=$?
[ -t 1 ] && printf '\r\033[K'
if [ "$status" -eq 0 ]; then
  printf '  built in %d s\n' "$(($(date +%s) - start))"
else
  tail -n 40 "$log" >&2
  echo "the build failed with status $status; all of its output: $log" >&2
fi
exit "$status"
