//! `--kernel`: the kernel asked for, or the fastest.

use super::Error;
use powd_core::Comparison;
use powd_core::{Kernel, KernelError};

/// What was typed: a name, or `auto`.
pub(super) const AUTO: &str = "auto";

/// The kernel of that name, or the fastest for `auto`. One that does not exist or that this CPU
/// lacks is an error, never another one.
pub(super) fn choose(name: &str) -> Result<Kernel, Error> {
    Ok(named(name)?.unwrap_or_else(Kernel::fastest))
}

/// So close together, one short measurement does not say which is faster.
const EQUAL: f64 = 1.03;

/// The kernel of that name; none for `auto`.
pub(super) fn named(name: &str) -> Result<Option<Kernel>, Error> {
    if name == AUTO {
        return Ok(None);
    }
    Ok(Some(Kernel::named(name)?))
}

/// The kernel to serve with, and its hashes per second on short messages: the one asked for, or the
/// fastest. The log says how it stands among the others.
pub(super) fn to_serve_with(asked_for: Option<Kernel>) -> (Kernel, f64) {
    let comparison = Comparison::measure();
    let fastest = comparison.fastest();
    let kernel = asked_for.unwrap_or(fastest);
    let rate = comparison.hash_rate(kernel);
    if asked_for.is_none() {
        let mut others = comparison.by_hash_rate().into_iter();
        let next = others.find(|(other, _)| *other != kernel);
        let lead = next.map(|(next, slower)| match rate / slower {
            times if times < EQUAL => format!(", as fast as {next}"),
            times => format!(", {times:.2} times {next}"),
        });
        tracing::info!(
            "kernel {kernel} is the fastest here: {:.1} MH/s per core{}",
            rate / 1e6,
            lead.unwrap_or_default()
        );
    } else if comparison.is_clearly_faster(fastest, kernel) {
        tracing::warn!(
            "kernel {kernel}, as asked for, is not the fastest here: {:.1} MH/s per core, {fastest} {:.2} times that",
            rate / 1e6,
            comparison.hash_rate(fastest) / rate
        );
    }
    (kernel, rate)
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Error {
        Error::Usage(format!("{error}, or {AUTO}"))
    }
}
