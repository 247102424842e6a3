//! The command line, from outside: output, exit codes, what is said of wrong input.

mod commands;
#[cfg(target_os = "linux")]
mod display;
mod lines;
mod load;
mod load_modes;
mod manual;
#[cfg(target_os = "linux")]
mod remedies;
mod usage;

use powd_testkit::Program;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));
