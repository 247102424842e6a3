//! `--version`: what was built, by what, and what it can use here.

use powd_core::Kernel;

/// Version, git revision, compiler, and the kernels of this CPU.
pub(super) fn text() -> String {
    let kernels: Vec<&str> = Kernel::available().map(|kernel| kernel.name()).collect();
    format!(
        "{} ({})\n{}\nkernels of this CPU: {}",
        env!("CARGO_PKG_VERSION"),
        env!("POWD_REVISION"),
        env!("POWD_RUSTC"),
        kernels.join(" ")
    )
}
