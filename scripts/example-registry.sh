#!/usr/bin/env bash
# Serves `maven:3`, built from Debian's packages on the first time, from a registry on loopback; says "ready" and stays until ended.
#
#   scripts/example-registry.sh PORT FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
address=127.0.0.1:$1
mkdir -p "$2"
scripts/local-registry.sh "$1" "$2" < /dev/null > "$2/registry.log" 2>&1 &
registry=$!
trap 'kill $registry 2> /dev/null || true' EXIT
trap exit TERM INT
curl -sf -o /dev/null --retry 50 --retry-delay 1 --retry-connrefused "http://$address/v2/"
if ! curl -sf -o /dev/null -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$address/v2/library/maven/manifests/3"; then
  scripts/debian-image.sh "$address" library/maven 3 \
    maven,default-jdk-headless,libsurefire-java,libmaven-compiler-plugin-java,libmaven-resources-plugin-java,libmaven-jar-plugin-java,junit4,procps \
    examples/maven-image
fi
echo ready
wait $registry
