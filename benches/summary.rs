//! The last words of a plain `cargo bench`: the comparison with the Python baseline once more, since cargo
//! runs benchmarks by name and the others scroll it away. Measures nothing.

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
