.PHONY: check bench

# All that must hold before a change lands; the same as in CI.
check:
	.ci/run

# All benchmarks; single ones: cargo bench --bench NAME
bench:
	cargo bench --locked
