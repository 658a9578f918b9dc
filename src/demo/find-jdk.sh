#!/bin/sh
# find-jdk.sh: prints the home of a JDK 25 or later, or says how to get one and fails.
# JAVA_HOME is taken if it is one; else the lowest fitting version of those installed.
set -u
least=25

# major HOME: its major version; nothing where it is no JDK
major() {
  [ -n "$1" ] && [ -x "$1/bin/java" ] && [ -x "$1/bin/javac" ] && [ -f "$1/release" ] || return 0
  sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" | head -n 1
}

fits() { [ -n "$1" ] && [ "$1" -ge "$least" ]; }

if fits "$(major "${JAVA_HOME:-}")"; then
  echo "$JAVA_HOME"
  exit 0
fi

best= best_major=
consider() {
  version=$(major "$1")
  if fits "$version" && { [ -z "$best" ] || [ "$version" -lt "$best_major" ]; }; then
    best=$1 best_major=$version
  fi
}

for home in /usr/lib/jvm/* \
  "${SDKMAN_CANDIDATES_DIR:-${SDKMAN_DIR:-${HOME:-/nonexistent}/.sdkman}/candidates}"/java/* \
  /Library/Java/JavaVirtualMachines/*/Contents/Home \
  "${HOME:-/nonexistent}"/Library/Java/JavaVirtualMachines/*/Contents/Home; do
  consider "$home"
done
if command -v java >/dev/null 2>&1; then
  consider "$(java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java\.home = //p' | head -n 1)"
fi

if [ -n "$best" ]; then
  echo "$best"
  exit 0
fi

cat >&2 <<EOF
Penstock needs a JDK $least or later, and there is none here
(looked at JAVA_HOME, /usr/lib/jvm, SDKMAN's candidates, /Library/Java/JavaVirtualMachines and the default java). One of:
  sdk install java $least-tem              with SDKMAN (sdkman.io)
  brew install --cask temurin@$least       on macOS
  apt-get install temurin-$least-jdk       on Debian and Ubuntu, with the repository of adoptium.net
  or unpack one from adoptium.net and set JAVA_HOME to it
EOF
exit 1
