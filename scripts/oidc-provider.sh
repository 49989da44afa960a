#!/usr/bin/env bash
# Brings a provider of OpenID Connect (npm's oidc-provider) into target/oidc-provider, for tests, and prints that folder. Once it is there,
# nothing is fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
version=8.8.1
folder=$PWD/target/oidc-provider/$version
if [ ! -e "$folder/ready" ]; then
  command -v npm > /dev/null && command -v node > /dev/null || { echo "npm is not installed: no provider of OpenID Connect" >&2; exit 1; }
  mkdir -p "$folder"
  (cd "$folder" && npm install --silent --no-audit --no-fund --ignore-scripts "oidc-provider@$version" > /dev/null && touch ready)
fi
cp crates/server/tests/data/oidc-provider.mjs "$folder/"
echo "$folder"
