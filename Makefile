# `make run` runs the main job, `make test` the tests, `make bench` the benchmarks. Each installs what it needs first.

PROFILE_DIR := target/release
COFFERDAM := $(PROFILE_DIR)/cofferdam

.PHONY: help build run test bench fuzz tidy

help:
	@echo "make run    install what is missing, build, and run examples/maven in a fresh container"
	@echo "make test   all tests"
	@echo "make bench  the benchmarks, as a table and as JSON lines in target/bench/"
	@echo "make fuzz   the fuzz targets, a minute each"
	@echo "make tidy   format, clippy and the repository's own rules"

build:
	scripts/install-packages.sh build
	cargo build --release --locked -p cli

run: build
	scripts/install-packages.sh run
	scripts/run-example.sh $(COFFERDAM)

test:
	scripts/install-packages.sh build run test
	scripts/test.sh

bench: build
	scripts/install-packages.sh build run bench
	cargo bench --locked -p cli --bench numbers

fuzz:
	scripts/fuzz.sh 60

tidy:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo run --locked -q -p xtask -- tidy
