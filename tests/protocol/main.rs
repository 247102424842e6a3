//! The line protocol, from outside: what stands in PROTOCOL.md.

mod crlf;
mod document;
mod half_close;
mod independent_client;
mod replies;

use powd_testkit::Program;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));
