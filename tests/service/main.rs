//! `powd serve` with many clients, good and bad ones: limits, fairness, slow and broken clients,
//! the end.

mod chaos;
mod drain;
mod fairness;
#[cfg(all(target_os = "linux", feature = "http"))]
mod haproxy;
mod limits;
mod linger;
mod listeners;
mod log;
#[cfg(target_os = "linux")]
mod machine;
mod proxies;
#[cfg(target_os = "linux")]
mod slow_clients;
mod supervisor;

use powd_testkit::Program;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));
