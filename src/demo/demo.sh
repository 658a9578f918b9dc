#!/bin/sh
# demo.sh: what `make demo` runs, after `make build`. ONCE=1: ends by itself. NATIVE=1: the native executable.
set -eu
cd "$(dirname "$0")/../.."
java=$(src/demo/find-jdk.sh)/bin/java
if [ "${NATIVE:-0}" = 1 ]; then
  PENSTOCK_EXECUTABLE=target/penstock-runner
  export PENSTOCK_EXECUTABLE
fi
[ "${ONCE:-0}" = 1 ] && set -- --once "$@"
exec "$java" -Xmx256m -XX:+ExitOnOutOfMemoryError --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow \
  -cp "target/test-classes:target/classes:$(cat target/test-classpath)" dev.penstock.demo.Demo "$@"
