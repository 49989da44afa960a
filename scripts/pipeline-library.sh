#!/usr/bin/env bash
# Brings a public shared library with its tests (jenkins-infra/pipeline-library, at the commit below) into target/pipeline-library, and
# prints that folder. Once it is there, nothing is fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
commit=f12167592cd90849f94816fa0658fd71286d404a
folder=$PWD/target/pipeline-library/$commit
if [ ! -d "$folder/vars" ]; then
  rm -rf "$folder"
  git init --quiet "$folder"
  git -C "$folder" fetch --quiet --depth 1 https://github.com/jenkins-infra/pipeline-library "$commit"
  git -C "$folder" checkout --quiet FETCH_HEAD
fi
echo "$folder"
