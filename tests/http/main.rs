//! `powd serve --http` and `--admin` from outside: the API that HTTP.md describes, and what watches
//! the service.

#![cfg(feature = "http")]

mod batch;
mod calls;
mod cancel;
mod client;
mod document;
mod drain;
mod http2;
mod independent_client;
mod jobs;
mod limits;
mod page;
mod places;
mod prometheus;
mod properties;
mod schemathesis;
mod shares;
mod solve;
mod watching;

use powd_testkit::Program;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));
