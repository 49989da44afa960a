#!/usr/bin/env bash
# Runs all tests, then says what was skipped and why. Uses cargo-nextest where it is installed.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p target
# What an earlier run has left says nothing of this one.
rm -rf target/tmp/conformance target/nextest/default/junit.xml target/test.log
if [ -z "${COFFERDAM_OPENAPI:-}" ] && described=$(scripts/openapi.sh); then
  export COFFERDAM_OPENAPI=$described
fi
if [ -z "${COFFERDAM_WEBHOOK_EXAMPLES:-}" ] && examples=$(scripts/webhook-examples.sh); then
  export COFFERDAM_WEBHOOK_EXAMPLES=$examples
fi
if [ -z "${COFFERDAM_GITHUB_OPENAPI:-}" ] && described=$(scripts/github-openapi.sh); then
  export COFFERDAM_GITHUB_OPENAPI=$described
fi
if [ -z "${COFFERDAM_OIDC_PROVIDER:-}" ] && provider=$(scripts/oidc-provider.sh); then
  export COFFERDAM_OIDC_PROVIDER=$provider
fi
if [ -z "${COFFERDAM_S3_SERVER:-}" ] && program=$(scripts/s3-server.sh); then
  export COFFERDAM_S3_SERVER=$program
fi
if [ -z "${COFFERDAM_AZURE_SERVER:-}" ] && program=$(scripts/azure-server.sh); then
  export COFFERDAM_AZURE_SERVER=$program
fi

if cargo nextest --version > /dev/null 2>&1; then
  cargo nextest run --workspace --locked "$@"
  status=$?
else
  log=target/test.log
  cargo test --workspace --locked --no-fail-fast -- --show-output "$@" 2>&1 | tee "$log" | grep --line-buffered -E '^test result|^test .*FAILED|panicked|^error'
  status=${PIPESTATUS[0]}
fi

echo
echo "Skipped, and why:"
cargo run --locked -q -p xtask -- skips | sed 's/^/  /'

echo
echo "Drivers and the cases of their conformance suite:"
cargo run --locked -q -p xtask -- matrix | sed 's/^/  /'
exit "$status"
