//! `--kernel`: the kernel asked for, or the fastest.

use super::Error;
use crate::kernel::{Kernel, KernelError};

/// What was typed: a name, or `auto`.
pub(super) const AUTO: &str = "auto";

/// The kernel of that name, or the fastest for `auto`. One that does not exist or that this CPU lacks is an
/// error, never another one.
pub(super) fn choose(name: &str) -> Result<Kernel, Error> {
    Ok(named(name)?.unwrap_or_else(fastest))
}

/// The kernel of that name; none for `auto`.
pub(super) fn named(name: &str) -> Result<Option<Kernel>, Error> {
    if name == AUTO {
        return Ok(None);
    }
    Ok(Some(Kernel::named(name)?))
}

/// The kernel that a short measurement finds fastest.
pub(super) fn fastest() -> Kernel {
    let choice = Kernel::fastest();
    let (rate, next) = (choice.hash_rates[0].1, choice.hash_rates.get(1));
    let lead = next.map(|(kernel, next)| format!(", {:.2} times {}", rate / next, kernel.name()));
    tracing::info!(
        "kernel {} is the fastest here: {:.1} MH/s per core{}",
        choice.kernel.name(),
        rate / 1e6,
        lead.unwrap_or_default()
    );
    choice.kernel
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Error {
        Error::Usage(error.to_string())
    }
}
