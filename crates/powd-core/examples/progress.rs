//! A search in slices, with a line of progress every second and an end after ten:
//! `cargo run --release --example progress -- 7`.

use std::env;
use std::error::Error;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use powd_core::{Difficulty, Job, Kernel, Progress, Search, Searcher, SeedLength, Tally};

fn main() -> Result<(), Box<dyn Error>> {
    let difficulty = match env::args().nth(1) {
        Some(text) => text.parse()?,
        None => Difficulty::of::<6>(),
    };
    let job = Job {
        message: b"hello",
        difficulty,
    };
    let mut searcher = Searcher::new(Kernel::fastest(), job.message.len());
    let mut search = Search::new(SeedLength::DEFAULT, 0);
    let mut tally = Tally::default();
    // Some 10 ms: short enough to look at the clock in time, long enough for that to cost nothing.
    let slice = NonZeroU64::new(1_000_000).ok_or("no slice")?;

    let start = Instant::now();
    let mut next_line = Duration::from_secs(1);
    while start.elapsed() < Duration::from_secs(10) {
        if let Progress::Found(solution) = search.advance(&mut searcher, job, slice, &mut tally) {
            println!("{} {}", solution.seed(), solution.digest());
            return Ok(());
        }
        if start.elapsed() >= next_line {
            let part = tally.hashes as f64 / difficulty.expected_hashes();
            println!("{} hashes, {part:.2} of the average", tally.hashes);
            next_line += Duration::from_secs(1);
        }
    }
    println!("not found in time");
    Ok(())
}
