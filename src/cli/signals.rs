//! The signals that powd hears.
//!
//! A SIGHUP that it was started to ignore is left alone: `nohup` is there so that a program
//! outlives its terminal. A SIGINT is not: scripts start all their background programs so, and then
//! interrupt them.

use std::ffi::c_int;
use std::fs;
use std::io;

use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;

use super::Error;

/// Hears `signals`, but no SIGHUP that is ignored.
pub(super) fn hear(signals: &[c_int]) -> Result<Signals, Error> {
    let heard = |signal: &&c_int| **signal != SIGHUP || !ignores_hangup();
    Signals::new(signals.iter().filter(heard)).map_err(unheard)
}

/// The system does not let powd hear signals.
pub(super) fn unheard(error: io::Error) -> Error {
    Error::Failed(format!("cannot hear signals: {error}"))
}

/// Whether SIGHUP is ignored; false where the system does not tell (proc(5)).
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
}
