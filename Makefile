.PHONY: check bench loom fuzz

# All that must hold before a change lands; the same as in CI, but that CI installs the programs it needs first.
check:
	.ci/run

# All benchmarks; single ones: cargo bench --bench NAME
bench:
	cargo bench --locked

# What is lock-free, in every order in which threads can take their steps. Built apart: with this flag
# the atomics are other ones.
loom:
	RUSTFLAGS='--cfg loom' cargo test --locked --release --package powd-core --all-features --lib \
		--target-dir "$${CARGO_TARGET_DIR:-target}/loom" model
	RUSTFLAGS='--cfg loom' cargo test --locked --package powd --no-default-features --lib \
		--target-dir "$${CARGO_TARGET_DIR:-target}/loom" parking

# Every fuzz target for a minute. Needs cargo-fuzz and a nightly toolchain.
fuzz:
	set -e; targets=$$(cargo +nightly fuzz list); for target in $$targets; do \
		cargo +nightly fuzz run "$$target" -- -max_total_time=60; \
	done
