//! What the tests and the benchmarks of powd share. Not published.
//!
//! It drives powd from outside, as its users do: it starts the program, connects to it, reads what
//! it logs and checks what it answers. It uses nothing of powd's code, so that a fault there cannot
//! hide itself here.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`program`] | the built `powd`, to be run to its end or started as a service |
//! | [`powd`] | a running `powd serve`: addresses, counters, signals, log |
//! | [`client`] | a client of the line protocol, with a deadline on every read and write |
//! | [`oracle`] | whether a reply line is right |
//! | [`small_servers`] | servers for the load client, which answer wrongly, late or never |
//! | [`files`] | paths of one test, removed at the end |
//! | [`needs`] | whether a program is there; a word about what is left out where it is not |
//! | [`ports`] | ports that nothing listens on yet, addresses of a name |
//! | [`busy`] | other programs that want the CPUs |
//! | [`process`], [`proc`] | any child process, and what Linux tells of it |
//! | [`wait`] | waiting for a condition, with a deadline |
//! | [`mod@bench`] | what the benchmarks of whole servers share |
//!
//! A test program names its binary once, since only cargo knows where that is:
//!
//! ```ignore
//! const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));
//!
//! let powd = POWD.serve(&["-d", "2"]);
//! powd.connect().ask(b"hello", 2);
//! ```
//!
//! Everything here panics where something fails: that is how a test fails. Every wait has a
//! deadline that only a failure reaches, so that a test says what it waited for instead of hanging.

pub mod bench;
pub mod busy;
pub mod client;
pub mod files;
pub mod needs;
pub mod oracle;
pub mod ports;
pub mod powd;
pub mod proc;
pub mod process;
pub mod program;
pub mod small_servers;
pub mod wait;

pub use busy::Busy;
pub use client::{Client, lines, messages};
pub use files::TestPath;
pub use needs::{is_there, leave_out, skip};
pub use ports::reserved_port;
pub use powd::Powd;
pub use program::Program;
pub use wait::{DEADLINE, until};
