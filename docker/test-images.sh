#!/usr/bin/env bash
# docker/test-images.sh [jvm|native]...: builds the images (both by default) and runs them. It needs no Docker engine and no
# registry: it uses buildah and podman, and debootstrap creates substitutes for the base images. So it tests the Dockerfiles, but
# not the real base images. It must run as root on Debian, and installs missing tools. The test (dev.penstock.deploy.ImageRun)
# starts a broker and a model server on this machine's loopback, so the container uses the host's network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
: "${JAVA_HOME:?a JDK 25}" "${TEST_CLASSPATH:?make test-images sets it}"
kinds=("$@")
((${#kinds[@]})) || kinds=(jvm native)
store=$PWD/target/images
mkdir -p "$store"
buildah() { nice -n 19 env buildah --root "$store/storage" --runroot "$store/run" "$@"; }
podman=(podman --root "$store/storage" --runroot "$store/run" --cgroup-manager=cgroupfs)
run=()

missing=()
for tool in buildah podman debootstrap runc crun; do type -P "$tool" >/dev/null || missing+=("$tool"); done
if ((${#missing[@]})); then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "${missing[@]}" >/dev/null
fi

# stand_in NAME [with-jdk]: creates an image with a minimal Debian, under the name of the real base image
stand_in() {
  local name=$1 jdk=${2:-}
  buildah inspect --type image "$name" >/dev/null 2>&1 && return
  if [[ ! -d $store/debian/etc ]]; then
    debootstrap --variant=minbase --include=ca-certificates,zlib1g bookworm "$store/debian" >"$store/debootstrap.log" ||
      { tail -n 20 "$store/debootstrap.log" >&2; return 1; }
  fi
  local container
  container=$(buildah from scratch)
  buildah copy -q "$container" "$store/debian" / >/dev/null
  if [[ -n $jdk ]]; then
    # copies through links, because on Debian the JDK's certificates are a link to a file outside the JDK
    [[ -d $store/jdk ]] || cp -rL "$JAVA_HOME" "$store/jdk"
    buildah copy -q "$container" "$store/jdk" /opt/java/openjdk >/dev/null
    buildah config --env JAVA_HOME=/opt/java/openjdk --env PATH=/opt/java/openjdk/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  fi
  buildah commit -q --rm "$container" "$name" >/dev/null
}

# limit FLAG NUMBER: prints the number, or this shell's own limit if that is lower, because raising a limit needs a privilege
limit() { local now; now=$(ulimit "$1"); [[ $now == unlimited || $now -gt $2 ]] && now=$2; echo "$now:$now"; }

# the build uses this machine's Maven repository, so that it downloads only what is missing
mkdir -p "$HOME/.m2"
build() {
  local kind=$1
  # a substitute has the name of the base image but another digest
  sed 's/@sha256:[0-9a-f]*//' "docker/Dockerfile.$kind" >"$store/Dockerfile.$kind"
  buildah bud --pull=never --format docker --layers \
    --ulimit "nofile=$(limit -Hn 20000)" --ulimit "nproc=$(limit -Hu 32768)" --network host \
    -v "$HOME/.m2:/root/.m2" \
    --build-arg REVISION="$(git rev-parse HEAD)" -f "$store/Dockerfile.$kind" -t "penstock:$kind" .
}

# how_to_run IMAGE: finds a runtime that works on this machine. crun works without cgroups, but not if both versions of cgroups are
# mounted. runc needs a cgroup that it can write to
how_to_run() {
  local limits=(--ulimit "nofile=$(limit -Hn 20000)" --ulimit "nproc=$(limit -Hu 32768)")
  local base=("${podman[@]}") options
  for runtime in crun runc; do
    options=("${limits[@]}")
    [[ $runtime == runc ]] || options+=(--cgroups=disabled)
    podman=("${base[@]}" --runtime "$runtime")
    if "${podman[@]}" run --rm --no-healthcheck "${options[@]}" --network=none --entrypoint true "$1" 2>"$store/run.log"; then
      run=("${options[@]}")
      return
    fi
  done
  cat "$store/run.log" >&2
  return 1
}

for kind in "${kinds[@]}"; do
  case $kind in
    jvm)
      stand_in docker.io/library/eclipse-temurin:25-jdk with-jdk
      stand_in docker.io/library/eclipse-temurin:25-jre with-jdk
      build jvm
      ;;
    native)
      GRAALVM_HOME=$(src/native/find-graalvm.sh "${IMAGES_GRAALVM:-target/graalvm}")
      stand_in quay.io/quarkus/ubi9-quarkus-micro-image:2.0
      # a GRAALVM_HOME that find-graalvm.sh assembled needs python3
      [[ -d $store/graalvm-base ]] || { cp -a "$store/debian" "$store/graalvm-base" && chroot "$store/graalvm-base" sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y gcc libc6-dev zlib1g-dev python3 >/dev/null'; }
      buildah inspect --type image quay.io/quarkus/ubi9-quarkus-mandrel-builder-image:jdk-25 >/dev/null 2>&1 || {
        container=$(buildah from scratch)
        buildah copy -q "$container" "$store/graalvm-base" / >/dev/null
        buildah copy -q "$container" "$GRAALVM_HOME" /opt/mandrel >/dev/null
        buildah config --env JAVA_HOME=/opt/mandrel --env GRAALVM_HOME=/opt/mandrel --env PATH=/opt/mandrel/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
        buildah commit -q --rm "$container" quay.io/quarkus/ubi9-quarkus-mandrel-builder-image:jdk-25 >/dev/null
      }
      build native
      ;;
    *) echo "test-images.sh: there is no image '$kind'" >&2; exit 2 ;;
  esac
  ((${#run[@]})) || how_to_run "penstock:$kind"
  "$JAVA_HOME/bin/java" --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow -Dpenstock.build-dir=target \
    -cp "$TEST_CLASSPATH" dev.penstock.deploy.ImageRun "penstock:$kind" "${podman[@]}" -- "${run[@]}"
done
