#!/usr/bin/env bash
# docker/test-images.sh [jvm|native]...: builds the images (both by default) and runs them, without a Docker engine and without a
# registry: buildah and podman, on stand-ins for the base images that debootstrap makes. That proves the Dockerfiles, not the bases.
# As root on Debian; installs what is missing. A broker and a model server on this machine's loopback are the test's own
# (dev.penstock.deploy.ImageRun); the container shares the host's network for it.
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

# stand_in NAME [with-jdk]: Debian's smallest system under the name of the real base
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
    # its certificates are a link out of it on Debian
    [[ -d $store/jdk ]] || cp -rL "$JAVA_HOME" "$store/jdk"
    buildah copy -q "$container" "$store/jdk" /opt/java/openjdk >/dev/null
    buildah config --env JAVA_HOME=/opt/java/openjdk --env PATH=/opt/java/openjdk/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  fi
  buildah commit -q --rm "$container" "$name" >/dev/null
}

# no more than this shell may have itself: raising a limit takes a privilege
limit() { local now; now=$(ulimit "$1"); [[ $now == unlimited || $now -gt $2 ]] && now=$2; echo "$now:$now"; }

# the Maven wrapper and repository of this machine spare the download; on a clean one they are filled
mkdir -p "$HOME/.m2"
build() {
  local kind=$1
  # a stand-in has the name of its base, and another digest
  sed 's/@sha256:[0-9a-f]*//' "docker/Dockerfile.$kind" >"$store/Dockerfile.$kind"
  buildah bud --pull=never --format docker --layers \
    --ulimit "nofile=$(limit -Hn 20000)" --ulimit "nproc=$(limit -Hu 32768)" --network host \
    -v "$HOME/.m2:/root/.m2" \
    --build-arg REVISION="$(git rev-parse HEAD)" -f "$store/Dockerfile.$kind" -t "penstock:$kind" .
}

# how_to_run IMAGE: crun does without cgroups, but not beside both kinds of them; runc wants one that it may write to
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
      # python3 is for a GRAALVM_HOME that find-graalvm.sh had to lay out
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
