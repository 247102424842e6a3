//! An engine asked by this thread, without a socket: `cargo run --release --example engine`.

use powd::engine::{Engine, Options};
use powd_core::Difficulty;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::start(Options::default())?;
    let answer = pollster::block_on(engine.handle().solve("hello", Difficulty::of::<5>(), None))?;
    println!("{} after {} hashes", answer.solution.seed(), answer.hashes);
    engine.handle().drain();
    Ok(engine.wait()?)
}
