#!/usr/bin/env bash
# Brings Buildbot (master, worker and the web server that its API is part of) from PyPI into a virtual environment in target/buildbot, for
# `make bench` to compare with, and prints where its programs are. Once it is there, nothing is fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
version=4.3.0
folder=$PWD/target/buildbot
if [ "$(cat "$folder/version" 2> /dev/null)" != "$version" ]; then
  rm -rf "$folder"
  # What cannot be made leaves nothing that looks as if it had been.
  { python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check "buildbot==$version" "buildbot-worker==$version" "buildbot-www==$version"; } >&2
  echo "$version" > "$folder/version"
fi
echo "$folder/bin"
