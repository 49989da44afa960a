#!/usr/bin/env bash
# Brings Azurite, which speaks Azure's protocol for blobs, from npm into target/azure-server, and prints its program. Once it is there, nothing
# is fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
version=3.37.0
folder=$PWD/target/azure-server
if [ "$(cat "$folder/version" 2> /dev/null)" != "$version" ]; then
  rm -rf "$folder"
  mkdir -p "$folder"
  # What cannot be made leaves nothing that looks as if it had been.
  npm install --silent --no-fund --no-audit --prefix "$folder" "azurite@$version" >&2
  echo "$version" > "$folder/version"
fi
echo "$folder/node_modules/.bin/azurite-blob"
