//! Makes the comparison with the Python baseline the last thing that a plain `cargo bench` shows.
//! Measures nothing.
//!
//! Cargo runs benchmarks in the order of their names: `baseline` first, so that the others scroll
//! it away, and this one last. It prints what `baseline` has left in `target/bench/baseline.md`.

use powd_testkit::Program;
use powd_testkit::bench::Arguments;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));

fn main() {
    let arguments = Arguments::read();
    // `cargo bench -- NAME` asks for something else.
    if !arguments.wants("summary") {
        return;
    }
    let results = arguments.results(POWD);
    // Without a comparison before, there is nothing to say.
    if let Ok(text) = std::fs::read_to_string(results.join("baseline.md")) {
        println!("{text}plot: {}", results.join("baseline.png").display());
    }
}
