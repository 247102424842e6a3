.PHONY: check arm bench loom fuzz defaults deb deploy-check image-check

# All that must hold before a change lands; the same as in CI, but that CI installs the programs it needs first.
check:
	.ci/run

# The tests on Arm, by an emulator.
arm:
	.ci/arm

# All benchmarks; single ones: cargo bench --bench NAME
bench:
	cargo bench --locked

# What is lock-free, in every order in which threads can take their steps. The second one has little to run, and is not
# worth an optimizer's time.
loom: export RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/.ci/loom
loom:
	cargo test --locked --package powd-core --no-default-features --features unstable --lib model
	CARGO_PROFILE_DEV_OPT_LEVEL=0 cargo test --locked --package powd --no-default-features --lib model

# Every fuzz target for a minute, as many at a time as there are CPUs; for longer: `make fuzz FUZZ_SECONDS=3600`. Needs
# cargo-fuzz and a C++ compiler.
FUZZ_SECONDS ?= 60
fuzz:
	fuzz/run $(FUZZ_SECONDS)

# /etc/default/powd of the package, anew: a test fails where it is not what the flags of `powd serve` say.
defaults:
	POWD_WRITE_DEFAULTS=1 cargo test --locked --lib defaults

# The Debian package, in target/debian. Needs cargo-deb.
deb:
	cargo build --locked --release --bin powd
	deploy/debian/stage "$${CARGO_TARGET_DIR:-target}/release/powd" "$${CARGO_TARGET_DIR:-target}/release/package"
	cargo deb --locked --no-build --strip --package powd

# The package and the manifests, by the programs that judge them. Needs cargo-deb, lintian, systemd and
# kubernetes-validate; as root it boots a copy of this system in namespaces, and installs the package there.
deploy-check:
	deploy/debian/check
	deploy/kubernetes/check

# The image, by its Dockerfile and without a network, and what is in it run as a runtime does. Needs root and buildah.
# As it is shipped, which takes minutes: `make image-check IMAGE_PROFILE=release`.
IMAGE_PROFILE ?= dev
image-check:
	deploy/image/check $(IMAGE_PROFILE)
