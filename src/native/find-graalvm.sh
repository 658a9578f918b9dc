#!/usr/bin/env bash
# find-graalvm.sh DIR: prints a GRAALVM_HOME of version 25 or later: the one that is set, the one on the PATH,
# else one that install.sh lays out in DIR (Linux x86-64). What it does on the way goes to stderr.
set -euo pipefail
dir=${1:?usage: find-graalvm.sh DIR}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
least=25

fits() {
  local version
  [[ -x $1/bin/native-image ]] || return 1
  version=$("$1/bin/native-image" --version 2>/dev/null | sed -n 's/^native-image \([0-9]*\).*/\1/p' | head -n 1)
  [[ -n $version && $version -ge $least ]]
}

if [[ -n ${GRAALVM_HOME:-} ]]; then
  if fits "$GRAALVM_HOME"; then echo "$GRAALVM_HOME"; exit 0; fi
  echo "GRAALVM_HOME has no native-image of version $least or later: not used" >&2
fi
if on_path=$(command -v native-image); then
  home=$(cd "$(dirname "$(realpath "$on_path")")/.." && pwd)
  # in some distributions the command is a link into lib/svm/bin
  for candidate in "$home" "$(cd "$home/../.." && pwd)"; do
    if fits "$candidate"; then echo "$candidate"; exit 0; fi
  done
fi

if [[ $(uname -sm) != "Linux x86_64" ]]; then
  echo "no GraalVM or Mandrel $least here: install one (sdk install java $least-graalce) and set GRAALVM_HOME" >&2
  exit 1
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
if ! fits "$dir"; then
  tools=$(mktemp -d)
  trap 'rm -rf "$tools"' EXIT
  if ! command -v mvn >/dev/null; then
    printf '#!/bin/sh\nexec "%s/mvnw" "$@"\n' "$root" > "$tools/mvn"
    chmod +x "$tools/mvn"
  fi
  echo "no GraalVM or Mandrel $least here: laying one out in $dir" >&2
  PATH=$PATH:$tools "$here/install.sh" "$dir" >&2
fi
echo "$dir"
