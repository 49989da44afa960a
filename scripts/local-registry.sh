#!/usr/bin/env bash
# Starts Debian's docker-registry on loopback, in the foreground, with its data below a folder.
#
#   scripts/local-registry.sh PORT FOLDER
set -euo pipefail
mkdir -p "$2"
cat > "$2/registry.yml" <<YML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $2/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$1"}
YML
exec docker-registry serve "$2/registry.yml"
