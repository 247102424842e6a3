//! `--rng-seed`: what the places where searches start are drawn from.

use super::Error;

/// The seed asked for, or one from the system.
pub(super) fn choose(asked: Option<u64>) -> Result<u64, Error> {
    asked.map_or_else(getrandom::u64, Ok).map_err(|error| {
        Error::Failed(format!(
            "the system gives no random numbers: {error}; --rng-seed does without"
        ))
    })
}
