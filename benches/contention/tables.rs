//! What is measured and printed.

use powd_testkit::bench::{Arguments, cpu, table};

use super::loops::{Row, pairs, sequences};
use super::timing::{Effort, MEASUREMENT, TEST};

/// Measures what the arguments ask for, and prints it.
pub(crate) fn print() {
    if pairs().next().is_none() {
        println!("contention: this CPU lacks SHA-NI or AVX2");
        return;
    }
    let arguments = Arguments::read();
    let wanted = |row: &&Row| arguments.wants(row.name);
    let pairs: Vec<_> = pairs().filter(wanted).collect();
    let sequences: Vec<_> = sequences().filter(wanted).collect();
    if pairs.is_empty() && sequences.is_empty() {
        // `cargo bench -- NAME` asks for something else.
        return;
    }
    let effort = match arguments.test {
        true => TEST,
        false => MEASUREMENT,
    };
    println!("{}, {:.2} GHz\n", cpu(), effort.clock_ghz());
    let header = ["behind each sha256rnds2 and its load", "once", "twice"];
    show(&header, &pairs, effort);
    let header = ["repeated", "cycles for each sha256rnds2"];
    show(&header, &sequences, effort);
}

/// Measures and prints a table.
fn show(header: &[&str], rows: &[&Row], effort: Effort) {
    let loops: Vec<_> = rows.iter().flat_map(|row| row.loops).copied().collect();
    let mut cycles = effort.cycles(&loops).into_iter();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let cycles = cycles.by_ref().take(row.loops.len());
            let cycles = cycles.map(|cycles| format!("{cycles:.2}"));
            [row.name.to_owned()].into_iter().chain(cycles).collect()
        })
        .collect();
    if !rows.is_empty() {
        println!("{}", table(header, &rows));
    }
}
