//! What the benchmarks of whole servers share: the servers and what they cost, how the benchmark
//! was called, under which conditions it runs, and the figures as people read them. It measures
//! nothing by itself.

mod arguments;
mod call;
mod conditions;
mod estimate;
mod numbers;
mod request;
mod server;

use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;

pub use arguments::Arguments;
pub use call::Call;
pub use conditions::{Conditions, cpu};
pub use estimate::{Estimate, LUCK_COUNTS};
pub use numbers::{short, table, time, whole};
pub use request::{ENDLESS, send};
pub use server::{Server, compile};

/// Ends a benchmark that cannot go on, with its message alone. It unwinds: servers and busy programs
/// that the benchmark has started are killed when they are dropped, and would outlive an `exit`.
pub fn fail(why: &str) -> ! {
    eprintln!("{why}");
    resume_unwind(Box::new("the benchmark has failed"))
}

/// What comes of a thread of a benchmark; where it has failed, so has this one.
pub fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|why| resume_unwind(why))
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::*;

    #[test]
    fn a_benchmark_that_fails_drops_what_it_has_started() {
        struct Started<'a>(&'a AtomicBool);
        impl Drop for Started<'_> {
            fn drop(&mut self) {
                self.0.store(false, Relaxed);
            }
        }
        let runs = AtomicBool::new(true);
        let failed = catch_unwind(|| {
            let _started = Started(&runs);
            std::thread::scope(|scope| join(scope.spawn(|| fail("a failure of a test"))))
        });
        assert!(failed.is_err() && !runs.load(Relaxed));
    }
}
