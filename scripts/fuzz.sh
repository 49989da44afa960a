#!/usr/bin/env bash
# Fuzzes each target with libFuzzer for a bounded time, on any toolchain.
#
#   scripts/fuzz.sh SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=$1; shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(parse manifest layer init_protocol)

# The counters that libFuzzer reads; no sanitizer, which would need a nightly toolchain.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
triple=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --locked --quiet --target "$triple" --target-dir ../target/fuzz

for target in "${targets[@]}"; do
  mkdir -p "../target/fuzz/corpus/$target" "../target/fuzz/found"
  seeds=()
  [ "$target" != parse ] || seeds=(../examples/maven ../crates/groovy/tests/it/data)
  log=../target/fuzz/$target.log
  if ! "../target/fuzz/$triple/release/$target" -max_total_time="$seconds" -rss_limit_mb=3000 -timeout=20 -artifact_prefix=../target/fuzz/found/ \
    "../target/fuzz/corpus/$target" "${seeds[@]}" > "$log" 2>&1; then
    tail -n 30 "$log"
    echo "fuzz: $target failed; the input is in target/fuzz/found" >&2
    exit 1
  fi
  echo "fuzz: $target: $(grep -oE 'Done [0-9]+ runs in [0-9]+ second' "$log" | tail -n 1)s"
done
