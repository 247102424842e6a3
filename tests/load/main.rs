//! The load client as a library: against small servers that answer as a test wants, and against
//! real ones.
//!
//! No run here ends by the clock: each ends when the counts it waits for are there, and the
//! deadline only keeps a broken one from lasting for ever.

mod baseline;
mod failures;
#[cfg(feature = "http")]
mod http;
mod replies;
mod runs;

use powd_testkit::Program;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));
