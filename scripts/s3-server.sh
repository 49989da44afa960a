#!/usr/bin/env bash
# Brings moto's server, which speaks S3, from PyPI into a virtual environment in target/s3-server, and prints its program. Once it is
# there, nothing is fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
version=5.2.5
folder=$PWD/target/s3-server
if [ "$(cat "$folder/version" 2> /dev/null)" != "$version" ]; then
  rm -rf "$folder"
  # What cannot be made leaves nothing that looks as if it had been.
  { python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check "moto[server]==$version"; } >&2
  echo "$version" > "$folder/version"
fi
echo "$folder/bin/moto_server"
