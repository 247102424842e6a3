//! The lines of standard input, solved on all cores:
//! `seq 1000 | cargo run --release --features solver --example many -- 4`.

use std::env;
use std::error::Error;
use std::io::{self, BufWriter, Write as _};

use powd_core::{Difficulty, Solver, SolverOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let difficulty = match env::args().nth(1) {
        Some(text) => text.parse()?,
        None => Difficulty::of::<3>(),
    };
    let messages: Vec<String> = io::stdin().lines().collect::<Result<_, _>>()?;

    let mut solver = Solver::new(SolverOptions::new(difficulty))?;
    let mut output = BufWriter::new(io::stdout().lock());
    for (message, solution) in messages.iter().zip(solver.solve_all(&messages)) {
        writeln!(
            output,
            "{message},{},{}",
            solution.seed(),
            solution.digest()
        )?;
    }
    Ok(())
}
