#!/usr/bin/env bash
# Brings GitHub's published description of its API into target/openapi, out of the package of npm that ships it, and prints that file. Once
# it is there, nothing is fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
version=23.0.2
folder=$PWD/target/openapi
file=$folder/github-$version.json
if [ ! -e "$file" ]; then
  command -v npm > /dev/null || { echo "npm is not installed: no description of GitHub's API" >&2; exit 1; }
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$folder"
  (cd "$work" && npm pack --silent "@octokit/openapi@$version" > /dev/null \
    && tar -xzf ./*.tgz package/generated/api.github.com.json)
  # Whole, or not there.
  mv "$work/package/generated/api.github.com.json" "$file.new"
  mv "$file.new" "$file"
fi
echo "$file"
