//! A connection in its simulated world, with a fuzzer to make the choices.
#![no_main]

use libfuzzer_sys::fuzz_target;
use powd::line::simulation::{Choices, run};

fuzz_target!(|bytes: &[u8]| run(&mut Choices::of_bytes(bytes)));
