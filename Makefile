# `make run` runs the main job, `make test` the tests, `make bench` the benchmarks. Each installs what it needs first.

PROFILE_DIR := target/release
COFFERDAM := $(PROFILE_DIR)/cofferdam

.PHONY: help build run test bench fuzz sim tidy

help:
	@echo "make run    install what is missing, build, and run examples/maven in a fresh container"
	@echo "make test   all tests"
	@echo "make bench  the benchmarks, as a table and as JSON lines in target/bench/"
	@echo "make fuzz   the fuzz targets, a minute each"
	@echo "make sim    10,000 simulated hours of a server, its agents and everything that goes wrong"
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
	scripts/buildbot.sh > /dev/null || true
	cargo bench --locked -p cli --bench numbers

fuzz:
	scripts/fuzz.sh 60

# Each seed is hours of its own; one that fails says how to see it again.
sim:
	scripts/install-packages.sh build
	cargo run --release --locked -p sim -- --seed $(or $(SEED),1) --seeds $(or $(SEEDS),250) --hours 40 --jobs $$(nproc)

tidy:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo run --locked -q -p xtask -- tidy
