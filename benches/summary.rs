//! Makes the comparison with the Python baseline the last thing that a plain `cargo bench` shows. Measures
//! nothing.
//!
//! Cargo runs benchmarks in the order of their names: `baseline` first, so that the others scroll it away, and
//! this one last. It prints what `baseline` has left in `target/bench/baseline.md`.

use std::path::Path;

fn main() {
    // `cargo bench -- NAME` asks for something else.
    if std::env::args()
        .skip(1)
        .any(|argument| !argument.starts_with('-'))
    {
        return;
    }
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let results = temporary.parent().unwrap_or(temporary).join("bench");
    // Without a comparison before, there is nothing to say.
    if let Ok(text) = std::fs::read_to_string(results.join("baseline.md")) {
        println!("{text}plot: {}", results.join("baseline.png").display());
    }
}
