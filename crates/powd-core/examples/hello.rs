//! One message, one solution: `cargo run --release --example hello -- "some message" 5`.

use std::env;
use std::error::Error;

use powd_core::{Difficulty, solve, verify};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let message = arguments.next().unwrap_or("hello".to_owned());
    let difficulty = match arguments.next() {
        Some(text) => text.parse()?,
        None => Difficulty::of::<4>(),
    };

    let solution = solve(message.as_bytes(), difficulty);
    println!("{message},{},{}", solution.seed(), solution.digest());

    // What somebody else does who is given the seed.
    let checked = verify(solution.seed(), message.as_bytes(), difficulty);
    assert_eq!(checked, Some(solution));
    Ok(())
}
