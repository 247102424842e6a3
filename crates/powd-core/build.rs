//! Says whether the fast kernels are built: `cfg(fast_kernels)`.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(fast_kernels)");
    let has_some = matches!(
        var("CARGO_CFG_TARGET_ARCH").as_deref(),
        Ok("x86_64" | "aarch64")
    );
    if !has_some || var("CARGO_FEATURE_SIMD").is_err() {
        return;
    }
    // Unoptimised, the unrolled kernels give each of thousands of values its place on the stack,
    // and overflow it; and the compiler takes minutes for them.
    let level = var("OPT_LEVEL").unwrap_or_default();
    if level == "0" {
        println!("cargo::warning=without optimisation there are no fast kernels: see README");
        return;
    }
    println!("cargo::rustc-cfg=fast_kernels");
    // They are built from small generic pieces, which must be inlined and unrolled.
    if !matches!(&*level, "2" | "3") {
        println!("cargo::warning=with opt-level {level} the fast kernels are slow: see README");
    }
}
