#!/usr/bin/env bash
# Brings GitHub's published examples of webhooks into target/webhook-examples, out of the package of npm that has them, and prints that
# folder. Once they are there, nothing is fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
version=7.6.1
folder=$PWD/target/webhook-examples/$version
if [ ! -e "$folder/package/package.json" ]; then
  command -v npm > /dev/null || { echo "npm is not installed: no examples of webhooks" >&2; exit 1; }
  mkdir -p "$folder"
  (cd "$folder" && npm pack --silent "@octokit/webhooks-examples@$version" > /dev/null && tar -xzf ./*.tgz && rm ./*.tgz)
fi
echo "$folder/package"
