//! What the log hears again and again, but not each time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often: what it tells of can last for hours, and happen with each connection.
const AGAIN: Duration = Duration::from_secs(60);

/// Something that is told once a minute at most.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether to tell it now.
    pub(crate) fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|told| now - told >= AGAIN);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}
