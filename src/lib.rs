//! powd finds proofs of work: a short seed such that `SHA-256(seed || message)` starts with a given
//! number of zero nibbles.
//!
//! The layers, each of which may use only those below it:
//!
//! | layer | owns |
//! | --- | --- |
//! | [`cli`] | flags, environment, exit codes, terminal output |
//! | [`server`], [`load`] | sockets, polling, connections, limits |
//! | [`solver`] | one message after another, by all threads |
//! | [`search`] | one resumable search |
//! | [`kernel`] | choosing an instruction set at run time, scanning a range of seeds |
//! | [`sha256`] | the compression function, written once, and the layout of a message |
//! | [`simd`] | vector words, one set per instruction set |
//! | [`cpus`] | the CPUs of this process, binding a thread to one |
//! | [`pow`] | difficulty, seed, solution, verification: the oracle for all the rest |

pub mod cli;
pub mod cpus;
pub mod kernel;
pub mod load;
pub mod pow;
pub mod search;
pub mod server;
pub mod sha256;
#[cfg(target_arch = "x86_64")]
pub mod simd;
pub mod solver;
