#!/usr/bin/env bash
# Builds an OCI image from Debian packages and pushes it to a registry, with nothing but mmdebstrap, curl and coreutils.
#
#   scripts/debian-image.sh REGISTRY NAME TAG PACKAGE[,PACKAGE...] [OVERLAY_DIR] [ENV...]
#
# REGISTRY is an address such as 127.0.0.1:5000. OVERLAY_DIR is copied over the root of the image.
set -euo pipefail

registry=$1 name=$2 tag=$3 packages=$4 overlay=${5:-} ; shift $(( $# < 5 ? $# : 5 ))
work=$(mktemp -d "${TMPDIR:-/tmp}/cofferdam-image.XXXXXX")
trap 'rm -rf "$work"' EXIT

hooks=()
[ -z "$overlay" ] || hooks+=(--customize-hook="sync-in $overlay /")
mmdebstrap --quiet --variant=apt --include="$packages" "${hooks[@]}" \
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin' \
  bookworm "$work/layer.tar" >&2

diff_id=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
gzip --fast --no-name "$work/layer.tar"
layer=$work/layer.tar.gz

env='"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"'
for pair in "$@"; do env+=",\"$pair\""; done
printf '{"architecture":"amd64","os":"linux","config":{"Env":[%s],"Cmd":["/bin/bash"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
  "$env" "$diff_id" > "$work/config.json"

digest() { sha256sum "$1" | cut -d' ' -f1; }
push_blob() { # file
  local place
  place=$(curl -fsS -X POST -D - -o /dev/null "http://$registry/v2/$name/blobs/uploads/" |
    tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
  case $place in http*) ;; *) place="http://$registry$place" ;; esac
  case $place in *\?*) place+='&' ;; *) place+='?' ;; esac
  curl -fsS -X PUT -H 'Content-Type: application/octet-stream' -T "$1" "${place}digest=sha256:$(digest "$1")" > /dev/null
}
push_blob "$layer"
push_blob "$work/config.json"

printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%d}]}' \
  "$(digest "$work/config.json")" "$(stat -c %s "$work/config.json")" "$(digest "$layer")" "$(stat -c %s "$layer")" > "$work/manifest.json"
curl -fsS -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$work/manifest.json" \
  "http://$registry/v2/$name/manifests/$tag" > /dev/null
echo "pushed $registry/$name:$tag ($(stat -c %s "$layer") bytes)" >&2
