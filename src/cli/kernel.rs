//! `--kernel`: the kernel asked for, or the fastest.

use std::time::Duration;

use super::Error;
use crate::kernel::{Kernel, KernelError, measure};

/// What was typed: a name, or `auto`.
pub(super) const AUTO: &str = "auto";

/// Rounds of the measurement of a named kernel, and their length: as those that `auto` takes.
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(1);

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

/// The hash rate of a kernel on short messages, hashes/s. The best of several rounds counts: what disturbs one
/// only ever slows it, by as much as the scheduler likes.
pub(super) fn hash_rate(kernel: &Kernel) -> f64 {
    let rounds = (0..ROUNDS).map(|_| measure(kernel, 20, ROUND));
    rounds.fold(0.0, f64::max)
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Error {
        Error::Usage(error.to_string())
    }
}
