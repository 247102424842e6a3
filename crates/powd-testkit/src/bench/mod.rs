//! What the benchmarks of whole servers share: the servers and what they cost, how the benchmark
//! was called, under which conditions it runs, and the figures as people read them. It measures
//! nothing by itself.

mod arguments;
mod call;
mod conditions;
mod estimate;
mod numbers;
mod server;

pub use arguments::Arguments;
pub use call::Call;
pub use conditions::{Conditions, cpu};
pub use estimate::{Estimate, LUCK_COUNTS};
pub use numbers::{short, table, time, whole};
pub use server::{Server, compile};

/// Ends a benchmark that cannot go on.
pub fn fail(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(1);
}
