//! What a connection and a request cost, as Linux tells it: memory, system calls, the CPUs of
//! threads.
//!
//! A program of its own, so that no more than these tests disturb each other.

#![cfg(target_os = "linux")]

mod memory;
mod pinning;
mod syscalls;

use powd_testkit::Program;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));
