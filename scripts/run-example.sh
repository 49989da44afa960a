#!/usr/bin/env bash
# Runs examples/maven with the given cofferdam binary. Where Docker Hub cannot be reached, builds `maven:3` from Debian's
# packages, serves it from a registry on loopback, and names that registry as a mirror of docker.io: the pipeline's text
# stays as it is. COFFERDAM_OFFLINE=1 says so without asking.
set -euo pipefail
cd "$(dirname "$0")/.."
cofferdam=$(realpath "$1")
data=$PWD/target/example-registry
port=${COFFERDAM_EXAMPLE_PORT:-15017}

hub_answers() {
  [ -z "${COFFERDAM_OFFLINE:-}" ] && curl -sS -o /dev/null -m 5 https://registry-1.docker.io/v2/ 2> /dev/null
}

as_root=()
if [ "$(id -u)" -ne 0 ] && sudo -n true 2> /dev/null; then as_root=(sudo -n --preserve-env=COFFERDAM_MIRRORS,COFFERDAM_HOME); fi

if [ -z "${COFFERDAM_MIRRORS:-}" ] && ! "${as_root[@]}" "$cofferdam" image ls --quiet 2> /dev/null | grep -qx 'docker.io/library/maven:3' && ! hub_answers; then
  echo "Docker Hub cannot be reached: maven:3 is built from Debian's packages and served from 127.0.0.1:$port" >&2
  coproc registry { exec scripts/example-registry.sh "$port" "$data"; }
  trap 'kill $registry_PID 2> /dev/null || true' EXIT
  read -r -u "${registry[0]}" _ready
  export COFFERDAM_MIRRORS="docker.io=http://127.0.0.1:$port"
fi

cd examples/maven
"${as_root[@]}" "$cofferdam" run
