//! `powd serve --nats` from outside: members as processes, one real broker, and a client that
//! speaks its protocol.

#![cfg(all(feature = "http", feature = "nats"))]

mod access;
mod broker;
mod drain;
mod failures;
mod help;
#[path = "../http/client.rs"]
#[expect(dead_code, reason = "the tests of HTTP use all of it")]
mod http;
mod jobs;
mod members;
mod nats;
mod service;
mod strangers;

use powd_testkit::Program;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));
