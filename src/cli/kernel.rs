//! `--kernel`: the kernel asked for, or the fastest.

use super::Error;
use powd_core::{Kernel, KernelError};

/// What was typed: a name, or `auto`.
pub(super) const AUTO: &str = "auto";

/// The kernel of that name, or the fastest for `auto`. One that does not exist or that this CPU lacks is an
/// error, never another one.
pub(super) fn choose(name: &str) -> Result<Kernel, Error> {
    Ok(named(name)?.unwrap_or_else(|| fastest().0))
}

/// The kernel of that name; none for `auto`.
pub(super) fn named(name: &str) -> Result<Option<Kernel>, Error> {
    if name == AUTO {
        return Ok(None);
    }
    Ok(Some(Kernel::named(name)?))
}

/// The kernel that a short measurement finds fastest, and its hash rate on short messages, hashes/s.
pub(super) fn fastest() -> (Kernel, f64) {
    let kernels = Kernel::by_hash_rate();
    let (kernel, rate) = kernels[0];
    let lead = kernels
        .get(1)
        .map(|(next, slower)| format!(", {:.2} times {next}", rate / slower));
    tracing::info!(
        "kernel {kernel} is the fastest here: {:.1} MH/s per core{}",
        rate / 1e6,
        lead.unwrap_or_default()
    );
    (kernel, rate)
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Error {
        Error::Usage(format!("{error}, or {AUTO}"))
    }
}
